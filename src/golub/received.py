"""What the log says of deliveries: one line for each, and one for each that could not be applied."""

from collections.abc import Sequence

import structlog

from golub import logs
from golub.apply import Failure
from golub.spool import Received

log = structlog.get_logger("golub")
received_log = structlog.get_logger(logs.RECEIPTS)


def log_received(deliveries: Sequence[Received]) -> None:
    """One line for each delivery, told by the drain, so that the ack path writes none."""
    logs.write_receipts(
        "webhook received",
        (
            {
                "delivery": delivery.id.hex(),
                "account": delivery.account_id,
                "path": "bare" if delivery.token_id is None else "token",
                "address": delivery.address,
                "bytes": len(delivery.body),
                "received_at": delivery.received_at,
            }
            for delivery in deliveries
        ),
    )


def log_failed(failure: Failure) -> None:
    if failure.delivery_id is None:
        log.warning("applying waits: the main database refuses", reason=failure.reason)
        return
    received_log.warning(
        "a delivery was quarantined",
        delivery=failure.delivery_id.hex(),
        account=failure.account_id,
        cause=str(failure.cause),
    )
