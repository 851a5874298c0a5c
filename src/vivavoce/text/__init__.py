"""Text before it is speech: what language it is in, how it reads aloud, where it may be cut.

`languages` knows names and scripts, `detect` guesses a language, `normalize` makes markup
speakable, `split` cuts text into pieces a model can say in one go. Nothing here knows a model, a
voice or a request.
"""
