"""Golub's tests. This file keeps the name ours: the wheel of `avito-api`, a client we try, brings a `tests` too."""
