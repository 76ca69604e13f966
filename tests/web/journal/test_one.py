"""One delivery, whole: why it could not be applied, and strangers' bytes as mere text."""

import json

import pytest

from golub import journal
from golub.errors import NotFound
from golub.model import Cause, DeliveryState
from golub.subscription import token_of
from golub.web.causes import CAUSES, STATES, oddities
from golub.web.language import words
from golub.web.raw_body import SHOWN, read_raw
from tests.conftest import ONE_DATABASE
from tests.hostile.bodies import HOSTILE
from tests.web.conftest import Browser
from tests.web.journal.post import PAGE, Post, event, message, opened

RLO = "\u202e"


@pytest.mark.row(48)
@ONE_DATABASE
async def test_a_place_or_an_id_that_is_none_is_refused(admin: Browser) -> None:
    for text in ("", "1", "x.00", "-1.00", f"1.{'0' * 31}", f"1.{'A' * 32}", f"{2**63}.{'0' * 32}"):
        answer = await admin.get(PAGE, params={"before": text or "."})
        assert answer.status_code in (400, 404), text
        assert (await admin.get(f"{PAGE}/{text or 'x'}")).status_code == 404, text
        assert (await admin.post(f"{PAGE}/{text or 'x'}/replay")).status_code == 404, text
        with pytest.raises(NotFound):
            journal.key_of(text)


@ONE_DATABASE
async def test_an_id_that_is_not_there_is_not_found(admin: Browser) -> None:
    assert (await admin.get(f"{PAGE}/{'0' * 32}")).status_code == 404
    assert (await admin.post(f"{PAGE}/{'0' * 32}/replay")).status_code == 404


async def test_a_delivery_is_shown_whole(post: Post, admin: Browser) -> None:
    raw = message(mood="хорошее")[:-1] + b', "later": 1.10, "n": 12345678901234567890}'
    key = await post.brings(raw, headers={b"X-Odd": f"a{RLO}b <i>".encode(), b"Cookie": b"session=hush"})
    page = await opened(admin, f"{PAGE}/{key}")
    told = page.text
    for words_ in ("Applied", "u2i-abc", "m-1", "Велосипеды", "/webhook/avito/••••••••", "x-odd", "with the account's"):
        assert words_ in told
    body = page.within("body")
    for words_ in ('"mood": "хорошее"', '"later": 1.10', '"n": 12345678901234567890', '"type": "message"'):
        assert words_ in body
    assert "hush" not in page.markup
    assert (token_of(post.url) or "?") not in page.markup
    assert RLO not in page.markup
    (chat,), (applied,) = await post.chats(), await post.messages()
    assert f"/inbox/{chat.id}#message-{applied.id}" in {link["href"] for link in page.all("a")}


@ONE_DATABASE
async def test_what_cannot_be_applied_says_why(post: Post, admin: Browser) -> None:
    for name, (raw, cause) in HOSTILE.items():
        key = await post.brings(raw)
        page = await opened(admin, f"{PAGE}/{key}")
        for told in (CAUSES[cause].title, CAUSES[cause].help, "In detail:"):
            assert told in page.text, name
        row = (await opened(admin, f"{PAGE}?state=quarantined")).within(f"delivery-{key}")
        assert row.endswith(CAUSES[cause].title), name


@pytest.mark.row(1, 2)
@ONE_DATABASE
async def test_strangers_bytes_never_become_markup_or_turn_the_page_around(post: Post, admin: Browser) -> None:
    hostile = f"<script>alert(1)</script></pre><img src=x onerror=alert(1)>{RLO}evil\x1b[31m\u2066\x00"
    keys = [
        await post.brings(hostile.encode()),
        await post.brings(event(f"<b>{RLO}kind", text=hostile)),
        await post.brings(message(chat_id=f"<b>{RLO}chat", id="<i>id", content={"text": hostile})),
        await post.brings(b"<b>\xff\xfe" + hostile.encode(), headers={b"X-Odd": b"<b>bold</b>"}),
    ]
    for url in (PAGE, *(f"{PAGE}/{key}" for key in keys)):
        page = await opened(admin, url)
        content = page.markup.partition("<main")[2]
        for markup in ("<b>", "<i>", "<img src=x", "<script>"):
            assert markup not in content
        assert not [attrs for _, attrs in page.elements if "onerror" in attrs]
        assert all("src" in attrs for attrs in page.all("script")), "ours, from files"
        assert not {RLO, "\u2066", "\x1b", "\x00"} & set(page.markup)
    for key in keys:
        body = (await opened(admin, f"{PAGE}/{key}")).within("body")
        assert "<script>alert(1)</script>" in body
        assert "‹U+202E›" in body


def test_json_is_laid_out_without_changing_a_value() -> None:
    raw = '{"a":{},"b":[],"c":[1,{"d":"x\\"y,{"}],"a":1.50,"e":"\\u0414\\u0430\\n\\ud800","f":"_"}'.replace(
        "_", RLO
    ).encode()
    shown = read_raw(raw)
    assert shown.is_json
    assert not shown.is_cut
    assert shown.text == (
        '{\n  "a": {},\n  "b": [],\n  "c": [\n    1,\n    {\n      "d": "x\\"y,{"\n    }\n  ],\n  "a": 1.50,\n'
        '  "e": "Да\\n‹U+D800›",\n  "f": "‹U+202E›"\n}'
    )
    assert read_raw(b"\xef\xbb\xbf[1]").text == "[\n  1\n]"


@pytest.mark.row(57)
def test_long_bodies_are_cut_and_cost_little() -> None:
    for raw in (b"x" * (SHOWN + 1), json.dumps("я" * SHOWN).encode(), b"[" + b"[[[[[1]]]]]," * 20_000 + b"1]"):
        shown = read_raw(raw)
        assert shown.is_cut
        assert len(shown.text) <= SHOWN + 2
        assert shown.size == len(raw)
    assert not read_raw(b"x" * SHOWN).is_cut
    assert read_raw(b"a\xff").has_replaced
    assert read_raw(b"a\xff").text == "a\ufffd"
    assert read_raw(b"").text == ""


def test_every_state_and_cause_has_words() -> None:
    assert set(STATES) == set(DeliveryState)
    assert set(CAUSES) == set(Cause) - {Cause.NONE}
    for told in (*STATES.values(), *CAUSES.values()):
        for text in (told.title, told.help):
            assert words("ru")(text) != text
    titles = [told.title for told in (*STATES.values(), *CAUSES.values())]
    assert len(set(titles)) == len(titles)


def test_oddities_are_told_in_words() -> None:
    told = oddities("byte_order_mark, item_id_dropped, timestamp_clamped, nothing_known")
    assert [fields for _, fields in told] == [{}, {"field": "item_id"}, {"field": "timestamp"}]
