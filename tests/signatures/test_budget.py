"""What a search may cost: past its budget a delivery stays untried, and what fitted before is still known."""

import pytest

from golub.model import Account, SignatureMode
from golub.signatures import Bytes, Outcome, Scheme, Trial, written
from golub.signatures.schemes import Key, Keys, Writing, candidates
from golub.signatures.trying import BURST, RATE, Rule, Sitting
from golub.store import Store
from golub.vault import Vault

HEADER = "x-signature"
KEYS = Keys({Key.CLIENT_SECRET: b"cs"})
BODY = Bytes(b"x" * 1000, "e", "m")


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_searches_have_a_budget_and_known_schemes_none() -> None:
    seconds = Seconds()
    trial = Trial(None, monotonic=seconds)
    wrong = (HEADER, Writing.HEX, bytes(32))
    searches = 0
    while trial.search(1, wrong, KEYS, BODY) is Outcome.UNKNOWN:
        searches += 1
        assert searches < 100_000
    each = len(list(candidates(HEADER, Writing.HEX, KEYS))) * 1512
    assert searches == BURST // each + 1
    assert trial.search(1, wrong, KEYS, BODY) is None

    seconds.now += each / RATE * 2
    scheme = Scheme.parse(f"{HEADER}:client_secret:body:hmac:hex")
    right = (HEADER, Writing.HEX, bytes.fromhex(written(scheme, b"cs", BODY)))
    assert trial.search(1, right, KEYS, BODY) == scheme
    while trial.search(2, wrong, KEYS, BODY) is not None:
        pass
    for _ in range(1000):
        assert trial.search(1, right, KEYS, BODY) == scheme  # tried first, at no cost
    assert trial.search(1, wrong, KEYS, BODY) is Outcome.UNKNOWN  # a miss of what is known, and certain


@pytest.mark.anyio
async def test_without_a_vault_nothing_is_tried_and_no_rule_holds(store: Store) -> None:
    trial = Trial(None)
    with store.writing() as connection:
        scheme = Scheme.parse(f"{HEADER}:client_secret:body:hmac:hex")
        observed = Sitting(trial, connection, {1: Rule()}).attempt(1, 1, b"[]", BODY)
        demanded = Sitting(trial, connection, {1: Rule(SignatureMode.ENFORCE, scheme)}).attempt(1, 1, b"[]", BODY)
        unreadable = Sitting(trial, connection, {1: Rule(SignatureMode.ENFORCE)}).attempt(1, 1, b"[]", BODY)
    assert (observed.text, observed.refused) == ("", "")
    assert demanded.refused == str(scheme)
    assert unreadable.refused


@pytest.mark.anyio
async def test_another_key_opens_nothing_and_no_rule_holds(store: Store) -> None:
    """The secrets in the database were sealed with a key that this process does not have."""
    async with store.write() as session:
        account = Account(user_id=1, client_id="ci", client_secret=Vault(bytes(32)).seal("cs"), created_at=0)
        session.add(account)
    scheme = Scheme.parse(f"{HEADER}:client_secret:body:hmac:hex")
    headers = f'[["{HEADER}", "{written(scheme, b"cs", BODY)}"]]'.encode()
    rules = {account.id: Rule(SignatureMode.ENFORCE, scheme)}
    with store.writing() as connection:
        ours = Sitting(Trial(Vault(bytes(32))), connection, rules).attempt(account.id, 1, headers, BODY)
        other = Sitting(Trial(Vault(bytes([1] * 32))), connection, rules).attempt(account.id, 1, headers, BODY)
    assert (ours.text, ours.refused) == (str(scheme), "")
    assert (other.text, other.refused) == (Outcome.UNKNOWN, str(scheme))
