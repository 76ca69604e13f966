"""What operators asked us to send: each message at most once, and every one ends as sent, rejected or unconfirmed.

`queue` takes a reply into the queue (a long one in several parts), `Outbox` sends what is due, `take_back` deletes a
message of ours and `block_buyer` keeps a buyer away, both at once and at Avito.
"""

from golub.outbox.claiming import Outbox
from golub.outbox.pictures import Pictures, open_pictures
from golub.outbox.queueing import LONGEST, PICTURES_AT_ONCE, TEXT_LIMIT, Written, is_repeated, queue, queue_pictures
from golub.outbox.second_thoughts import DELETABLE_FOR, block_buyer, take_back
from golub.outbox.sending import LEASE, TRIES
from golub.outbox.splitting import split

__all__ = [
    "DELETABLE_FOR",
    "LEASE",
    "LONGEST",
    "PICTURES_AT_ONCE",
    "TEXT_LIMIT",
    "TRIES",
    "Outbox",
    "Pictures",
    "Written",
    "block_buyer",
    "is_repeated",
    "open_pictures",
    "queue",
    "queue_pictures",
    "split",
    "take_back",
]
