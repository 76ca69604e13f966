"""The guide, “API”: the lines that it gives are run as they stand, by a real curl, in both languages."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from golub.audit import By
from golub.model import Role, Scope
from golub.simulator import Account, Item
from tests.conftest import ONE_DATABASE
from tests.guide.town import PUBLIC, Browser, Town
from tests.hostile.test_contract import at_a_port

GUIDE = Path(__file__).parents[2] / "docs/guide"


def lines_of(language: str) -> list[str]:
    """The commands of the chapter, one by one."""
    chapter = (GUIDE / f"{language}.md").read_text().partition("## API\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)
    return [line for line in block.replace("\\\n", " ").splitlines() if line.startswith("curl")]


@ONE_DATABASE
@pytest.mark.parametrize("language", ["ru", "en"])
async def test_curl_lines_work_as_they_stand(town: Town, shop: Account, boss: Browser, language: str) -> None:
    town.sim.buyer_says(town.sim.add_chat(shop, "Анна", Item("Стол", 100)), "здравствуйте")
    await town.applied()
    manager = await town.sign_in(Role.MANAGER)
    found = await town.parts.operators.find_session(manager.session)
    assert found
    scopes = [Scope.CHATS_READ, Scope.MESSAGES_WRITE]
    _, secret = await town.parts.operators.make_key(found[1], "CRM", scopes, days=30, by=By(found[1]))

    answers: list[Any] = []
    async with at_a_port(town) as url:
        for line in lines_of(language):
            chat = str(answers[0]["chats"][0]["id"]) if answers else "17"
            shell = line.replace(PUBLIC, url).replace("/17/", f"/{chat}/")
            curl = await asyncio.create_subprocess_shell(
                f"{shell} --silent --fail-with-body", env={"KEY": secret, "PATH": "/usr/bin:/bin"},
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await asyncio.wait_for(curl.communicate(), 60)
            assert curl.returncode == 0, (line, out)
            answers.append(json.loads(out))
    chats, waiting, said, taken, document = answers
    for listed in (chats, waiting):
        assert listed["chats"][0]["last_message"]["text"] == "здравствуйте"
    assert said["messages"][-1]["text"] == "здравствуйте"
    assert taken["outgoing"][0]["text"] in ("Да, ещё продаю", "Yes, it is still for sale")
    assert "/api/chats" in document["paths"]
