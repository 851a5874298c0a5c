"""Turn requests into audio: choose a model and a voice, queue segments, join them."""
