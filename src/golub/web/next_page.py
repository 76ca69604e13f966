"""Where to go after signing in: only to a page of our own, however the address is dressed up."""

import re

_OURS = re.compile(r"/(?:[A-Za-z0-9_\-?=&%][A-Za-z0-9_\-/?=&%]*)?", re.ASCII)


def safe_next(wanted: str, default: str = "/") -> str:
    """`wanted` when it is a plain path here, else `default`."""
    return wanted if _OURS.fullmatch(wanted) and "//" not in wanted else default
