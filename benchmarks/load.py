"""Webhooks as Avito sends them, as many as a server takes or so many a second, and what became of each.

One thread and epoll, with the requests made beforehand but for the message's number, so that the load costs less than
the barest server does. `idle` in what it returns says how far it was from being what was measured.
"""

import gc
import json
import random
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.town import Talk

SELLER = 94_235_311
CHATS = 2000
TEMPLATES = 4096
NUMBER = b"000000000000"
ANSWER_WITHIN = 20.0  # seconds without any answer end a run


@dataclass
class Loaded:
    seconds: float = 0.0
    sent: int = 0
    acked: list[int] = field(default_factory=list[int])  # the messages' numbers
    refused: int = 0  # another answer than 200
    cut: int = 0  # connections that ended without an answer
    times: "array[float]" = field(default_factory=lambda: array("d"))  # seconds to each 200
    idle: float = 0.0  # share of the time that the load waited

    @property
    def rate(self) -> float:
        return len(self.acked) / self.seconds

    def at(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.times)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Letters:
    """Requests for one address: talk in Russian in `CHATS` chats, each message with a number of its own."""

    def __init__(self, path: str, seed: int = 1) -> None:
        dice, talk = random.Random(seed), Talk()
        self._made = [_request(path, _body(dice, talk)) for _ in range(TEMPLATES)]

    def __getitem__(self, number: int) -> bytes:
        parts = self._made[number % TEMPLATES]
        return (b"%012d" % number).join(parts)


def _body(dice: random.Random, talk: Talk) -> bytes:
    chat, moment = dice.randrange(CHATS), int(time.time())
    value = {
        "id": NUMBER.decode(),
        "chat_id": f"u2i-{chat:07}",
        "user_id": SELLER,
        "author_id": SELLER if dice.random() < 0.25 else 5_000_000 + chat,
        "created": moment,
        "type": "text",
        "chat_type": "u2i",
        "content": {"text": talk.says(dice)},
        "item_id": 7_000_000 + chat % 300,
        "published_at": "2026-11-20T10:00:00Z",
    }
    told = {"id": NUMBER.decode(), "version": "v3.0.0", "timestamp": moment}
    return json.dumps(told | {"payload": {"type": "message", "value": value}}, ensure_ascii=False).encode()


def _request(path: str, body: bytes) -> list[bytes]:
    """Behind a proxy, as usual."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: golub.example.ru\r\nUser-Agent: Avito Messenger Webhooks\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Avito-Messenger-Signature: {'0f' * 32}\r\n"
        "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    return (head.encode() + body).split(NUMBER)


class _Line:
    """One connection: at most one request is under way."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.began = 0.0
        self.number = 0
        self.length = 0  # of an answer, as the first one had it
        self.got = b""
        self.closes = False  # the server does, behind each answer
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)


def drive(
    port: int,
    letters: Letters,
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    first: int = 0,
    each_second: Callable[[], None] | None = None,
) -> Loaded:
    """Sends for so long, and waits for the last answers. With a `rate` a request counts from when it was due, whether
    or not a connection was free for it; without one each connection sends again as soon as it has its answer.
    `first` is the first message's number."""
    found = Loaded()
    poll = select.epoll()
    lines: dict[int, _Line] = {}

    def join(line: _Line) -> None:
        lines[line.socket.fileno()] = line
        poll.register(line.socket.fileno(), select.EPOLLIN)

    for _ in range(connections):
        join(_Line(port))
    free = deque(lines.values())
    number = first
    clock = time.perf_counter
    waited = 0.0
    gc.collect()
    gc.disable()
    began = second = heard = clock()
    until = began + seconds
    try:
        while True:
            now = clock()
            while free and now < until:
                due = began + (number - first) / rate if rate else now
                if due > now or due >= until:
                    break
                line = free.popleft()
                line.began, line.number = due, number
                try:
                    line.socket.send(letters[number])
                except ConnectionError:
                    found.cut += 1
                number += 1
            if (now >= until and len(free) == len(lines)) or not lines:
                break
            next_due = began + (number - first) / rate if rate and free and now < until else now + 0.2
            events = poll.poll(max(min(next_due - now, 0.2), 0.0))
            after = clock()
            waited += after - now
            for descriptor, _ in events:
                line = lines[descriptor]
                if not _answer(line, found, clock):
                    continue
                heard = after
                if line.socket.fileno() < 0:
                    del lines[descriptor]
                    try:
                        line.open()
                    except OSError:  # nobody is there any more
                        continue
                    join(line)
                free.append(line)
            if after - heard > ANSWER_WITHIN and len(free) < len(lines):
                found.cut += len(lines) - len(free)
                break
            if each_second and after - second >= 1:
                second = after
                each_second()
    finally:
        gc.enable()
        for line in lines.values():
            line.socket.close()
        poll.close()
    found.seconds = max(clock() - began, seconds)
    found.sent = number - first
    found.idle = waited / found.seconds
    return found


def _answer(line: _Line, found: Loaded, clock: Callable[[], float]) -> bool:
    """Whether the answer is whole; a connection that the server closed is closed here as well."""
    try:
        got = line.socket.recv(65536)
    except BlockingIOError:
        return False
    except ConnectionError:
        got = b""
    if not got:
        found.cut += 1
        line.socket.close()
        line.got = b""
        return True
    if line.got or len(got) != line.length or not got.startswith(b"HTTP/1.1 200"):
        line.got += got
        length = _length(line.got)
        if length is None or len(line.got) < length:
            return False
        got, line.got, line.length = line.got, b"", length
        line.closes = b"\r\nconnection: close" in got.partition(b"\r\n\r\n")[0].lower()
    if line.closes:
        line.socket.close()
    if got.startswith(b"HTTP/1.1 200"):
        found.times.append(clock() - line.began)
        found.acked.append(line.number)
    else:
        found.refused += 1
    return True


def _length(got: bytes) -> int | None:
    """Of the whole answer; None while its head is not complete."""
    head, end, _ = got.partition(b"\r\n\r\n")
    if not end:
        return None
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line.partition(b":")[2])
        if line.startswith(b"transfer-encoding:"):
            return None if not got.endswith(b"0\r\n\r\n") else len(got)
    return len(head) + 4
