"""Make the sound of a book: takes of sentences, joined to chapters."""
