"""What is kept of one buyer: to show it, to give it out, and to erase it, as the law (152-ФЗ, GDPR) lets him ask for.

A buyer is a person by Avito's id, over all accounts; of whom Avito has named no id, his one chat is all that is known.
Pages and commands name him by any of his chats, so no personal data stands in a URL or in the audit.
"""

from golub.buyers.erasing import Erasures
from golub.buyers.exporting import clear_archives, export_buyer
from golub.buyers.finding import Buyer, Holdings, Kept, find_buyers, get_buyer, holdings_of, list_backups

__all__ = [
    "Buyer",
    "Erasures",
    "Holdings",
    "Kept",
    "clear_archives",
    "export_buyer",
    "find_buyers",
    "get_buyer",
    "holdings_of",
    "list_backups",
]
