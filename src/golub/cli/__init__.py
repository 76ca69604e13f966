"""The doors: `golub serve`, `demo`, `simulate`, `operator …`. Each only reads its arguments and opens."""

import os

import typer

from golub import __version__
from golub.cli import buyers, checking, keeping, operators, secrets, servers
from golub.cli.console import complain, say
from golub.errors import GolubError

cli = typer.Typer(
    help="Golub takes every message that Avito sends to a seller, keeps it safely, and shows it to the team.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
operator = typer.Typer(help="The people who sign in.", no_args_is_help=True)
buyer = typer.Typer(help="What is kept of one buyer: show it, give it out, erase it.", no_args_is_help=True)
audit = typer.Typer(help="What operators did to Golub.", no_args_is_help=True)
secret = typer.Typer(help="The key that seals what must stay secret.", no_args_is_help=True)
spool = typer.Typer(help="Deliveries that were acked and are not applied yet.", no_args_is_help=True)


def version() -> None:
    """The version of Golub."""
    say(__version__)


for command in (
    servers.serve,
    servers.demo,
    servers.simulate,
    keeping.backup,
    keeping.restore,
    keeping.migrate_to,
    checking.rebuild,
    keeping.export,
    checking.doctor,
    version,
):
    cli.command()(command)
cli.add_typer(operator, name="operator")
operator.command("add")(operators.add)
operator.command("list")(operators.list_all)
operator.command("remove-second-factor")(operators.remove_second_factor)
cli.add_typer(buyer, name="buyer")
buyer.command("show")(buyers.show)
buyer.command("export")(buyers.export)
buyer.command("erase")(buyers.erase)
cli.add_typer(audit, name="audit")
audit.command("verify")(checking.verify_audit)
cli.add_typer(secret, name="secrets")
secret.command("rotate")(secrets.rotate)
secret.command("tidy")(secrets.tidy)
cli.add_typer(spool, name="spool")
spool.command("drain")(keeping.drain_spool)


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
