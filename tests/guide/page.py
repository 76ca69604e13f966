"""A page as a browser reads it: elements, visible text by element id, and forms that can be filled in and sent."""

from collections import Counter
from dataclasses import dataclass
from html.parser import HTMLParser

VOID = frozenset(("area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))

Attributes = dict[str, str]


@dataclass
class Form:
    """What a browser would send: hidden fields, values, boxes that are ticked."""

    action: str
    fields: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str:
        return next(value for key, value in self.fields if key == name)

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def filled(self, **given: str | list[str]) -> list[tuple[str, str]]:
        fields = [(name, value) for name, value in self.fields if name not in given]
        for name, value in given.items():
            fields += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        return fields


class Page(HTMLParser):
    def __init__(self, markup: str, url: str = "", status: int = 200) -> None:
        super().__init__()
        self.markup = markup
        self.url = url
        self.status = status
        self.elements: list[tuple[str, Attributes]] = []
        self.forms: list[Form] = []
        self.title = ""
        self._open: list[tuple[str, str]] = []  # tag, id
        self._depths = Counter[str]()  # of the open ones, by tag
        self._words: dict[str, list[str]] = {"": []}
        self.feed(markup)

    @property
    def text(self) -> str:
        return self.within("")

    def within(self, element_id: str) -> str:
        """The visible text of the element with that id."""
        return " ".join("".join(self._words[element_id]).split())

    def ids(self, prefix: str) -> list[str]:
        return [name for name in self._words if name and name.startswith(prefix) and name[len(prefix) :].isdigit()]

    def all(self, tag: str, **having: str) -> list[Attributes]:
        return [attrs for name, attrs in self.elements if name == tag and having.items() <= attrs.items()]

    def form(self, action: str) -> Form:
        found = [form for form in self.forms if form.action == action]
        among = [form.action for form in self.forms]
        assert len(found) == 1, f"{len(found)} forms for {action}, among {among}: {self.text[:300]}"
        return found[0]

    @property
    def buttons(self) -> list[str]:
        return [" ".join("".join(words).split()) for name, words in self._words.items() if name.startswith("<button ")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), []))
        elif tag == "input" and self._in("form"):
            ticked = found.get("type") not in ("checkbox", "radio") or "checked" in found
            if "name" in found and ticked:
                self.forms[-1].fields.append((found["name"], found.get("value", "")))
        elif tag == "textarea" and self._in("form"):
            self.forms[-1].fields.append((found["name"], ""))
        if tag not in VOID:
            key = f"<button {len(self.elements)}" if tag == "button" else found.get("id", "")
            self._open.append((tag, key))
            self._depths[tag] += 1
            if key:
                self._words[key] = []

    def handle_endtag(self, tag: str) -> None:
        while tag not in VOID and self._in(tag):
            closed, _ = self._open.pop()
            self._depths[closed] -= 1
            if closed == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "title":
            self.title += data
        if self._in("template") or self._in("dialog"):
            return
        self._words[""].append(data)
        for _, key in self._open:
            if key:
                self._words[key].append(data)

    def _in(self, tag: str) -> bool:
        return self._depths[tag] > 0
