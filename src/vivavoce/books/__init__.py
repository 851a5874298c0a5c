"""Books: read from files, and written as narrated ones. Knows no models and no jobs."""
