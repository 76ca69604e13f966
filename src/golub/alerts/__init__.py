"""Alerts: `watch` finds what is wrong and tells one person, in the words of `texts`."""

from golub.alerts.texts import AlertKind, text_of
from golub.alerts.watch import Alerts

__all__ = ["AlertKind", "Alerts", "text_of"]
