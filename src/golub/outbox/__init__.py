"""What operators asked us to send: each message at most once, and every one ends as sent, rejected or unconfirmed.

`hold` and `find_unseen` come first: two answers to one question meet there, and the second is told of the first.
`queue` takes a reply into the queue (a long one in several parts), `Outbox` sends what is due, `take_back` deletes a
message of ours and `block_buyer` keeps a buyer away, both at once and at Avito.
"""

from golub.outbox.claiming import Outbox
from golub.outbox.pictures import Pictures, open_pictures
from golub.outbox.queueing import (
    LONGEST,
    PICTURES_AT_ONCE,
    TEXT_LIMIT,
    Written,
    in_messages,
    is_repeated,
    is_taken,
    queue,
    queue_pictures,
)
from golub.outbox.second_thoughts import DELETABLE_FOR, block_buyer, take_back
from golub.outbox.sending import LEASE, TRIES
from golub.outbox.splitting import split
from golub.outbox.unseen import Screen, Unseen, find_newest_reply, find_unseen, hold

__all__ = [
    "DELETABLE_FOR",
    "LEASE",
    "LONGEST",
    "PICTURES_AT_ONCE",
    "TEXT_LIMIT",
    "TRIES",
    "Outbox",
    "Pictures",
    "Screen",
    "Unseen",
    "Written",
    "block_buyer",
    "find_newest_reply",
    "find_unseen",
    "hold",
    "in_messages",
    "is_repeated",
    "is_taken",
    "open_pictures",
    "queue",
    "queue_pictures",
    "split",
    "take_back",
]
