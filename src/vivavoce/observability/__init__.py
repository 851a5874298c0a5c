"""Report what the server does: metrics, log lines and traces."""
