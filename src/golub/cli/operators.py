"""The people who sign in."""

from typing import Annotated

import typer

from golub.cli.console import Folder, run_to_end, say, settings_of
from golub.roles import Role


def add(
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
    from golub.cli.people import create_operator

    made = run_to_end(create_operator(settings_of(data_dir=data_dir), login, name or login, role, password))
    say(f"{made.login}: {made.role}")


def remove_second_factor(
    login: Annotated[str, typer.Argument(help="What the operator signs in with.")], data_dir: Folder = None
) -> None:
    """Let an operator who lost the phone sign in by the password alone. Works while the server runs."""
    from golub.cli.people import remove_second_factor as remove

    freed = run_to_end(remove(settings_of(data_dir=data_dir), login))
    say(f"{freed.login}: signs in by the password alone")


def list_all(data_dir: Folder = None) -> None:
    """Everybody who may sign in."""
    from golub.cli.people import list_operators as everybody

    for one in run_to_end(everybody(settings_of(data_dir=data_dir))):
        say(f"{one.login}\t{one.role}\t{one.name}{'' if one.active else chr(9) + 'switched off'}")
