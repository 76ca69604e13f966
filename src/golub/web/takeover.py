"""Taking a webhook's place from another service, which may go on getting everything, forwarded by us.

The service's address becomes a relay before Avito is told to call us, so no delivery falls in between.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from golub.audit import By
from golub.errors import Conflict, GolubError, Invalid
from golub.model import Relay
from golub.subscription import ForeignSubscription, host_of
from golub.web.parts import Parts


@asynccontextmanager
async def forwarding(parts: Parts, account_id: int, host: str | None, by: By) -> AsyncGenerator[None]:
    """In the block its caller registers: whatever Avito calls at `host` (None: anywhere that is not ours) becomes a
    relay, and stays one if the block succeeds. Raises what Avito's client raises, and `Conflict` for an address that we
    must not call."""
    added: list[Relay] = []
    for url in await _foreign(parts, account_id, host):
        try:
            added.append(await parts.relays.add(account_id, url, by=by))
        except Invalid as error:
            raise Conflict(error.message, **error.fields) from None
        except Conflict:
            continue  # it is one already
    try:
        yield
    except BaseException:
        for relay in added:
            await parts.relays.remove(relay.id, by=by)
        raise


async def why_not(parts: Parts, account_id: int, error: GolubError) -> GolubError | None:
    """Why nothing could be forwarded to the service that registering would silence; None where it can be."""
    if not isinstance(error, ForeignSubscription):
        return None
    try:
        for url in await _foreign(parts, account_id, str(error.fields["host"])):
            parts.relays.check_url(url)
    except GolubError as reason:
        return reason
    return None


async def _foreign(parts: Parts, account_id: int, host: str | None) -> list[str]:
    listed = await parts.subscriptions.preview(account_id)
    return [url for url in listed.foreign if host is None or host_of(url) == host]
