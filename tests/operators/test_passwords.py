"""Passwords are judged before they are taken, and each costs whoever guesses."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import golub
from golub.errors import Invalid, Paced, Rejected
from golub.operators import Operators
from golub.passwords import AT_ONCE, SHORTEST, SHORTEST_CORE, WAITING, Passwords, check_strength
from tests.operators.team import HOME


@pytest.mark.row(38)
@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("1234567", False),
        ("12345678", False),
        ("Qwerty123", False),
        ("йцукенгш", False),
        ("abababab", False),
        ("anna@shop.ru", False),
        ("sunshine!", False),
        ("Наташа1987", False),
        ("!!qwertyu!!", False),
        ("barcelona2026", False),
        ("19870312", False),
        ("+7 916 123-45-6", False),
        ("!@#$%^&*", False),
        ("😀😃😄😁😆🤣😂🙂", True),
        ("100200300400", True),
        ("sunshine in the kitchen", True),
        ("д" * 513, False),
        ("д" * 511 + "аб", False),
        ("семь слов", True),
        ("a\x00b c d\N{GRINNING FACE}f", True),
        ("correct horse", True),
        ("xyz" + "д" * 510, True),
    ],
)
def test_passwords_are_judged_by_length_and_by_what_is_guessed_first(password: str, good: bool) -> None:
    if good:
        check_strength(password, login="anna@shop.ru")
        return
    with pytest.raises(Invalid) as refused:
        check_strength(password, login="anna@shop.ru")
    assert refused.value.field == "password"


@pytest.mark.row(38)
def test_the_commonest_passwords_of_the_world_are_refused_with_what_is_put_around_them() -> None:
    listed = (Path(golub.__file__).parent / "vendor" / "common_passwords.txt").read_text(encoding="utf-8").split()
    long_enough = [word for word in listed if len(word) >= SHORTEST]
    assert len(long_enough) > 3000
    begun_with = [f"{word}2026!" for word in listed if word.isalpha() and len(word) >= SHORTEST_CORE]
    assert len(begun_with) > 5000
    for password in (*long_enough, *(word.upper() for word in long_enough), *begun_with):
        with pytest.raises(Invalid):
            check_strength(password)


@pytest.mark.row(38)
async def test_every_byte_of_a_password_counts(operators: Operators) -> None:
    password = "x\x00y" + "long" * 100
    await operators.create("anna", password)
    await operators.authenticate("anna", password, HOME)
    for wrong in (password[:-1], password + " ", "x\x00z" + "long" * 100, "x"):
        with pytest.raises(Rejected):
            await operators.authenticate("anna", wrong, HOME)


@pytest.mark.row(36)
def test_a_password_costs_whoever_guesses_three_passes_over_64_mib() -> None:
    """Asked of a process of its own: in this one a hash is cheap."""
    asks = "from golub.passwords import Passwords; print(Passwords()._hasher.hash('two words and more'))"
    hashed = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.row(37)
async def test_an_unknown_login_costs_a_hash_as_well() -> None:
    passwords = Passwords()
    await passwords.warm()
    asked: list[str] = []
    verify = passwords._hasher.verify

    def counted(password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the library's name
        asked.append(str(hash).split("$")[3])
        return verify(password, hash)

    passwords._hasher.verify = counted
    assert not await passwords.verify("nobody's", None)
    assert not await passwords.verify("something", await passwords.hash("something else"))
    passwords.close()
    assert len(asked) == 2
    assert asked[0] == asked[1], "the parameters of both hashes, and so their price, are the same"


@pytest.mark.row(36)
async def test_hashing_has_a_queue_with_an_end() -> None:
    passwords = Passwords()
    answers = await asyncio.gather(
        *(passwords.hash(f"two words and {number}") for number in range(AT_ONCE + WAITING + 5)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Paced)]
    assert len(refused) == 5
    assert all(isinstance(answer, str) for answer in answers if answer not in refused)
    assert await passwords.hash("and afterwards it goes on")
    passwords.close()
