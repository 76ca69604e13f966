"""Alerts: `troubles` finds what is wrong, `watch` opens and closes, `notices` tells, in the words of `texts`, through
`channels`."""

from golub.alerts.channels import Sent
from golub.alerts.kinds import WAYS, AlertKind, Way, path_of
from golub.alerts.register import Configured
from golub.alerts.rules import Rules
from golub.alerts.texts import text_of
from golub.alerts.watch import Alerts

__all__ = ["WAYS", "AlertKind", "Alerts", "Configured", "Rules", "Sent", "Way", "path_of", "text_of"]
