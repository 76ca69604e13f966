"""What becomes of one delivery, decided from its bytes and from what we know of our accounts."""

from dataclasses import dataclass, replace

from golub.allowlist import OPEN, Gate
from golub.avito.wire import ChatSeen, Event, MessageSeen, Probe, Unreadable, UserSeen, read_delivery
from golub.clock import Millis
from golub.model import DEFAULT_EVENT_TYPES, EVENT_TYPES, Cause, DeliveryState
from golub.signatures import Bytes, Sitting, Tried
from golub.spool import Received

NOT_LISTED = "not_listed"  # it came from outside the account's allow-list

_UNTRIED = Tried()


@dataclass(frozen=True, slots=True)
class Shop:
    """An account as far as a delivery needs it."""

    account_id: int
    user_id: int
    types: tuple[str, ...] = DEFAULT_EVENT_TYPES  # chosen in the panel: our own filter
    relayed: bool = False  # it has relays
    bare: bool = False  # Avito calls the bare path for it
    gate: Gate = OPEN  # which networks it may be told from


class Shops:
    """`signatures` is None where what was applied is folded once more: that stays applied."""

    def __init__(self, shops: list[Shop], signatures: Sitting | None = None) -> None:
        self.signatures = signatures
        self.by_account = {shop.account_id: shop for shop in shops}
        self.by_user = {shop.user_id: shop for shop in shops}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The journal's columns that follow from the bytes, and what is to be folded: nothing, unless applied."""

    state: DeliveryState
    cause: Cause = Cause.NONE
    detail: str = ""
    account_id: int | None = None
    event: Event | None = None
    due_at: Millis | None = None
    signature: str = ""

    @property
    def seen(self) -> MessageSeen | ChatSeen | UserSeen | None:
        return self.event.seen if self.event and self.state is DeliveryState.APPLIED else None


def judge(received: Received, shops: Shops, now: Millis) -> Verdict:
    """A token proves the account, so its deliveries are applied at once; the bare path brings hints.

    Where a person made the signature or a list of networks a rule, an event that breaks it is held back. Probes and
    bodies without an event break none.
    """
    owner = shops.by_account.get(received.account_id or 0)
    read = read_delivery(received.body, received.received_at, owner.user_id if owner else None)
    account_id = owner.account_id if owner else None
    if isinstance(read, Probe):
        return Verdict(DeliveryState.PROBE, account_id=account_id)
    if isinstance(read, Unreadable):
        return Verdict(DeliveryState.QUARANTINED, read.cause, read.detail, account_id)
    if received.token_id is None:
        return _judge_hint(read, shops, now)
    if owner is None:
        return Verdict(DeliveryState.WAITING, Cause.UNKNOWN_ACCOUNT, _oddities(read), None, read)
    if read.account_user_id != owner.user_id:
        detail = f"the token is of user_id {owner.user_id}, the body of {read.account_user_id}"
        return Verdict(DeliveryState.QUARANTINED, Cause.WRONG_ACCOUNT, detail, account_id, read)
    tried = _try_signature(received, owner, read, shops)
    if unwanted := _unwanted(read, owner):
        return replace(unwanted, signature=tried.text)
    if tried.refused:
        detail = f"the rule: {tried.refused}"
        bad = Cause.BAD_SIGNATURE
        return Verdict(DeliveryState.QUARANTINED, bad, detail, account_id, read, signature=tried.text)
    if owner.gate.refuses(received.address):
        detail = f"came from {received.address or 'no address'}"
        elsewhere = Cause.IP_NOT_ALLOWED
        return Verdict(DeliveryState.QUARANTINED, elsewhere, detail, account_id, read, signature=tried.text)
    oddities = _oddities(read, *([NOT_LISTED] if owner.gate.flags(received.address) else []))
    return Verdict(DeliveryState.APPLIED, Cause.NONE, oddities, account_id, read, signature=tried.text)


def quarantine(received: Received, shops: Shops, cause: Cause, detail: str) -> Verdict:
    """For a delivery that its own bytes must not judge any more."""
    owner = shops.by_account.get(received.account_id or 0)
    return Verdict(DeliveryState.QUARANTINED, cause, detail, owner.account_id if owner else None)


def _try_signature(received: Received, owner: Shop, event: Event, shops: Shops) -> Tried:
    if shops.signatures is None or received.token_id is None:
        return _UNTRIED
    signed = Bytes(received.body, event.avito_id, event.message_avito_id)
    return shops.signatures.attempt(owner.account_id, received.token_id, received.headers, signed)


def erased(received: Received, account_id: int) -> tuple[Received, Verdict]:
    """Of a message that was erased with its buyer's data: neither its bytes nor its ids are kept."""
    return replace(received, body=b""), Verdict(DeliveryState.ERASED, account_id=account_id)


def _judge_hint(event: Event, shops: Shops, now: Millis) -> Verdict:
    """Anyone can forge it: nothing of it is shown until the API confirms it."""
    owner = shops.by_user.get(event.account_user_id or 0)
    if owner is None:
        return Verdict(DeliveryState.WAITING, Cause.UNKNOWN_ACCOUNT, _oddities(event), None, event)
    if unwanted := _unwanted(event, owner):
        return unwanted
    if not event.chat_avito_id or isinstance(event.seen, UserSeen):
        return Verdict(DeliveryState.WAITING, Cause.NOTHING_CONFIRMS, _oddities(event), owner.account_id, event)
    return Verdict(DeliveryState.WAITING, Cause.UNCONFIRMED, _oddities(event), owner.account_id, event, due_at=now)


def _unwanted(event: Event, owner: Shop) -> Verdict | None:
    if event.type not in EVENT_TYPES:
        return Verdict(DeliveryState.IGNORED, Cause.UNKNOWN_TYPE, _oddities(event), owner.account_id, event)
    if event.type not in owner.types:
        return Verdict(DeliveryState.IGNORED, Cause.TYPE_NOT_CHOSEN, _oddities(event), owner.account_id, event)
    return None


def _oddities(event: Event, *more: str) -> str:
    """What was odd about a delivery that is none the less understood, for the journal."""
    return ", ".join((*event.flags, *more))
