"""Hosts of their own on this machine: network namespaces on one bridge, which no way leads out of.

Each has one address. `cut_off` is a pulled cable: nobody is told, nothing is refused, what is sent is gone.
"""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

NET = "10.77.0"
HERE = f"{NET}.1"  # the machine that the tests run on, as the hosts see it


@dataclass(frozen=True)
class Host:
    name: str
    address: str

    @property
    def enter(self) -> tuple[str, ...]:
        """What is put before a program that shall run on it."""
        return ("nsenter", f"--net=/run/netns/{self.name}", "--")

    def cut_off(self) -> None:
        _ip("link", "set", f"{self.name}-0", "down")

    def connect(self) -> None:
        _ip("link", "set", f"{self.name}-0", "up")


@contextmanager
def network(*names: str) -> Generator[list[Host]]:
    """The hosts; gone afterwards, with whatever still runs on them cut off."""
    prefix = f"g{os.getpid() % 100_000}"  # what the kernel allows a name to be is 15 characters
    bridge = f"{prefix}-br"
    with ExitStack() as made:
        _ip("link", "add", bridge, "type", "bridge")
        made.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{HERE}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        yield [_add(made, bridge, Host(f"{prefix}-{name}", f"{NET}.{place}")) for place, name in enumerate(names, 11)]


def _add(made: ExitStack, bridge: str, host: Host) -> Host:
    ours, theirs = f"{host.name}-0", f"{host.name}-1"
    _ip("netns", "add", host.name)
    made.callback(_ip, "netns", "del", host.name)
    _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", host.name)
    made.callback(_ip, "link", "del", ours)  # both ends; a process that still runs there would keep them
    _ip("link", "set", ours, "master", bridge, "up")
    within: Sequence[Sequence[str]] = (
        ("addr", "add", f"{host.address}/24", "dev", theirs),
        ("link", "set", theirs, "up"),
        ("link", "set", "lo", "up"),
    )
    for command in within:
        _ip("-netns", host.name, *command)
    return host


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, stdin=subprocess.DEVNULL)
