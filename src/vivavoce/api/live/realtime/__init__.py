"""Serve the realtime protocols in which a response is told in events: OpenAI's and DashScope's."""
