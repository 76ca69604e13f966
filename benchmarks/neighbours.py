"""Who is there beside the browser that is timed: other inboxes below the browser, and buyers in other chats.

    python -m benchmarks.neighbours inboxes URL SECRET NUMBER       until its input ends
    python -m benchmarks.neighbours buyers PORT RATE SECONDS

An inbox keeps the stream open and fetches what rings as the page does (`static/inbox.js`): what rings while a request
is under way is gathered for the next one. It draws nothing, so it asks again sooner than a browser would.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

from benchmarks import shop
from benchmarks.load import Letters, drive

AT_ONCE = 80  # rows in one request: static/inbox.js
CONNECTIONS = 16
BUFFER = 1 << 22


class Inbox:
    def __init__(self, host: str, port: int, secret: str) -> None:
        self.fetched = 0
        self.is_open = asyncio.Event()
        self._place = host, port
        self._head = f"HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: session={secret}\r\n"
        self._due: set[int] = set()
        self._is_due = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._fetch())

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection(*self._place, limit=BUFFER)
        writer.write(f"GET /stream {self._head}Accept: text/event-stream\r\n\r\n".encode())
        event = b""
        while line := await reader.readline():  # between them stand the lengths of chunks
            if line.startswith(b"event: "):
                event = line[7:].strip()
            elif line.startswith(b"data: "):
                if event == b"hello":
                    self.is_open.set()
                elif event == b"rings":
                    self._due.update(chat for chat, *_ in json.loads(line[6:]))
                    self._is_due.set()
        raise SystemExit("the stream ended")

    async def _fetch(self) -> None:
        reader, writer = await asyncio.open_connection(*self._place, limit=BUFFER)
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while self._due:
                asked = [self._due.pop() for _ in range(min(AT_ONCE, len(self._due)))]
                writer.write(f"GET /inbox/rows?ids={','.join(map(str, asked))} {self._head}\r\n".encode())
                await _answer(reader)
                self.fetched += 1


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"rows were answered {head[:40].decode()}")
    if b"content-length:" in head:
        await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        return
    while length := int(await reader.readline(), 16):
        await reader.readexactly(length + 2)
    await reader.readline()


async def inboxes(url: str, secret: str, number: int) -> dict[str, float]:
    """Says `ready` when all are open."""
    place = urlsplit(url)
    opened = [Inbox(place.hostname or "", place.port or 80, secret) for _ in range(number)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in opened]
        for one in opened:
            await one.is_open.wait()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    return {"fetched": sum(one.fetched for one in opened)}


def buyers(port: int, rate: float, seconds: float) -> dict[str, float]:
    loaded = drive(port, Letters(shop.PATH), connections=CONNECTIONS, seconds=seconds, rate=rate)
    return {"acked": len(loaded.acked), "refused": loaded.refused + loaded.cut, "idle": loaded.idle}


def main() -> None:
    who, *rest = sys.argv[1:]
    if who == "inboxes":
        told = asyncio.run(inboxes(rest[0], rest[1], int(rest[2])))
    else:
        told = buyers(int(rest[0]), float(rest[1]), float(rest[2]))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
