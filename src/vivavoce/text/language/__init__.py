"""Name languages and their scripts, and detect the language of a text."""
