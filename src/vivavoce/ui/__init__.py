"""The demo page: type, choose, listen; a Streamlit application in a process of its own.

Knows the public client, and nothing of the server's inside: whatever it shows, any other client can
get.
"""
