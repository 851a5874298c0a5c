"""Serve jobs, `/v1/jobs`: books that become files. A key sees its own."""
