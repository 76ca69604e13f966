"""Many keys in one statement, and two nodes at the same rows."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from sqlalchemy import select

from golub.errors import Unavailable
from golub.fold import fold
from golub.model import Chat, Message
from golub.store import Store
from tests.fold.world import NOW, World, add_account, api_chat, from_api, webhook
from tests.shapes import CREATED


def test_a_history_of_many_chats_and_messages_at_once(world: World) -> None:
    """More keys than one statement takes."""
    pages = [
        from_api(chat=f"u2i-{number % 450}", id=f"m-{number}", created=CREATED - number, quiet=True)
        for number in range(1000)
    ]
    rings = world.fold(*(api_chat(f"u2i-{number}", "Вера", None, CREATED) for number in range(450)), *pages)
    chats, messages = world.rows()
    assert (len(chats), len(messages), len(rings)) == (450, 1000, 450)
    assert chats["u2i-7"]["last_message_at"] == (CREATED - 7) * 1000
    assert world.fold(*reversed(pages)) == []


@pytest.mark.postgres
@pytest.mark.promise("P4")
def test_two_nodes_that_fold_the_same_at_once_end_in_the_same_rows(postgres_url: str) -> None:
    """Chats are locked, so the second waits for the first; a deadlock would be told as an outage, and tried again."""
    nodes = [Store(postgres_url) for _ in range(2)]
    with nodes[0].writing() as connection:
        account_id = add_account(connection, nodes[0])
    observations = [webhook(chat_id=f"u2i-{n % 7}", id=f"m-{n}", created=CREATED + n) for n in range(60)]
    observations += [
        webhook(chat_id=f"u2i-{n % 7}", id=f"m-{n}", content={"text": "!"}, at=CREATED + 9) for n in range(30)
    ]
    together = threading.Barrier(2)

    def run(store: Store, order: Random) -> None:
        mine = observations * 2
        order.shuffle(mine)
        together.wait()
        for start in range(0, len(mine), 20):
            for _ in range(20):
                try:
                    with store.writing() as connection:
                        fold(connection, store, account_id, mine[start : start + 20], NOW)
                    break
                except Unavailable:
                    continue
            else:
                raise AssertionError("never got the locks")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, store, Random(seed)) for seed, store in enumerate(nodes)]:
            done.result()
    with nodes[0].writing() as connection:
        chats = connection.execute(select(Chat.avito_id, Chat.unread)).all()
        messages = connection.execute(select(Message.avito_id, Message.edited, Message.text)).all()
    assert sum(unread for _, unread in chats) == len(messages) == 60
    assert len(chats) == 7
    assert {name for name, edited, text in messages if edited and text == "!"} == {f"m-{n}" for n in range(30)}
    for store in nodes:
        asyncio.run(store.close())
