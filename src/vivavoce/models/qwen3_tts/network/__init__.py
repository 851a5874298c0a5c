"""Define the layers of the language model, from token ids to codes."""
