"""Two operators answer one question at the same time, from two processes on one PostgreSQL."""

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from golub.model import Chat, Operator, OutgoingMessage
from tests.conftest import AtScale
from tests.outbox.desk import Desk

ROOT = Path(__file__).parents[2]


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_of_two_processes_one_sends_and_the_other_is_told_in_each_chat(desk: Desk, at_scale: AtScale) -> None:
    chats = [(await desk.chat())[1].id for _ in range(at_scale(12, 200))]
    people = {"Анна": "Да, в наличии", "Борис": "Нет, продан"}
    async with desk.store.write() as session:
        rows = [Operator(login=name, name=name, password_hash="", role="manager", created_at=0) for name in people]
        session.add_all(rows)
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.outbox.answering", desk.store.url, str(row.id), people[row.name]),
            *map(str, chats),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for row in rows
    ]
    outs = [process.stdout for process in processes]
    for out in outs:
        assert out
        assert await out.readline() == b"ready\n"
    told = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    anna, boris = (out.decode().splitlines() for out, _ in told)
    assert len(anna) == len(boris) == len(chats)
    for pair in zip(anna, boris, strict=True):
        assert pair in (("sent", "Анна: Да, в наличии"), ("Борис: Нет, продан", "sent"))
    async with desk.store.read() as session:
        queued = list(await session.scalars(select(OutgoingMessage.chat_id).order_by(OutgoingMessage.chat_id)))
        assert queued == sorted(await session.scalars(select(Chat.id)))
