"""Reports: how the team answers, drawn from `waits` and counted at the moment of asking."""

from golub.reports.filling import Filling, find_progress

__all__ = ["Filling", "find_progress"]
