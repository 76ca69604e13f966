"""Live rings a doorbell: "chat 17 is now at version 42". Push is a hint, refetching by version is the truth.

The inbox's event streams subscribe, apply rings after its commit. Nothing that rings may ever wait for a listener.
"""

from golub.live.memory import EVERYTHING, Live, Ring

__all__ = ["EVERYTHING", "Live", "Ring"]
