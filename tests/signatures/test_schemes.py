"""Schemes by themselves: each is told apart, what openssl says is what we say, and no header is too odd to be read."""

import hashlib
import hmac
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golub.signatures import Bytes, Digest, Key, Outcome, Scheme, Signed, Writing, openssl_line, written
from golub.signatures.schemes import Keys, Own, candidates, find_key, fits, read_digest, read_headers
from golub.web.signing import DIGESTS, EXAMPLE, EXAMPLE_KEY, EXAMPLE_URL, OUTCOMES, SIGNED, example_of
from golub.web.signing import KEYS as KEY_WORDS
from tests import machine

NAMES = ("x-avito-messenger-signature", "x-signature")
BODY = Bytes(b'{"id": 1}\n', "e-1", "m-1")
URL = "https://golub.example.ru/webhook/avito/secret"
KEYS = Keys(
    {Key.CLIENT_SECRET: b"cs", Key.PATH_TOKEN: b"pt", Key.CLIENT_ID: b"ci", Key.USER_ID: b"1"},
    (Own("own-3", "x-signature", b"own", Signed.PATH_BODY, Digest.HMAC), Own("own-4", "x-signature", b"other")),
    URL,
)


def raw(*pairs: tuple[str, str]) -> bytes:
    return json.dumps([list(pair) for pair in pairs]).encode()


def test_every_scheme_is_told_from_every_other() -> None:
    tried = list(candidates("x-signature", Writing.HEX, KEYS))
    assert len({str(scheme) for scheme, _ in tried}) == len(tried) == 4 * 12 + 1 + 12 + 2
    for scheme, key in tried:
        value = bytes.fromhex(written(scheme, key, BODY, URL))
        found = [other for other, key in tried if fits(other, key, BODY, URL, value)]
        assert found == [scheme]
        assert Scheme.parse(str(scheme)) == scheme
        assert find_key(scheme, KEYS) == key


def test_what_is_computed_is_what_the_words_say() -> None:
    def made(signed: Signed, digest: Digest = Digest.HMAC) -> str:
        return written(Scheme("h", "client_secret", signed, digest, Writing.HEX), b"cs", BODY, URL)

    def expected(message: bytes) -> str:
        return hmac.new(b"cs", message, hashlib.sha256).hexdigest()

    assert made(Signed.BODY) == expected(BODY.body)
    assert made(Signed.STRIPPED_BODY) == expected(b'{"id": 1}')
    assert made(Signed.URL_BODY) == expected(URL.encode() + BODY.body)
    assert made(Signed.PATH_BODY) == expected(b"/webhook/avito/secret" + BODY.body)
    assert made(Signed.EVENT_ID) == expected(b"e-1")
    assert made(Signed.MESSAGE_ID) == expected(b"m-1")
    assert made(Signed.BODY, Digest.PLAIN) == hashlib.sha256(b"cs" + BODY.body).hexdigest()


def test_public_keys_and_none_prove_nobody() -> None:
    keyed = {scheme.key for scheme, _ in candidates("x-signature", Writing.HEX, KEYS) if scheme.is_keyed}
    assert keyed == {"client_secret", "path_token", "own-3", "own-4"}


@pytest.mark.parametrize("writing", Writing)
@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("signed", Signed)
def test_openssl_says_the_same(signed: Signed, digest: Digest, writing: Writing, tmp_path: Path) -> None:
    machine.must_have(machine.Need.OPENSSL)
    scheme = Scheme("x-signature", "client_secret", signed, digest, writing)
    newline = b"\n" if signed is Signed.STRIPPED_BODY else b""
    (tmp_path / "body.json").write_bytes(EXAMPLE.body + newline)
    example = example_of(scheme)
    assert dict(example.settings)["KEY"] == EXAMPLE_KEY
    said = subprocess.run(
        example.line, shell=True, cwd=tmp_path, env=dict(example.settings) | {"PATH": "/usr/bin:/bin"},
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert said.stdout.split()[-1] == example.result
    assert openssl_line(scheme) == example.line
    if signed is Signed.URL_BODY:
        assert dict(example.settings)["URL"] == EXAMPLE_URL


@pytest.mark.parametrize(
    ("value", "written_as"),
    [
        ("ab" * 32, Writing.HEX),
        ("AB" * 32, Writing.HEX),
        (f"  {'ab' * 32} ", Writing.HEX),
        ("sha256=" + "ab" * 32, Writing.HEX),
        ("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", Writing.BASE64),
        ("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s", Writing.BASE64),
        ("a" * 63, None),
        ("a" * 65, None),
        ("g" * 64, None),
        ("", None),
        ("=" * 44, None),
        ("\u00ff" * 64, None),
        ("\u0661" * 64, None),  # digits, and not ours
        ("\ud800" * 64, None),
        ("f" * 65_536, None),
        ("sha256=", None),
        ("\0" * 64, None),
    ],
)
def test_row_16_a_value_is_read_or_it_is_not_and_nothing_raises(value: str, written_as: Writing | None) -> None:
    found = read_digest(value)
    assert (found[0] if found else None) == written_as
    assert found is None or found[1] == b"\xab" * 32


def test_row_16_headers_missing_twice_or_no_headers_at_all() -> None:
    good, other = "ab" * 32, "cd" * 32
    assert read_headers(raw(("host", "x")), NAMES) == ([], False)
    assert read_headers(raw(("X-Signature", good)), NAMES) == ([("x-signature", Writing.HEX, b"\xab" * 32)], True)
    assert read_headers(raw(("x-signature", good), ("x-signature", other)), NAMES) == ([], True)
    assert read_headers(raw(("x-signature", good), ("x-signature", "no")), NAMES) == ([], True)
    assert len(read_headers(raw(("x-signature", good), ("x-signature", good)), NAMES)[0]) == 1
    assert len(read_headers(raw((NAMES[0], good), (NAMES[1], other)), NAMES)[0]) == 2
    for broken in (b"", b"{", b"null", b"[1, [2], [3, 4, 5], {}]", b"\xff", b'[["x-signature", null]]', b"[" * 100_000):
        assert read_headers(broken, NAMES)[0] == []


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "X-SIGNATURE", "host"]), st.text()), max_size=5))
def test_no_headers_raise(pairs: list[tuple[str, str]]) -> None:
    found, present = read_headers(json.dumps(pairs).encode(), NAMES)
    assert present or not found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:b:c:d:e",
        "h:client_secret:body:hmac",
        "h:k:body:hmac:hex:x",
        "h k:a:body:hmac:hex",
        "h:k:body:hmac:x",
    ],
)
def test_what_is_no_scheme_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        Scheme.parse(text)


def test_every_outcome_and_every_part_of_a_scheme_has_words_of_its_own() -> None:
    assert set(OUTCOMES) == {"", *Outcome}
    assert len(set(KEY_WORDS.values()) | set(SIGNED.values())) == len(Key) + len(Signed)
    assert set(DIGESTS) == set(Digest)
