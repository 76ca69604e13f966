"""A webhook as many write it first: Flask, sqlite3 and gunicorn. Stores each request, then answers."""

import os
import sqlite3

from flask import Flask, abort, jsonify, request  # pyright: ignore[reportMissingImports]

app = Flask(__name__)
PATH = os.environ["PEER_DATABASE"]

with sqlite3.connect(PATH) as connection:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS webhooks (id INTEGER PRIMARY KEY, message TEXT, body TEXT)")


@app.post("/webhook/avito/<token>")
def webhook(token: str):
    if token != os.environ["PEER_TOKEN"]:
        abort(404)
    told = request.get_json()
    connection = sqlite3.connect(PATH, timeout=30)
    try:
        with connection:
            connection.execute(
                "INSERT INTO webhooks (message, body) VALUES (?, ?)",
                (told["payload"]["value"]["id"], request.get_data(as_text=True)),
            )
    finally:
        connection.close()
    return jsonify(status="ok")
