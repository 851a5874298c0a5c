"""Read numbers, dates, signs and short forms as words, language by language."""
