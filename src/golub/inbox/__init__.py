"""What the inbox shows: which chats, in which order, with which last words, and the messages of one chat.

Every list is a keyset page, so the hundred-thousandth chat costs what the first one does; every function is a fixed
number of indexed statements, whatever it returns. Each asks for the `Sight` of whoever reads, or for a chat that was
got with it: there is no other way to one. Nothing here writes chats or messages: reading is told to `fold` through
apply, replies go through the outbox. The pages and the API rely on it.
"""

from golub.inbox.care import Care
from golub.inbox.labels import (
    COLOURS,
    add_label,
    change_label,
    count_labelled,
    list_labels,
    list_labels_of,
    remove_label,
)
from golub.inbox.listing import (
    CHATS_A_PAGE,
    Line,
    Page,
    View,
    Wanted,
    count_chats,
    find_lines,
    list_accounts,
    list_chats,
    list_team,
)
from golub.inbox.names import LONGEST_NAME
from golub.inbox.notes import Noted
from golub.inbox.places import LARGEST_ID, Place
from golub.inbox.saved import list_saved, remove_saved, save_view, wanted_by
from golub.inbox.thread import (
    CHANGES_AT_ONCE,
    MESSAGES_A_PAGE,
    Entry,
    Outgoing,
    Said,
    Thread,
    find_changed,
    find_first_unread,
    find_writers,
    get_chat,
    get_message,
    get_outgoing,
    list_entries,
    list_messages,
    list_outgoing,
    mark_read,
)

__all__ = [
    "CHANGES_AT_ONCE",
    "CHATS_A_PAGE",
    "COLOURS",
    "LARGEST_ID",
    "LONGEST_NAME",
    "MESSAGES_A_PAGE",
    "Care",
    "Entry",
    "Line",
    "Noted",
    "Outgoing",
    "Page",
    "Place",
    "Said",
    "Thread",
    "View",
    "Wanted",
    "add_label",
    "change_label",
    "count_chats",
    "count_labelled",
    "find_changed",
    "find_first_unread",
    "find_lines",
    "find_writers",
    "get_chat",
    "get_message",
    "get_outgoing",
    "list_accounts",
    "list_chats",
    "list_entries",
    "list_labels",
    "list_labels_of",
    "list_messages",
    "list_outgoing",
    "list_saved",
    "list_team",
    "mark_read",
    "remove_label",
    "remove_saved",
    "save_view",
    "wanted_by",
]
