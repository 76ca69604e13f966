"""How long apply rests between two batches, so that catching up never delays an ack.

Both want the interpreter, and only one of them can wait. While webhooks leave room on a processor, apply takes it.
Where they come in such numbers that none is left, apply takes a tenth of one, which keeps the inbox moving, and makes
up for it as soon as the burst is over. Whatever else keeps the process busy, a report say, makes it rest no longer.
"""

import time

PAUSE = 0.002  # seconds between two batches: acks and pages go first
BURST = 500  # deliveries a second, that it is webhooks which …
FULL = 0.9  # … leave no room on a processor, …
BUSY = 0.4  # … and take so much of it themselves
SHARE = 0.1  # of a processor that apply takes then
LONGEST = 1.0  # seconds that one rest lasts


class GivingWay:
    """Belongs to the thread that applies, whose own processor time it reads."""

    def __init__(self) -> None:
        self._seen: tuple[float, float, float, float] | None = None

    def rest(self, newest: int) -> float:
        """Seconds, after a batch; `newest` is the number of the newest delivery, 0 where none is pending."""
        before = self._seen
        newest = newest or (int(before[3]) if before else 0)
        self._seen = (time.monotonic(), time.process_time(), time.thread_time(), float(newest))
        if before is None:
            return PAUSE
        return rest(*(now - then for now, then in zip(self._seen, before, strict=True)))


def rest(passed: float, process: float, own: float, arrived: float) -> float:
    """Since the batch before ended: seconds that passed, those of a processor that the process and this thread took,
    and deliveries that came."""
    room_left = process < FULL * passed or process - own < BUSY * passed
    if room_left or arrived < BURST * passed:
        return PAUSE
    return min(max(own * (1 / SHARE - 1), PAUSE), LONGEST)
