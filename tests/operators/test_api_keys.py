"""A key works by its hash while its operator is let in; whoever guesses waits, and whoever has one does not."""

import pytest
from sqlalchemy import select

from golub.audit import Action, By
from golub.clock import DAY, MINUTE
from golub.errors import Conflict, Invalid, NotFound, Paced
from golub.model import ApiKey, AuditEntry, Operator, Role, Scope, SignInFailure
from golub.operators import KEYS_MOST, Operators
from golub.operators.secret import digest
from golub.store import Store
from golub.throttle import FREE_BY_ADDRESS
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.operators.team import ELSEWHERE, HOME, PASSWORD


async def made(
    operators: Operators, operator: Operator, *scopes: str, days: int | None = None, name: str = "CRM"
) -> tuple[ApiKey, str]:
    chosen = scopes or (Scope.CHATS_READ,)
    return await operators.make_key(operator, name, chosen, days=days, by=By(operator, HOME))


async def joined(operators: Operators, login: str, role: Role = Role.MANAGER) -> Operator:
    return await operators.create(login, PASSWORD, role=role)


async def works(operators: Operators, secret: str, address: str = ELSEWHERE) -> bool:
    return await operators.find_key(secret, address) is not None


async def told(store: Store, *actions: Action) -> list[AuditEntry]:
    async with store.read() as session:
        found = select(AuditEntry).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.id)
        return list(await session.scalars(found))


async def test_it_is_kept_as_a_hash_and_told_to_the_audit(operators: Operators, store: Store) -> None:
    anna = await joined(operators, "anna")
    key, secret = await made(operators, anna, days=30)
    assert secret.startswith("golub_")
    assert len(bytes.fromhex(secret.removeprefix("golub_"))) == 32
    async with store.read() as session:
        kept = (await session.scalars(select(ApiKey))).one()
    assert (bytes(kept.hash), kept.ending, secret in str(vars(kept))) == (digest(secret), secret[-4:], False)
    (entry,) = await told(store, Action.API_KEY_MADE)
    assert (entry.who, entry.subject, entry.address) == ("anna", "anna", HOME)
    assert entry.after == '{"days":30,"name":"CRM","scopes":["chats:read"]}'
    assert secret not in entry.after
    found = await operators.find_key(secret, ELSEWHERE)
    assert found
    assert (found[0].id, found[1].id) == (key.id, anna.id)
    assert (found[0].has(Scope.CHATS_READ), found[0].has(Scope.MESSAGES_WRITE)) == (True, False)


@ONE_DATABASE
async def test_what_cannot_be_a_key_is_refused(operators: Operators) -> None:
    anna = await joined(operators, "anna")
    by = By(anna, HOME)
    for name, scopes, days, field in (
        (" ", [Scope.CHATS_READ], None, "name"),
        ("CRM", [], None, "scopes"),
        ("CRM", ["root"], None, "scopes"),
        ("CRM", [Scope.WEBHOOKS_WRITE], None, "scopes"),  # a manager's
        ("CRM", [Scope.CHATS_READ], 36500, "days"),
        ("CRM", [Scope.CHATS_READ], 0, "days"),
    ):
        with pytest.raises(Invalid) as refused:
            await operators.make_key(anna, name, scopes, days=days, by=by)
        assert refused.value.field == field
    for _ in range(KEYS_MOST):
        await made(operators, anna)
    with pytest.raises(Conflict):
        await made(operators, anna)


async def test_it_ends_with_its_time_its_revoking_and_its_operator(
    operators: Operators, store: Store, clock: SteppedClock
) -> None:
    boss, anna = await joined(operators, "boss", Role.SUPER_ADMIN), await joined(operators, "anna")
    (old, old_secret), (revoked, revoked_secret) = await made(operators, anna, days=30), await made(operators, anna)
    _, kept_secret = await made(operators, anna, name="бот")
    await operators.revoke_key(revoked.id, by=By(anna, HOME))
    assert [await works(operators, one) for one in (old_secret, revoked_secret, kept_secret)] == [True, False, True]
    clock.step(30 * DAY)
    assert [await works(operators, one) for one in (old_secret, kept_secret)] == [False, True]
    assert {key.id for key in await operators.list_keys(anna.id)} >= {old.id}
    await operators.change(anna.id, role=Role.ADMIN, by=By(boss, HOME))
    assert await works(operators, kept_secret)  # what it may is his role's, at each request
    await operators.change(anna.id, active=False, by=By(boss, HOME))
    assert not await works(operators, kept_secret)
    await operators.change(anna.id, active=True, by=By(boss, HOME))
    assert not await works(operators, kept_secret)
    assert await operators.list_keys(anna.id) == []
    entries = await told(store, Action.API_KEY_REVOKED)
    assert [(one.who, one.subject) for one in entries] == [("anna", "anna"), ("boss", "anna"), ("boss", "anna")]


@ONE_DATABASE
async def test_expired_ones_are_listed_for_a_month(operators: Operators, clock: SteppedClock) -> None:
    anna = await joined(operators, "anna")
    await made(operators, anna, days=30)
    clock.step(59 * DAY)
    await operators.remove_expired()
    assert len(await operators.list_keys(anna.id)) == 1
    clock.step(DAY)
    await operators.remove_expired()
    assert await operators.list_keys(anna.id) == []


@ONE_DATABASE
@pytest.mark.parametrize("way", ["link", "own", "own, keys too"])
async def test_a_password_that_somebody_may_have_had_ends_them(operators: Operators, way: str) -> None:
    boss, anna = await joined(operators, "boss", Role.SUPER_ADMIN), await joined(operators, "anna")
    _, secret = await made(operators, anna)
    if way == "link":
        await operators.set_password(await operators.reset(anna.id, by=By(boss, HOME)), "quite another one")
    else:
        _, opened = await operators.open_session(anna)
        by = By(anna, HOME)
        await operators.change_password(opened, anna, "quite another one", keys_too="too" in way, by=by)
    assert await works(operators, secret) is (way == "own")


@ONE_DATABASE
async def test_only_its_operator_and_a_super_admin_revoke_it(operators: Operators) -> None:
    boss, admin = await joined(operators, "boss", Role.SUPER_ADMIN), await joined(operators, "admin", Role.ADMIN)
    anna, eve = await joined(operators, "anna"), await joined(operators, "eve")
    key, secret = await made(operators, anna)
    for other in (eve, admin):
        with pytest.raises(NotFound):
            await operators.revoke_key(key.id, by=By(other, HOME))
    assert await works(operators, secret)
    await operators.revoke_key(key.id, by=By(boss, HOME))
    assert not await works(operators, secret)
    with pytest.raises(NotFound):
        await operators.revoke_key(key.id, by=By(boss, HOME))


async def test_wrong_keys_wait_and_right_ones_never(operators: Operators, store: Store, clock: SteppedClock) -> None:
    anna = await joined(operators, "anna")
    _, secret = await made(operators, anna)
    wrong = ["golub_" + f"{number:064x}" for number in range(FREE_BY_ADDRESS)]
    for guess in (*wrong[:-4], secret + "0", secret.upper(), "", "golub_ж"):
        assert not await works(operators, guess)
    with pytest.raises(Paced) as paced:
        await works(operators, wrong[0])
    assert paced.value.status == 429
    async with store.read() as session:
        (row,) = await session.scalars(select(SignInFailure))
    assert (row.key, row.count) == (f"key:{ELSEWHERE}", FREE_BY_ADDRESS)
    assert await works(operators, secret, ELSEWHERE)  # the neighbour of a program that was forgotten
    assert not await works(operators, wrong[0], HOME)
    await operators.authenticate("anna", PASSWORD, ELSEWHERE)  # nor is anybody kept from signing in
    clock.step(MINUTE)
    assert not await works(operators, wrong[0])


@ONE_DATABASE
async def test_when_and_from_where_it_was_used_is_kept_to_the_minute(operators: Operators, clock: SteppedClock) -> None:
    anna = await joined(operators, "anna")
    _, secret = await made(operators, anna)
    began = clock()
    for step, address in ((0, HOME), (MINUTE // 2, ELSEWHERE), (MINUTE // 2, ELSEWHERE)):
        clock.step(step)
        await works(operators, secret, address)
        (key,) = await operators.list_keys(anna.id)
        seen = (began, HOME) if clock() < began + MINUTE else (began + MINUTE, ELSEWHERE)
        assert (key.used_at, key.used_from) == seen
