"""What Golub's webhook is held against: servers that do less, or do it as one would at first.

    python -m benchmarks.bare noop | uvicorn | fastapi | single FOLDER

`noop` answers the same words without a look at the request, embedded as Golub embeds uvicorn; `uvicorn` the same on
uvicorn as it comes; `fastapi` is FastAPI's shortest route; `single` stores each request durably, a commit for each.
"""

import sqlite3
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

import golub  # noqa: F401 - it chooses the sqlite3 that everybody gets
from golub.server import Server

OK = b'{"status":"ok"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"15")],
}
END = {"type": "http.response.body", "body": OK}


async def noop(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's own
    await send(START)
    await send(END)


def single(folder: Path) -> ASGIApp:
    connection = sqlite3.connect(folder / "single.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS received (id INTEGER PRIMARY KEY, body BLOB)")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        connection.execute("INSERT INTO received (body) VALUES (?)", (body,))
        await send(START)
        await send(END)

    return app


def fastapi() -> ASGIApp:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/webhook/avito/{token}")
    async def webhook(token: str) -> dict[str, Any]:  # noqa: ARG001 # pyright: ignore[reportUnusedFunction]
        return {"status": "ok"}

    return app


async def serve(app: ASGIApp) -> None:
    server = Server(app, "127.0.0.1", 0)
    print(f"Bare: http://127.0.0.1:{server.port}", flush=True)
    await server.run()


async def serve_plain(app: ASGIApp) -> None:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http="httptools", ws="none", lifespan="off", access_log=False,
        log_level="error", server_header=False, date_header=False,
    )  # fmt: skip
    listener = config.bind_socket()
    print(f"Bare: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


def main() -> None:
    kind = sys.argv[1]
    if kind == "uvicorn":
        uvloop.run(serve_plain(noop))
        return
    apps = {"noop": lambda: noop, "fastapi": fastapi, "single": lambda: single(Path(sys.argv[2]))}
    uvloop.run(serve(apps[kind]()))


if __name__ == "__main__":
    main()
