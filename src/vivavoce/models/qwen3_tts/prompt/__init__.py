"""Turn a segment and its voice into the embeddings that the talker reads."""
