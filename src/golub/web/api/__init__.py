"""JSON for programs, under /api/: always JSON, never a redirect."""
