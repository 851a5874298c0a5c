"""Serve the demo page, a Streamlit application in a process of its own.

It uses only the public client, and knows nothing of the server's inside.
"""
