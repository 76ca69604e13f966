"""The guide, 8: the guide itself, in Russian and English, inside the panel, and true."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from golub.model import EVENT_TYPES, Role
from tests.guide.town import Browser, Town

ROOT = Path(__file__).parents[2]
PARTS = {
    "ru": (
        "Что понадобится",
        "Шаг 1",
        "Шаг 4. Проверьте",
        "Что происходит",
        "Типы событий",
        "не работает",
        "Безопасность",
    ),
    "en": ("What you need", "Step 4. Check", "What happens", "Event types", "does not work", "Security"),
}
NAMED = (
    "/admin/webhooks",
    "/api/admin/webhooks",
    '-H "Cookie: session=…"',
    "/webhook/avito",
    "-i -d '{}'",
    '{"status":"ok"}',
    "logs/app.log",
    "AVITO_WEBHOOK_URL",
    "X-Signature",
    "super_admin",
)
# What the guide says a page says: in bold quotes, or to be pressed.
SAID = {
    "ru": r"\*\*«([^»]+?)»?\.?»?\*\*|[Нн]ажмите (?:\*\*)?«([^»]+)»",
    "en": r"\*\*“([^”]+?)\.?”\*\*|[Pp]ress (?:\*\*)?“([^”]+)”",
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database: what is behind these pages is proved on both by its own tests."""
    return sqlite_url


def written(locale: str) -> str:
    return (ROOT / "docs/guide" / f"{locale}.md").read_text()


@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_every_operator_reads_it_in_his_language(town: Town, locale: str) -> None:
    reader = await town.sign_in(Role.MANAGER, locale)
    page = await reader.open("/guide")
    assert page.status == 200
    headings = re.findall(r"<h[12]>(.*?)</h", page.markup)
    for part in PARTS[locale]:
        assert any(part in heading for heading in headings), part
    assert page.all("table")
    words = re.sub(r"[\W_]+", "", page.text)
    for line in written(locale).splitlines():
        assert re.sub(r"^\d+\.|\]\([^)]*\)|[\W_]+", "", line) in words


async def test_the_panel_leads_to_it(boss: Browser) -> None:
    for url in ("/admin/webhooks", "/inbox"):
        assert "/guide" in {link["href"] for link in (await boss.open(url)).all("a")}


@pytest.mark.parametrize("locale", ["ru", "en"])
def test_it_names_what_there_is(locale: str) -> None:
    text = written(locale)
    named = (
        "/admin/webhooks",
        "/api/admin/webhooks",
        "/webhook/avito",
        "logs/app.log",
        "AVITO_WEBHOOK_URL",
        "X-Signature",
    )
    for words in (*named, "super_admin", '-H "Cookie: session=…"', "-i -d '{}'", '{"status":"ok"}'):
        assert words in text
    for kind in EVENT_TYPES:
        assert f"| `{kind}` |" in text


@pytest.mark.parametrize("locale", ["ru", "en"])
def test_what_it_says_that_a_page_says_is_what_the_page_says(locale: str) -> None:
    texts: list[str] = []
    for path in (ROOT / "src/golub/web/locale/ru").glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                told = message.id if locale == "en" else message.string
                texts += [told] if isinstance(told, str) else list(told or ())
    patterns = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(one)) for one in texts if one]
    said = [first or second for first, second in re.findall(SAID[locale], written(locale))]
    assert len(said) >= 6
    unknown = [one for one in said if not any(re.fullmatch(pattern, one) for pattern in patterns)]
    assert unknown == []
