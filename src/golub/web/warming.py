"""What the first pages need and every later one has: done while the server starts, in a thread of its own.

Texts, templates and routes are read when they are first asked for, which takes up to half a second. In the event loop
every webhook would wait for that.
"""

import gc

from fastapi import FastAPI
from starlette.types import Scope

from golub.web import icons, language, page


def warm(site: FastAPI) -> None:
    """May be called in any thread, and again. Ends with all that has been made so far kept from the garbage collector:
    it is here to stay, and to go through it takes a quarter of a second, in which nothing else moves."""
    for locale in language.LOCALES:
        language.words(locale)
    language.zone_names()
    icons.archive()
    page.read_templates()
    nowhere: Scope = {"type": "http", "method": "GET", "path": "", "root_path": "", "headers": []}
    for route in site.router.routes:
        route.matches(nowhere)
    gc.freeze()
