"""What became of a delivery, in words: for each state and each cause a short title, and what it means and what to do.

The journal's pages rely on it. Texts are the catalogue's English keys. A test leaves no cause without words.
"""

from dataclasses import dataclass

from golub.model import Cause, DeliveryState
from golub.web.language import N_


@dataclass(frozen=True, slots=True)
class Explained:
    title: str
    help: str
    look: str = ""  # of a state: its badge's kind


STATES: dict[DeliveryState, Explained] = {  # what wants to be looked at comes first
    DeliveryState.QUARANTINED: Explained(
        N_("In quarantine"), N_("It could not be applied. It is kept whole, and holds up nothing."), "bad"
    ),
    DeliveryState.WAITING: Explained(
        N_("Awaits confirmation"),
        N_("Nothing proves yet that it comes from Avito, so nothing of it is shown in the inbox."),
        "warn",
    ),
    DeliveryState.APPLIED: Explained(
        N_("Applied"), N_("What it tells stands in the chats. Applied again, it changes nothing."), "ok"
    ),
    DeliveryState.IGNORED: Explained(N_("Passed over"), N_("It was understood and kept, and on purpose not applied.")),
    DeliveryState.DISCARDED: Explained(
        N_("Discarded"), N_("It was in quarantine, and a person decided that nothing is to come of it. It stays here.")
    ),
    DeliveryState.ERASED: Explained(
        N_("Erased"),
        N_("It was about a buyer whose data were erased. That something came stays, what it was does not."),
    ),
    DeliveryState.PROBE: Explained(
        N_("Probe"), N_("An empty request: somebody asked whether Golub is here. There is nothing to apply."), "info"
    ),
}

CAUSES: dict[Cause, Explained] = {
    Cause.NOT_UTF8: Explained(
        N_("The bytes are not text"),
        N_(
            "Avito sends UTF-8, and this is none. Look at the address and the headers: if it came from Avito, "
            "something on the way has changed the body, and the proxy must be told to pass it on as it is."
        ),
    ),
    Cause.NOT_JSON: Explained(
        N_("The body is not JSON"),
        N_(
            "Avito sends JSON. Either somebody else posted this, or it was cut off or changed on the way: look at the "
            "address and the headers, then at the proxy."
        ),
    ),
    Cause.NOT_AN_OBJECT: Explained(
        N_("JSON, but not an event"),
        N_("An event of Avito is an object in braces. Somebody is trying the address, or it is another service's."),
    ),
    Cause.TOO_DEEP: Explained(
        N_("Nested too deeply"),
        N_("Events of Avito have eight levels, this has more than 64: it was made to do harm. There is nothing to do."),
    ),
    Cause.BAD_VALUE: Explained(
        N_("A field is missing or wrong"),
        N_(
            "The detail names the field. If it came from Avito, its format has changed: update Golub, then press "
            "“Apply again”. Meanwhile the regular polling brings the message."
        ),
    ),
    Cause.WRONG_ACCOUNT: Explained(
        N_("The address of one account, the event of another"),
        N_(
            "At Avito this account's secret address stands in another account's settings. Register the webhook of each "
            "account anew at Webhooks: every one has an address of its own."
        ),
    ),
    Cause.ROW_ERROR: Explained(
        N_("The database refused it"),
        N_(
            "All that came beside it was applied. The detail says what the database said. Update Golub, then press "
            "“Apply again”."
        ),
    ),
    Cause.CRASHED: Explained(
        N_("Golub stopped while applying it"),
        N_(
            "That happened several times with this very delivery, so it was set aside. Apply it again only after an "
            "update, and when nobody is waiting for Golub."
        ),
    ),
    Cause.BAD_SIGNATURE: Explained(
        N_("Its signature does not fit"),
        N_(
            "It came to the secret address, but is not signed as this account's messages have to be. If Avito sent it, "
            "the message is in its chat by now: Golub fetches it itself. If it is not, somebody forged it, and you can "
            "discard it. If many of Avito's own are held back, let a super administrator stop demanding the signature "
            "at Webhooks, then press “Apply again”."
        ),
    ),
    Cause.IP_NOT_ALLOWED: Explained(
        N_("It came from a network that is not allowed"),
        N_(
            "It came to the secret address, but from outside the networks that this account's messages have to come "
            "from. If Avito sent it, the message is in its chat by now: Golub fetches it itself; then let a super "
            "administrator add the network at Webhooks → Networks, and press “Apply again”. If it is not, somebody "
            "else knows the address: change it, and discard this."
        ),
    ),
    Cause.TYPE_NOT_CHOSEN: Explained(
        N_("This kind of event is not chosen"),
        N_("To have it, let a super administrator tick this kind at Webhooks, then press “Apply again” here."),
    ),
    Cause.UNKNOWN_TYPE: Explained(
        N_("A kind of event that Golub does not know"),
        N_("It is kept as it came. When a later Golub knows this kind, press “Apply again”."),
    ),
    Cause.UNCONFIRMED: Explained(
        N_("Golub is asking Avito"),
        N_(
            "It came to the address without a secret, where anybody can post. What Avito confirms is shown, mostly "
            "within seconds. With the address that Golub recommends nothing has to wait."
        ),
    ),
    Cause.NOT_CONFIRMED: Explained(
        N_("Avito does not know of it"),
        N_(
            "Golub asked, and Avito has no such message or chat: somebody may have made it up, or it was deleted. To "
            "ask once more, press “Apply again”."
        ),
    ),
    Cause.UNKNOWN_ACCOUNT: Explained(
        N_("Its account is not connected"),
        N_(
            "The event is about an Avito account that Golub has no keys of. Connect it at Accounts, then press "
            "“Apply again”."
        ),
    ),
    Cause.NO_API: Explained(
        N_("Avito refuses to be asked"),
        N_(
            "It refuses this account's keys, or its plan does not include the messenger's API. See Accounts. Golub "
            "tries again every five minutes."
        ),
    ),
    Cause.NOTHING_CONFIRMS: Explained(
        N_("There is no way to ask"),
        N_(
            "It came to the address without a secret, and Avito's API says nothing about events of this kind. With the "
            "address that Golub recommends they are applied at once."
        ),
    ),
}

ODDITIES: dict[str, str] = {
    "byte_order_mark": N_("The body begins with a byte order mark; it was left out."),
    "duplicate_keys": N_("A key comes twice in one object; the last one counts."),
    "characters_replaced": N_("Characters that no database keeps were replaced."),
    "content_is_text": N_("The content is bare text instead of an object; it was taken as the message's text."),
    "without_id": N_("The message has no id; Golub knows it by its chat, author, time and content."),
    "dropped": N_("The field {field} makes no sense and was left out."),
    "clamped": N_("The time in {field} lies in the future; the time of receipt stands in its place."),
}


def oddities(detail: str) -> list[tuple[str, dict[str, str]]]:
    """What was odd about a delivery that was understood: texts of the catalogue with their fields."""
    found: list[tuple[str, dict[str, str]]] = []
    for flag in detail.split(", "):
        field, _, fate = flag.rpartition("_")
        if flag in ODDITIES:
            found.append((ODDITIES[flag], {}))
        elif fate in ("dropped", "clamped"):
            found.append((ODDITIES[fate], {"field": field}))
    return found
