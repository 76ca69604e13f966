"""Golub: every Avito message, kept and shown."""
