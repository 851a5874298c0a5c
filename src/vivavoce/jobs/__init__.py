"""Narrate books as jobs that survive any stop. Knows no HTTP."""
