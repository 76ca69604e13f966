"""What operators asked us to send: each message at most once, and every one ends as sent, rejected or unconfirmed.

`queue` takes a reply into the queue (a long one in several parts), `Outbox` sends what is due.
"""

from golub.outbox.queueing import LONGEST, TEXT_LIMIT, is_repeated, queue
from golub.outbox.sending import LEASE, TRIES, Outbox
from golub.outbox.splitting import split

__all__ = ["LEASE", "LONGEST", "TEXT_LIMIT", "TRIES", "Outbox", "is_repeated", "queue", "split"]
