"""Long replies are cut where a person would cut them, and never inside what is one sign on the screen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golub.outbox import split

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
SIGNS = [FAMILY, "👍🏽", "🇷🇺", "е\u0308", "❤\ufe0f", "🏴\U000e0067\U000e0062\U000e007f", "я", "🕊"]


def test_what_fits_is_left_whole() -> None:
    assert split("  раз\r\n\r\nдва  ", 10) == ["раз\n\nдва"]
    assert split(" \n", 10) == []
    assert split("🕊" * 10, 10) == ["🕊" * 10]  # Avito counts code points


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Первый абзац.\n\nВторой абзац. Конец", ["Первый абзац.", "Второй абзац. Конец"]),
        ("Первое дело. Второе дело, третье", ["Первое дело.", "Второе дело, третье"]),
        ("Он сказал: «Да, конечно.» И ещё вот это", ["Он сказал: «Да, конечно.»", "И ещё вот это"]),
        ("строка за строкой\nи ещё строка слов", ["строка за строкой", "и ещё строка слов"]),
        ("слова без всяких знаков препинания", ["слова без всяких знаков", "препинания"]),
        ("а" * 60, ["а" * 25, "а" * 25, "а" * 10]),
    ],
)
def test_at_a_paragraph_else_a_sentence_else_a_word(text: str, parts: list[str]) -> None:
    assert split(text, 25) == parts


@given(st.lists(st.sampled_from(SIGNS), min_size=1, max_size=120), st.integers(12, 40))
def test_no_sign_is_cut(signs: list[str], limit: int) -> None:
    parts = split("".join(signs), limit)
    assert "".join(parts) == "".join(signs)
    assert all(0 < len(part) <= limit for part in parts)
    ends = {sum(map(len, signs[: n + 1])) for n in range(len(signs))}
    at = 0
    for part in parts:
        at += len(part)
        assert at in ends


@given(st.text(max_size=400), st.integers(2, 50))
def test_nothing_but_blanks_is_lost_and_it_always_ends(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part.strip() and len(part) <= limit for part in parts)
