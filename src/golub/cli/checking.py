"""What looks whether all is as it should be, and changes nothing: the doctor, the rebuild, the audit's proof."""

import json
from pathlib import Path
from typing import Annotated

import typer

from golub.cli.console import Database, Folder, complain, open_store, progress, run_to_end, say, settings_of


def doctor(
    lang: Annotated[str, typer.Option(help="ru or en; else the environment's language, else Russian.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="Write an archive for asking for help, without secrets.")] = None,
    data_dir: Folder = None,
) -> None:
    """Look for what is wrong, and say how to mend it. Ends with 0: nothing is wrong, 1: something is, 2: no look."""
    from golub.doctor import say_beside
    from golub.web.language import words_of_console

    raise SystemExit(run_to_end(say_beside(settings_of(data_dir=data_dir), words_of_console(lang), as_json, bundle)))


def rebuild(
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    data_dir: Folder = None,
    database_url: Database = None,
) -> None:
    """Fold the journal again, beside the real tables, and compare every message with ours; ends with 1 at a difference.

    Works while the server runs, writes nothing and may be cut off. What waits in a spool is not in the journal yet.
    """
    from golub.clock import now
    from golub.rebuild import rebuild as fold_again
    from golub.rebuild.telling import lines

    store = open_store(settings_of(data_dir=data_dir, database_url=database_url))
    with progress() as tell:
        report = fold_again(store, now(), tell)
    if as_json:
        say(json.dumps(report.document(), ensure_ascii=False, indent=2), markup=False)
    else:
        for line in lines(report):
            say(line, markup=False)
    if not report.is_good:
        raise SystemExit(1)


def verify_audit(
    head: Annotated[
        str, typer.Option(help="What an earlier run printed and you noted: it must still be in the chain.")
    ] = "",
    data_dir: Folder = None,
) -> None:
    """Walk the audit's whole chain; ends with 1 at the first entry that was changed, removed or slipped in."""
    from golub.audit import Head, verify

    try:
        noted = Head.parse(head) if head else None
    except ValueError:
        complain("--head: a number, a colon and 64 hexadecimal digits, as this command prints them")
        raise SystemExit(2) from None
    store = open_store(settings_of(data_dir=data_dir))
    verdict = run_to_end(verify(store, noted), store)
    if verdict.broken is not None:
        complain(f"The audit is broken: entry {verdict.broken} {verdict.reason}.")
        raise SystemExit(1)
    if verdict.checked:
        say(f"{verdict.checked} entries, {verdict.oldest} to {verdict.head.number}: all are as they were written.")
        say(f"Head, to note elsewhere and give as --head later: {verdict.head}")
    else:
        say("The audit is empty.")
