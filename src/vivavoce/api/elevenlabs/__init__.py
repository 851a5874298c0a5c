"""Serve the text-to-speech API of ElevenLabs to its clients. See `docs/elevenlabs.md`."""
