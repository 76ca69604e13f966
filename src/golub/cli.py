"""The doors: `golub serve`, `demo`, `simulate`, `operator …`. Each only reads its arguments and opens."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress, TaskID

from golub import __version__
from golub.errors import GolubError
from golub.model import Role
from golub.settings import ProcessRole, Settings

if TYPE_CHECKING:
    from golub.store import Store

T = TypeVar("T")

cli = typer.Typer(
    help="Golub takes every message that Avito sends to a seller, keeps it safely, and shows it to the team.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
operator = typer.Typer(help="The people who sign in.", no_args_is_help=True)
cli.add_typer(operator, name="operator")
audit = typer.Typer(help="What operators did to Golub.", no_args_is_help=True)
cli.add_typer(audit, name="audit")
spool = typer.Typer(help="Deliveries that were acked and are not applied yet.", no_args_is_help=True)
cli.add_typer(spool, name="spool")

say = Console(highlight=False, soft_wrap=True).print
complain = Console(stderr=True, highlight=False, soft_wrap=True, style="red").print

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
Folder = Annotated[Path | None, typer.Option("--data-dir", help="Folder of everything that Golub keeps.")]


@cli.command()
def serve(
    host: Host = None,
    port: Port = None,
    data_dir: Folder = None,
    role: Annotated[
        ProcessRole | None, typer.Option(help="What this process does; web and worker apart need PostgreSQL.")
    ] = None,
) -> None:
    """Receive webhooks, keep chats in step with Avito, serve the inbox."""
    from golub.app import Golub

    _run(Golub(_settings(host=host, port=port, data_dir=data_dir, role=role)).run(_tell_where))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of Golub.", envvar="GOLUB_PORT")] = 8080,
    simulator_port: Annotated[int, typer.Option(help="Port of the simulator.", envvar="GOLUB_SIMULATOR_PORT")] = 8090,
    pace: Annotated[float, typer.Option(help="Seconds between two things that buyers do.")] = 6.0,
    seed: Annotated[int, typer.Option(help="Another number makes another world.")] = 1,
    data_dir: Folder = None,
) -> None:
    """Simulator and server together, with three shops, lively buyers, and a link that signs you in."""
    from golub.demo import run

    _run(run(port=port, simulator_port=simulator_port, pace=pace, seed=seed, folder=data_dir, say=say))


@cli.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8090,
    log: Annotated[Path, typer.Option(help="File that every sent event and every answer is written to.")] = Path(
        "simulator.jsonl"
    ),
    seed: Annotated[int, typer.Option(help="Another number makes another world.")] = 1,
    demo: Annotated[bool, typer.Option(help="Start with three shops and their history.")] = True,
    pace: Annotated[float | None, typer.Option(help="Let buyers write, a message each so many seconds.")] = None,
    retry: Annotated[list[float] | None, typer.Option(help="Repeat a failed delivery after so many seconds.")] = None,
    chats: Annotated[int, typer.Option(min=0, max=1_000_000, help="So many more chats; 100000 start in seconds.")] = 0,
    scenario: Annotated[list[str] | None, typer.Option(help="Play this from the start; may be given again.")] = None,
    list_scenarios: Annotated[bool, typer.Option("--list-scenarios", help="Say what can be played, and end.")] = False,
) -> None:
    """An Avito of your own: its messenger API, its webhooks and its oddities. Needs nothing of Golub."""
    from golub.simulator import SCENARIOS
    from golub.simulator.serve import run

    if list_scenarios:
        for one in SCENARIOS.values():
            say(f"{one.name:16} {one.says}")
        return
    if unknown := set(scenario or ()) - set(SCENARIOS):
        complain(f"no such scenario: {', '.join(sorted(unknown))}; see golub simulate --list-scenarios")
        raise SystemExit(2)
    run(
        host, port, log_path=log, seed=seed, demo=demo, pace=pace,
        retries=retry or (), chats=chats, scenarios=scenario or (),
    )  # fmt: skip


@cli.command()
def backup(
    to: Annotated[
        Path | None,
        typer.Argument(help="File or folder to write to; default: the folder of backups.", show_default=False),
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Put secret.key inside as well, sealed with a passphrase.")
    ] = False,
    media: Annotated[bool, typer.Option("--media", help="Put kept pictures and voices inside as well.")] = False,
    verify: Annotated[
        Path | None, typer.Option(help="Make none: restore this one into a temporary folder, check it, and end.")
    ] = None,
    data_dir: Folder = None,
) -> None:
    """Make a backup, while the server runs or while it does not: one file with everything but the key."""
    from golub.app import open_vault
    from golub.backup import Order
    from golub.backup.commands import back_up, drill
    from golub.clock import now

    if verify:
        if to:
            raise typer.BadParameter(f"one archive at a time, and none is made meanwhile: leave out {to}")
        with _progress() as tell:
            manifest = _run(drill(verify, clock=now, tell=tell))
        say(f"{verify} is whole: {sum(manifest.counts.values())} rows, {manifest.counts.get('messages', 0)} messages")
        return
    settings = _settings(data_dir=data_dir)
    _store(settings)
    order = Order(to=to, media=media, passphrase=_passphrase(again=True) if with_secrets else "")
    with _progress() as tell:
        made = _run(back_up(settings, open_vault(settings), order, clock=now, tell=tell))
    say(f"{made.path}: {made.bytes / 1e6:.1f} MB")
    if not with_secrets:
        say(
            "The key (secret.key) is not inside. Keep it apart from the backups: without it the accounts' keys, the "
            "webhooks' secrets and the operators' passwords cannot be restored."
        )


@cli.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="What `golub backup` wrote.")],
    data_dir: Folder = None,
    database_url: Annotated[
        str | None, typer.Option(help="An empty PostgreSQL database, for a backup of PostgreSQL.")
    ] = None,
    lost_key: Annotated[
        bool, typer.Option("--lost-key", help="Go on without the key that sealed the secrets: they are lost.")
    ] = False,
) -> None:
    """Bring a backup back into an empty data folder. If it is cut off, run it again."""
    from golub.backup import read_manifest
    from golub.backup import restore as bring_back
    from golub.clock import now

    settings = _settings(data_dir=data_dir, database_url=database_url)
    key = settings.secret_key_file or settings.data_dir / "secret.key"
    asks = read_manifest(archive).has_key and not (lost_key or settings.secret_key or key.exists())
    passphrase = _passphrase() if asks else ""
    with _progress() as tell:
        restored = _run(bring_back(archive, settings, passphrase=passphrase, lost_key=lost_key, clock=now, tell=tell))
    for name in restored.removed:
        say(f"Removed {name}, left behind by an older database.")
    say(f"Restored into {settings.data_dir}: {restored.messages} messages and everything around them.")
    say("Not restored: who was signed in. Everybody signs in again.")
    if not restored.with_key:
        say(
            "The key is lost, and with it: accounts' keys (enter them again on their pages), webhooks' secrets "
            "(register each again), forwarding addresses, and passwords (`golub operator add` makes an operator, who "
            "gives the others links)."
        )
    if restored.unsure:
        say(f"{restored.unsure} replies were on their way: Golub looks for them at Avito and sends none of them twice.")
    say("What came in after the backup is fetched from Avito by the first sweep. Look at the webhooks' page once.")


@cli.command()
def rebuild(
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    data_dir: Folder = None,
    database_url: Annotated[str | None, typer.Option(help="The main database, where it is PostgreSQL.")] = None,
) -> None:
    """Fold the journal again, beside the real tables, and compare every message with ours; ends with 1 at a difference.

    Works while the server runs, writes nothing and may be cut off. What waits in a spool is not in the journal yet.
    """
    from golub.clock import now
    from golub.rebuild import rebuild as fold_again
    from golub.rebuild.telling import lines

    store = _store(_settings(data_dir=data_dir, database_url=database_url))
    with _progress() as tell:
        report = fold_again(store, now(), tell)
    if as_json:
        say(json.dumps(report.document(), ensure_ascii=False, indent=2), markup=False)
    else:
        for line in lines(report):
            say(line, markup=False)
    if not report.is_good:
        raise SystemExit(1)


@cli.command()
def export(
    to: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .jsonl or .jsonl.gz.")],
    deliveries: Annotated[bool, typer.Option("--deliveries", help="Every webhook as it came as well.")] = False,
    data_dir: Folder = None,
) -> None:
    """Write everything as JSON Lines, for those who leave; docs/export.md has the shapes. The server may run."""
    from golub.clock import now
    from golub.export import export as write

    async def run() -> str:
        try:
            exported = await write(store, to, deliveries=deliveries, clock=now, tell=tell)
        finally:
            await store.close()
        return ", ".join(f"{number} {kind}" for kind, number in exported.counts.items())

    store = _store(_settings(data_dir=data_dir))
    with _progress() as tell:
        counted = _run(run())
    say(f"{to}: {counted}")


@cli.command()
def doctor(
    lang: Annotated[str, typer.Option(help="ru or en; else the environment's language, else Russian.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="Write an archive for asking for help, without secrets.")] = None,
    data_dir: Folder = None,
) -> None:
    """Look for what is wrong, and say how to mend it. Ends with 0: nothing is wrong, 1: something is, 2: no look."""
    from golub.doctor import say_beside
    from golub.web.language import words_of_console

    raise SystemExit(_run(say_beside(_settings(data_dir=data_dir), words_of_console(lang), as_json, bundle)))


@cli.command()
def version() -> None:
    """The version of Golub."""
    say(__version__)


@operator.command("add")
def add_operator(
    login: Annotated[str, typer.Argument(help="What the operator signs in with.")],
    name: Annotated[str, typer.Option(help="Name shown to colleagues.")] = "",
    role: Annotated[Role, typer.Option(help="What the operator may do.")] = Role.SUPER_ADMIN,
    password: Annotated[
        str,
        typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, envvar="GOLUB_OPERATOR_PASSWORD"),
    ] = "",
    data_dir: Folder = None,
) -> None:
    """Add an operator. Works while the server runs, and before its first start."""
    from golub.app import create_operator

    made = _run(create_operator(_settings(data_dir=data_dir), login, name or login, role, password))
    say(f"{made.login}: {made.role}")


@operator.command("list")
def list_operators(data_dir: Folder = None) -> None:
    """Everybody who may sign in."""
    from golub.app import list_operators as everybody

    for one in _run(everybody(_settings(data_dir=data_dir))):
        say(f"{one.login}\t{one.role}\t{one.name}{'' if one.active else chr(9) + 'switched off'}")


@audit.command("verify")
def verify_audit(
    head: Annotated[
        str, typer.Option(help="What an earlier run printed and you noted: it must still be in the chain.")
    ] = "",
    data_dir: Folder = None,
) -> None:
    """Walk the audit's whole chain; ends with 1 at the first entry that was changed, removed or slipped in."""
    from golub.audit import Head, verify_in

    try:
        noted = Head.parse(head) if head else None
    except ValueError:
        complain("--head: a number, a colon and 64 hexadecimal digits, as this command prints them")
        raise SystemExit(2) from None
    verdict = _run(verify_in(_store(_settings(data_dir=data_dir)), noted))
    if verdict.broken is not None:
        complain(f"The audit is broken: entry {verdict.broken} {verdict.reason}.")
        raise SystemExit(1)
    if verdict.checked:
        say(f"{verdict.checked} entries, {verdict.oldest} to {verdict.head.number}: all are as they were written.")
        say(f"Head, to note elsewhere and give as --head later: {verdict.head}")
    else:
        say("The audit is empty.")


@spool.command("drain")
def drain_spool(
    folder: Annotated[Path, typer.Argument(help="Data folder of the node that is gone, or a copy of it.")],
    data_dir: Folder = None,
    database_url: Annotated[str | None, typer.Option(help="The main database, where it is PostgreSQL.")] = None,
) -> None:
    """Empty a dead node's spool into the main database. Run it again if it is cut off: nothing counts twice."""
    from golub.clock import now
    from golub.drain import drain

    store = _store(_settings(data_dir=data_dir, database_url=database_url))
    with _progress() as tell:
        drained = _run(drain(folder, store, now, tell))
    say(f"{drained.deliveries} deliveries left the spool.")
    if drained.quarantined:
        say(f"{drained.quarantined} of them are in quarantine: look at the journal.")


def main() -> None:
    """Entry of the `golub` script. An expected error is one line and exit code 1, without a traceback."""
    os.umask(0o077)  # what is written here is for its owner alone, in whatever folder it comes to lie
    told = False
    try:
        cli()
    except* GolubError as group:
        for error in _flat(group):
            complain(str(error))
        told = True
    if told:
        raise SystemExit(1)


def _flat(group: BaseExceptionGroup[GolubError]) -> list[GolubError]:
    return [
        one
        for inner in group.exceptions
        for one in (_flat(inner) if isinstance(inner, BaseExceptionGroup) else [inner])
    ]


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"]) or "settings"
            complain(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
        raise SystemExit(2) from None


def _store(settings: Settings) -> "Store":
    """Of a database that is there: SQLite would make an empty one wherever it is asked."""
    from golub.doctor.stored import is_there
    from golub.store import Store

    store = Store(settings.effective_database_url)
    if not is_there(store):
        complain(f"there is no database in {settings.data_dir}")
        raise SystemExit(2)
    return store


@contextmanager
def _progress() -> Generator[Callable[[str, float], None]]:
    """A line a step, with a bar where somebody watches. The steps' own names are words enough."""
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bars:
        steps: dict[str, TaskID] = {}

        def tell(step: str, share: float) -> None:
            if step not in steps:
                steps[step] = bars.add_task(step, total=1.0)
            bars.update(steps[step], completed=share)

        yield tell
        for task in steps.values():
            bars.update(task, completed=1.0)


def _passphrase(*, again: bool = False) -> str:
    given = os.environ.get("GOLUB_BACKUP_PASSPHRASE")
    return given or typer.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=again)


def _tell_where(url: str, setup_link: str | None) -> None:
    say(f"Golub: {url}")
    if setup_link:
        say(f"Nobody can sign in yet. Create the first super_admin here (once, within 24 hours): {setup_link}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
