"""What Golub does unasked, where a team wants it so: a greeting, a reply outside working hours, a nudge to the team.

Promises: of the replies at most one goes out to a message, however often it is delivered and however many processes
look; none to history, an echo of ours, Avito's own messages, what somebody has answered, a blocked buyer, or what came
long ago; none before Avito's API has confirmed the message. Each does so by `rules`, pure functions that the dry run
asks as well. An automatic reply answers nobody: the buyer waits on, in the inbox and in reports.
"""

from golub.automation.engine import Automation

__all__ = ["Automation"]
