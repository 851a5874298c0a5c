"""Our own Qwen3-TTS: a released checkpoint folder in, codes and speech out, on torch alone."""
