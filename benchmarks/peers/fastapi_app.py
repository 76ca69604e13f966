"""A webhook that answers first and stores afterwards: FastAPI with BackgroundTasks, one commit a request."""

import os
import sqlite3
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request

app = FastAPI()
PATH = os.environ["PEER_DATABASE"]

with sqlite3.connect(PATH) as connection:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS webhooks (id INTEGER PRIMARY KEY, message TEXT, body TEXT)")


def store(told: dict[str, Any], body: str) -> None:
    connection = sqlite3.connect(PATH, timeout=30)
    try:
        with connection:
            connection.execute(
                "INSERT INTO webhooks (message, body) VALUES (?, ?)", (told["payload"]["value"]["id"], body)
            )
    finally:
        connection.close()


@app.post("/webhook/avito/{token}")
async def webhook(token: str, request: Request, tasks: BackgroundTasks) -> dict[str, str]:
    if token != os.environ["PEER_TOKEN"]:
        raise HTTPException(404)
    tasks.add_task(store, await request.json(), (await request.body()).decode())
    return {"status": "ok"}
