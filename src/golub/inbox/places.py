"""Where a page of a list or of a thread ends, as a URL carries it."""

from dataclasses import dataclass

from golub.errors import Invalid

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where a page of a list ends: the sort key and the id of its last row. Read back from a URL by `parse`."""

    key: int
    id: int

    def __str__(self) -> str:
        return f"{self.key}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        key, _, row = text.partition(".")
        if not (_is_number(key) and _is_number(row)):
            raise Invalid("This link is not complete. Open the list again.", field="before")
        return cls(int(key), int(row))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID
