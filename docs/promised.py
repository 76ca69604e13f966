"""What Golub promises, in words that its tests are held against, and the page that says how each one fared.

The page is made from `PROMISES` and from `docs/chaos.jsonl`, to which `make chaos` adds a line for each run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("chaos.jsonl")
PAGE = Path(__file__).with_name("promises.md")

Run = dict[str, Any]  # a line of the results, see tests/chaos.py


@dataclass(frozen=True)
class Promise:
    says: str
    proof: str  # what its tests do, at their full counts
    beside: str = ""  # where we promise other than was first thought, and why


PROMISES = {
    "P1": Promise(
        "A 2xx to Avito means that the delivery is on stable storage, whatever then becomes of the process.",
        "`kill -9` at 50 random moments under 100 messages a second, on each database; Avito first never repeats, "
        "then does.",
    ),
    "P2": Promise(
        "The same holds when the machine loses power.",
        "20 power cuts on each database: the server is frozen, its disk copied as it lies there, and the copy mounted "
        "and started. The same with `synchronous=NORMAL`, and with an ack before the commit, must lose deliveries, or "
        "the test would be blind.",
    ),
    "P3": Promise(
        "Avito has its answer within 2 s, whatever else Golub is busy with. What cannot be stored in 1.5 s gets a 503 "
        "with Retry-After, never a 200 that might be untrue.",
        "200 deliveries a second for 5 minutes alone, and a minute each beside the import of 50 000 messages, backups, "
        "exports, a `VACUUM` and 20 open inboxes. (Backups and upgrades have longer trials of their own: P24, P25.)",
    ),
    "P4": Promise(
        "A message counts once, however often and through whichever door it comes.",
        "Each delivery three times at once, shuffled, over several connections and two writers: one row, one ring.",
    ),
    "P5": Promise(
        "The order of arrival does not matter: what is shown in the end is the same.",
        "2000 random histories of messages, edits, deletions, repetitions, API pages, clock steps, restarts and "
        "replays, each compared with a model that is a plain dict.",
    ),
    "P6": Promise(
        "What Avito failed to bring is found by asking, and comes once.",
        "Three in ten webhooks vanish: all is there within two sweeps. A day offline comes back whole and in order.",
    ),
    "P7": Promise(
        "A reply of ours is never sent twice and never lost in silence.",
        "100 crashes between Avito's answer and our note of it: each reply ends as sent, rejected or unconfirmed, and "
        "none is repeated without a person's word.",
    ),
    "P8": Promise(
        "A full disk costs no acked delivery and no panel: 503 to Avito while there is no room, and all is well "
        "within 10 s of there being some, without a restart.",
        "A small tmpfs is filled up under load, and `ENOSPC` is injected into the spool's writes. Backups, exports and "
        "kept pictures stop where a tenth of the disk, or 2 GiB, is left.",
    ),
    "P9": Promise(
        "A disk that fails is believed: 503, the same pages are never synced again through the same connection, and "
        "after three failures the process ends with status 1 so that its supervisor starts it anew.",
        "`EIO` is injected into every sync from a random one on.",
    ),
    "P10": Promise(
        "A main database that is locked costs Avito nothing, and nobody waits on a page: it says why within 1.5 s. A "
        "locked spool is a 503 as quickly.",
        "Another process holds each database for 10 s under load.",
    ),
    "P11": Promise(
        "A data folder has one owner.",
        "A second server on the folder ends within 2 s and says why; the first one notices nothing.",
    ),
    "P12": Promise(
        "PostgreSQL may crash, restart or be away: Avito gets its 200 throughout, and within 5 s of its return all is "
        "applied. One that is set to forget is refused at start.",
        "20 crashes of PostgreSQL under load, an outage of 30 s, a synchronous standby that takes over, and starts "
        "with `fsync` or `full_page_writes` off.",
        "`synchronous_commit` may be off on the server: each of our connections asks for its own, which counts. Only "
        "where a pooler drops that is the start refused.",
    ),
    "P13": Promise(
        "Pages stay true without the channel that makes them quick.",
        "The LISTEN connection is cut, stalled for 30 s, and its notifications lost: pages are right within 5 s.",
    ),
    "P14": Promise(
        "Any of several nodes may die.",
        "Two web and two worker processes, one of each killed every 10 s for 5 minutes.",
    ),
    "P15": Promise(
        "SIGTERM ends the process within 10 s, in good order: what is under way is answered or refused, streams are "
        "told, and nothing is lost. A second signal only makes it quicker.",
        "10 ends under 100 messages a second with open streams, then one with an impatient second SIGTERM and one "
        "with a `kill -9` in the middle.",
    ),
    "P16": Promise(
        "Avito's API may fail in any way: webhooks do not feel it, we do not hammer, and what is missing there is not "
        "deleted here.",
        "18 shops, each with an API that fails in a way of its own for two minutes, from a 429 with an absurd "
        "Retry-After to a list that never ends; requests are counted, and no message may be missing. A certificate "
        "that is not Avito's gets neither keys nor messages.",
    ),
    "P17": Promise(
        "An expired token is renewed once, whoever needs it; a wrong secret is tried once a minute and told.",
        "20 tasks at once with an expired token: one request for a new one.",
    ),
    "P18": Promise(
        "Avito's limit on requests is kept by all nodes together, and people's own requests go first.",
        "10 000 requests from two processes against the simulator's sliding window.",
    ),
    "P19": Promise(
        "A clock that jumps stalls nothing, repeats nothing, opens no ended session and reorders no chat.",
        "A clock that is stepped 2 hours both ways, 3 days ahead and a year back: that of a serving process while "
        "messages come, replies go out and the panel is open; and under what is due, hints and whole histories.",
        "What arrives while the clock is more than a day behind is dated by that clock, since a delivery dated ahead "
        "of us must not stay at the top of a list for ever; nothing tells a wrong clock from a wrong delivery.",
    ),
    "P20": Promise(
        "No delivery, however malformed, holds up the next one.",
        "20 000 mutated bodies: each is applied or in quarantine, and the good one after it is applied within 1 s.",
    ),
    "P21": Promise(
        "A flood of forgeries does not push out real deliveries.",
        "As many forged requests as a process can send for 30 s (the figures say how many), half of them without a "
        "token and half with wrong ones, beside 20 real ones a second.",
    ),
    "P22": Promise(
        "Slow clients are cut, and cost the others nothing.",
        "3000 connections that send nothing, or drip headers, or drip a body, to the webhook and to a page.",
        "No limit on the connections of one address: they all come from the proxy before us, and that is the one who "
        "can tell strangers apart.",
    ),
    "P23": Promise(
        "What is too large is refused before it costs memory.",
        "Bodies, headers and addresses far beyond each limit, and a compressed bomb.",
    ),
    "P24": Promise(
        "A backup is taken while the server runs, and restores to all that was acked before it began.",
        "A backup each minute for 10 minutes under 200 deliveries a second, each restored and judged.",
    ),
    "P25": Promise(
        "An upgrade costs no delivery and can be killed; an older release refuses a newer schema.",
        "Migrations of 100 000 messages under load, killed at 20 random moments and run again.",
    ),
    "P26": Promise(
        "A browser's stream has no gap and no repetition after any interruption, and a reader that stalls is let go.",
        "100 clients that fetch only what they are told to, 19 kills of the server, connections that fall silent, and "
        "readers who take nothing until they are cut.",
    ),
    "P27": Promise(
        "Nothing grows for ever.",
        "30 minutes at 100 deliveries a second with 20 open inboxes: memory, descriptors, tasks and logs stay level.",
    ),
    "P28": Promise(
        "What Golub says of its own health is true, within 10 s.",
        "A worker process is killed, the thread that applies ends, the disk is filled, the token revoked: each has its "
        "reason in `/healthz/ready` in time, `/healthz/live` stays 200, and webhooks that stop open an alert.",
        "503 stands for what this process needs a person or a restart for. A revoked token, or a worker that is gone "
        "elsewhere, is told with 200 and `degraded`: taking a node out of service for it would lose the webhooks of "
        "all accounts, which it still receives.",
    ),
    "P29": Promise(
        "Cleaning up never takes what still waits for something.",
        "Retention over every state, age and stage of forwarding at once, 23 000 deliveries on each database.",
    ),
    "P30": Promise(
        "Whoever did something that matters is on record, and cannot strike it out.",
        "Every audited action leaves its entry, and fails where the entry cannot be written.",
    ),
}


def page() -> str:
    latest = _latest()
    lines = [
        "<!-- Made by `make docs` out of docs/promised.py and docs/chaos.jsonl. -->",
        "# What Golub promises",
        "",
        "Each promise has tests that try to break it: in short form on every run of the suite, and at full counts.",
        "`make chaos` runs what has not passed yet with the code as it is, `make chaos P=P2` one alone, and",
        "`make chaos P='P1 P8' SHORT=1` some in short form. The judge is the simulator's own log, where an answer is",
        "synced before it counts: of the `acked` deliveries, which got a 2xx, `missing` were not found afterwards, and",
        "`twice` were applied more than once. A run prints its seed, and `CHAOS_SEED=…` takes it again.",
        "",
        "| | What is promised | How it is tried |",
        "|---|---|---|",
        *(f"| {name} | {promise.says} | {promise.proof} |" for name, promise in PROMISES.items()),
        "",
        "## Last measured",
        "",
        "| | Alone | Result | Acked | Missing | Twice | Seconds | Commit | Day | Counts |",
        "|---|---|---|---:|---:|---:|---:|---|---|---|",
        *(_row(name, latest.get(name)) for name in PROMISES),
        "",
    ]
    if better := [f"- {name}: {promise.beside}" for name, promise in PROMISES.items() if promise.beside]:
        lines += ["## Where we promise otherwise than first thought", "", *better, ""]
    return "\n".join(lines)


def runs() -> list[Run]:
    """Every recorded run, oldest first."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def counted(run: Run, figure: str) -> int | None:
    """A figure over all tests of a run; None where none of them counts it."""
    numbers = [test["figures"][figure] for test in run["tests"] if figure in test["figures"]]
    return sum(numbers) if numbers else None


def _latest() -> dict[str, Run]:
    """For each promise its last run at full counts; failing that, its last one."""
    found: dict[str, Run] = {}
    for run in runs():
        if run["full"] or not found.get(run["promise"], run)["full"]:
            found[run["promise"]] = run
    return found


def _row(name: str, run: Run | None) -> str:
    alone = f"`make chaos P={name}`"
    if run is None:
        return f"| {name} | {alone} | not yet measured | | | | | | | |"
    numbers = [counted(run, figure) for figure in ("acked", "acked_missing", "applied_twice")]
    shown = " | ".join("" if number is None else f"{number}" for number in numbers)
    scale = "full" if run["full"] else "short"
    day = run["at"][:10]
    return f"| {name} | {alone} | {run['outcome']} | {shown} | {run['seconds']} | {run['commit']} | {day} | {scale} |"
