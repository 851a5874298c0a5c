"""Convert French, Italian, Portuguese and Spanish spelling to phonemes by rule."""
