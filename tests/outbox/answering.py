"""Another process that answers chats, each as an operator who has seen nothing but the buyer's question.

python -m tests.outbox.answering URL OPERATOR TEXT CHAT…    says "ready", waits for a line, then tells each outcome
"""

import asyncio
import sys

from golub.model import Chat
from golub.outbox import Screen, find_unseen, hold, queue
from golub.store import Store


async def answer(store: Store, chat_id: int, operator_id: int, text: str) -> str:
    """What became of it: sent, or the words of the colleague who was first."""
    async with store.write() as session:
        await hold(session, chat_id)
        unseen = await find_unseen(session, chat_id, operator_id, Screen(0, 0))
        if unseen.replies:
            return " ".join(f"{name}: {reply.text}" for reply, name in unseen.replies)
        chat = await session.get_one(Chat, chat_id)
        await queue(session, chat=chat, operator_id=operator_id, text=text, client_key=text, now=1)
    return "sent"


async def main(url: str, operator: str, text: str, *chats: str) -> None:
    store = Store(url)
    async with store.read():
        print("ready", flush=True)
    sys.stdin.readline()
    for chat in chats:
        print(await answer(store, int(chat), int(operator), text), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
