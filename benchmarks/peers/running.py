"""Each peer as a running server: how it is started, and which messages it has kept."""

import json
import re
import socket
import sqlite3
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks import served, shop
from benchmarks.peers import install

WORKERS = 4  # gunicorn's, as its documentation begins
_NUMBER = re.compile(rb'"id"\s*:\s*"(\d{12})"')


@contextmanager
def flask(installed: Path, folder: Path, on: frozenset[int]) -> Generator[served.Served]:
    command = [str(install.python(installed) / "gunicorn"), "-w", str(WORKERS), "-b"]
    with _python(command, ["benchmarks.peers.flask_app:app"], folder, on, "{host}:{port}") as server:
        yield server


@contextmanager
def fastapi(installed: Path, folder: Path, on: frozenset[int]) -> Generator[served.Served]:
    command = [str(install.python(installed) / "uvicorn"), "--no-access-log", "--host", "127.0.0.1", "--port"]
    with _python(command, ["benchmarks.peers.fastapi_app:app"], folder, on, "{port}") as server:
        yield server


@contextmanager
def _python(
    command: Sequence[str], app: Sequence[str], folder: Path, on: frozenset[int], address: str
) -> Generator[served.Served]:
    port = _free_port()
    environment = {
        "PEER_DATABASE": str(folder / "webhooks.db"),
        "PEER_TOKEN": shop.TOKEN,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    whole = [*command, address.format(host="127.0.0.1", port=port), *app]
    with _started(whole, folder, on, port, environment) as server:
        yield server


@contextmanager
def node_red(installed: Path, folder: Path, on: frozenset[int]) -> Generator[served.Served]:
    """http in → file, and → http response; the editor is off."""
    port = _free_port()
    nodes = [
        {"id": "in", "type": "http in", "z": "flow", "url": "/webhook/avito/:token", "method": "post",
         "wires": [["check"]]},
        {"id": "check", "type": "function", "z": "flow", "outputs": 2, "func":
         f'if (msg.req.params.token !== "{shop.TOKEN}") {{ msg.statusCode = 404; return [null, msg]; }}\n'
         'return [{payload: JSON.stringify(msg.payload)}, {...msg, payload: {status: "ok"}}];',
         "wires": [["file"], ["out"]]},
        {"id": "file", "type": "file", "z": "flow", "filename": str(folder / "webhooks.jsonl"),
         "filenameType": "str", "appendNewline": True, "overwriteFile": "false", "wires": [[]]},
        {"id": "out", "type": "http response", "z": "flow", "statusCode": "", "wires": []},
    ]  # fmt: skip
    (folder / "flows.json").write_text(json.dumps([{"id": "flow", "type": "tab", "label": "webhook"}, *nodes]))
    (folder / "settings.js").write_text(
        'module.exports = {uiHost: "127.0.0.1", httpAdminRoot: false, logging: {console: {level: "warn"}}};'
    )
    command = [str(install.node_red(installed)), "--port", str(port), "--userDir", str(folder), "flows.json"]
    with _started([*command, "--settings", str(folder / "settings.js")], folder, on, port, {}) as server:
        yield server


@contextmanager
def webhook(installed: Path, folder: Path, on: frozenset[int]) -> Generator[served.Served]:
    """A line of shell for each request, which is what the program is for."""
    port = _free_port()
    keep = folder / "keep.sh"
    keep.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {folder}/webhooks.jsonl\n')
    keep.chmod(0o755)
    hook = {
        "id": shop.TOKEN,
        "execute-command": str(keep),
        "response-message": '{"status":"ok"}',
        "pass-arguments-to-command": [{"source": "entire-payload"}],
    }
    (folder / "hooks.json").write_text(json.dumps([hook]))
    command = [str(install.webhook(installed)), "-hooks", str(folder / "hooks.json"), "-ip", "127.0.0.1"]
    command += ["-port", str(port), "-urlprefix", "webhook/avito"]
    with _started(command, folder, on, port, {}) as server:
        yield server


ALL = {"Flask": flask, "FastAPI": fastapi, "Node-RED": node_red, "webhook": webhook}


def kept(folder: Path) -> set[int]:
    """The numbers of all messages that a peer has stored."""
    found: set[int] = set()
    if (database := folder / "webhooks.db").exists():
        with closing(sqlite3.connect(database)) as connection:
            found.update(int(row[0]) for row in connection.execute("SELECT message FROM webhooks"))
    if (lines := folder / "webhooks.jsonl").exists():
        found.update(int(number) for number in _NUMBER.findall(lines.read_bytes()))
    return found


@contextmanager
def _started(
    command: Sequence[str], folder: Path, on: frozenset[int], port: int, environment: Mapping[str, str]
) -> Generator[served.Served]:
    with served.served(command, folder / "said", on=on, ready=None, environment=environment, folder=folder) as server:
        until = time.monotonic() + served.PATIENCE
        while not _listens(port):
            if server.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} did not start:\n{(folder / 'said').read_text()[-2000:]}")
            time.sleep(0.05)
        server.url = f"http://127.0.0.1:{port}"
        yield server


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
