"""Serve Wit.ai's speech API, with the times of words and visemes."""
