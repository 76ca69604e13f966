"""Text from strangers, made safe to look at: which part of it is a link, where that link truly leads, and characters
that would hide or turn the text around.

A link is only ever `http` or `https`, is taken apart and built anew, and shows its real host. The inbox relies on it
for messages, names, titles and chat ids.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

URL_LIMIT = 2000
SHOWN_LIMIT = 80  # characters of a link's text
MARKS_LIMIT = 4  # combining marks on one letter; more of them only climb over the neighbours

_URL = re.compile(r"https?://[^\s<>\"'`«»]+", re.IGNORECASE)
_CLOSING = ".,;:!?…)]}'\""
_SAFE_PATH = "/:@!$&'()*+,;=-._~%"
_HOST = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?|\[[0-9a-f:.]+\]"
)
_CYRILLIC_NAME = re.compile(r"[а-яё0-9-]+(\.[а-яё0-9-]+)*\.[а-яё]+")
_JOINERS = "\u200d\ufe0e\ufe0f"  # parts of an emoji
# Nearly every name and message has nothing else, and a page shows hundreds of them: letters, signs, emoji; no mark.
_PLAIN = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2100-\u2bff"
    "\U0001f300-\U0001faff]*"
)


@dataclass(frozen=True, slots=True)
class Link:
    """`url` may stand in an `href`; `host` is where it leads; `text` says no more than that."""

    url: str
    host: str
    text: str

    @property
    def is_avito(self) -> bool:
        return self.host == "avito.ru" or self.host.endswith(".avito.ru")


def split_text(text: str) -> list[str | Link]:
    """The text in pieces, in order: plain ones, and the links in it."""
    pieces: list[str | Link] = []
    done = 0
    for match in _URL.finditer(text):
        written = match.group()
        kept = written.rstrip(_CLOSING)
        if kept.count("(") > kept.count(")") and written[len(kept) : len(kept) + 1] == ")":
            kept += ")"  # …/wiki/Голубь_(птица)
        link = read_link(kept)
        if link is None:
            continue
        if match.start() > done:
            pieces.append(text[done : match.start()])
        pieces.append(link)
        done = match.start() + len(kept)
    if done < len(text):
        pieces.append(text[done:])
    return pieces


def read_link(written: str, *, scheme: str = "") -> Link | None:
    """None for whatever is not plainly a web address. `scheme` is assumed where none is written ("habr.com")."""
    if len(written) > URL_LIMIT or "\\" in written or any(_is_hidden(char) or char.isspace() for char in written):
        return None
    if scheme and not re.match(r"[a-z][a-z0-9+.-]*:", written, re.IGNORECASE):
        written = f"{scheme}://{written.removeprefix('//')}"
    try:
        parsed = urlsplit(written)
        port, host = parsed.port, _ascii_host(parsed.hostname or "")
    except ValueError:
        return None
    if parsed.scheme not in ("http", "https") or not host:
        return None
    place = host if port in (None, {"http": 80, "https": 443}[parsed.scheme]) else f"{host}:{port}"
    path = quote(parsed.path, safe=_SAFE_PATH)
    query = "?" + quote(parsed.query, safe=_SAFE_PATH + "?") if parsed.query else ""
    fragment = "#" + quote(parsed.fragment, safe=_SAFE_PATH + "?") if parsed.fragment else ""
    rest = (path if path != "/" else "") + query + fragment
    shown = place.replace(host, _shown_host(host), 1) + visible(unquote(rest))
    if len(shown) > SHOWN_LIMIT:
        shown = shown[: SHOWN_LIMIT - 1] + "…"
    return Link(f"{parsed.scheme}://{place}{path or '/'}{query}{fragment}", host, shown)


def visible(text: str) -> str:
    """Control, format and zero-width characters written out (`‹U+202E›`), and no towers of combining marks."""
    if _PLAIN.fullmatch(text):
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        if _is_hidden(char):
            out.append(" " if char in "\t\n\r" else f"‹U+{ord(char):04X}›")
            marks = 0
            continue
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks <= MARKS_LIMIT:
            out.append(char)
    return "".join(out)


def calm(text: str) -> str:
    """A message's words as written, lines and emoji and all, without the towers of combining marks."""
    if _PLAIN.fullmatch(text.replace("\n", "")):
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks <= MARKS_LIMIT:
            out.append(char)
    return "".join(out)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co") and char not in _JOINERS


def _ascii_host(host: str) -> str:
    """The host as it goes over the wire; empty for what is none."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    host = host.lower()
    if ":" in host:
        host = f"[{host}]"
    return host if len(host) <= 253 and _HOST.fullmatch(host) else ""


def _shown_host(host: str) -> str:
    """«пример.рф» reads better than xn--e1afmkfd.xn--p1ai. Any other mixture stays as it is: it may be a disguise."""
    if "xn--" not in host:
        return host
    try:
        name = host.encode("ascii").decode("idna")
    except UnicodeError:
        return host
    return name if _CYRILLIC_NAME.fullmatch(name) else host
