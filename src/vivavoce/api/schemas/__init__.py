"""Define the JSON of requests and answers."""
