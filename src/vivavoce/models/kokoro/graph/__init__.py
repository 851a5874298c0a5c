"""Rewrite the published graph: fast on a CPU, and in two parts, a reader and a vocoder."""
