"""The town of the guide's tests: a whole Golub before a simulated Avito, on each database."""

from tests.guide.conftest import boss, shop, town

__all__ = ["boss", "shop", "town"]
