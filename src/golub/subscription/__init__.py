"""Subscriptions: the URL that Avito calls for each account.

`url` says which URLs we take and whose one is, `register` keeps Avito, our rows and the spool in step, `checks`
compares them, `repair` brings back what was lost, `secrets` opens and closes our door, and `trial` proves that what
Avito would send arrives.
"""

from golub.subscription.checks import CHECK_EVERY, Listed
from golub.subscription.register import ForeignSubscription, ProbeFailed, Subscriptions, check_types
from golub.subscription.secrets import RETIRED_FOR, Replaced, whole_url
from golub.subscription.trial import NONCE_HEADER, Traffic, Walk, find_first_since, read_traffic, walk
from golub.subscription.url import host_of, is_answered, mask, token_of

__all__ = [
    "CHECK_EVERY",
    "NONCE_HEADER",
    "RETIRED_FOR",
    "ForeignSubscription",
    "Listed",
    "ProbeFailed",
    "Replaced",
    "Subscriptions",
    "Traffic",
    "Walk",
    "check_types",
    "find_first_since",
    "host_of",
    "is_answered",
    "mask",
    "read_traffic",
    "token_of",
    "walk",
    "whole_url",
]
