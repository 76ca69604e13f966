"""What a planted fault is: a function that breaks one thing in a house where all is well, by the fault's name."""

from collections.abc import Callable
from typing import Any

from tests.doctor.house import House

Plant = Callable[[House], Any]  # some are coroutines
PLANTS: dict[str, Plant] = {}
ALONE: set[str] = set()


def plants(name: str, *, shares: bool = True) -> Callable[[Plant], Plant]:
    """A fault of the way leaves the house itself as it was, so many share one; others need one of their own."""

    def keep(plant: Plant) -> Plant:
        assert name not in PLANTS
        PLANTS[name] = plant
        if not shares:
            ALONE.add(name)
        return plant

    return keep
