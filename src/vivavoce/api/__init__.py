"""Answer HTTP requests for speech, in the formats of three APIs."""
