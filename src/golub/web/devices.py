"""What a browser says of itself, in the words of whoever uses it: “Chrome, Windows”. A guess: browsers lie."""

from dataclasses import dataclass

# The first that is found counts: most browsers name others as well.
_BROWSERS = (
    ("YaBrowser/", "Yandex Browser"),
    ("YaApp", "Yandex"),
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_IN_THE_HAND = {"iPhone", "iPad", "Android"}


@dataclass(frozen=True)
class Device:
    """Names as everybody knows them, in every language; empty where there is none."""

    browser: str
    system: str

    @property
    def name(self) -> str:
        return ", ".join(filter(None, (self.browser, self.system)))

    @property
    def glyph(self) -> str:
        return "smartphone" if self.system in _IN_THE_HAND else "monitor"


def device_of(user_agent: str) -> Device:
    return Device(_first(user_agent, _BROWSERS), _first(user_agent, _SYSTEMS))


def _first(user_agent: str, known: tuple[tuple[str, str], ...]) -> str:
    return next((name for mark, name in known if mark in user_agent), "")
