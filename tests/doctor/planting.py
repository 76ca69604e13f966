"""What a planted fault is: a function that breaks one thing in a house where all is well, by the fault's name."""

from collections.abc import Callable
from typing import Any

from tests.doctor.house import House

Plant = Callable[[House], Any]  # some are coroutines
PLANTS: dict[str, Plant] = {}


def plants(name: str) -> Callable[[Plant], Plant]:
    def keep(plant: Plant) -> Plant:
        assert name not in PLANTS
        PLANTS[name] = plant
        return plant

    return keep
