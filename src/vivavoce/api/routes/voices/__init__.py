"""Serve voices of one's own, on the native API and on OpenAI's."""
