"""Check the API of ElevenLabs with its own SDK and over bare sockets."""
