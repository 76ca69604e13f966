"""`python -m tests.resealing DATABASE_URL KEY_FILE`: changes the key again and again, killed each time one step later
than before, until a change comes to its end. Prints after each which key the database names, and those in the file."""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from sqlalchemy import select

from golub.clock import now
from golub.model import KEY_CHECK, Mark
from golub.reseal import rotate
from golub.store import Store
from golub.vault import Vault


def main(url: str, path: Path) -> None:
    for steps in count(1):
        if (child := os.fork()) == 0:
            asyncio.run(_change(url, path, steps))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(" ".join([asyncio.run(_named(url)), *(key.check for key in Vault.from_file(path).keys)]), flush=True)
        if os.WIFEXITED(status):
            raise SystemExit(os.WEXITSTATUS(status))
        assert os.WTERMSIG(status) == signal.SIGKILL


async def _change(url: str, path: Path, steps: int) -> None:
    left = steps

    def tell(_step: str, _share: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    store = Store(url)
    await rotate(store, path, (), clock=now, tell=tell)
    await store.close()


async def _named(url: str) -> str:
    store = Store(url)
    async with store.read() as session:
        named = await session.scalar(select(Mark.value).where(Mark.name == KEY_CHECK))
    await store.close()
    return named or ""


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
