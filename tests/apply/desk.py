"""A replay of many deliveries, asked for by Maria and worked off part by part."""

from golub import replays
from golub.audit import By
from golub.journal import Wanted
from golub.model import Operator, Replay, ReplayKind, ReplayState
from golub.replays import Replays
from tests.apply.bench import Bench

MARIA = By(Operator(id=1, login="maria", name="Мария"), "192.0.2.9")
EVERYTHING = Wanted()


async def finish(bench: Bench, desk: Replays, replay_id: int) -> Replay:
    while await desk.run_once() is not None:
        bench.clock.step(replays.BREATH)
    done = await desk.get(replay_id)
    assert (done.state, done.due_at) == (ReplayState.FINISHED, None)
    return done


async def run(bench: Bench, desk: Replays, kind: ReplayKind, wanted: Wanted = EVERYTHING, reason: str = "") -> Replay:
    return await finish(bench, desk, await desk.start(kind, wanted, MARIA, reason=reason))
