"""Raw relay: an account's deliveries go on to further addresses, so that taking the webhook over from another service
costs that service nothing.

Avito keeps one subscription an account. `apply` queues each delivery for the account's relays in the transaction that
journals it; here `register` keeps the addresses, `courier` carries, and `request` says what is sent and what an answer
means. A relay gets what Avito sent: the same bytes, in order per chat, at least once.
"""

from golub.relay.register import Relays, Standing, Undelivered

__all__ = ["Relays", "Standing", "Undelivered"]
