"""What runs until it is told to stop: the server, the demo, the simulator."""

from pathlib import Path
from typing import Annotated

import typer

from golub.cli.console import Folder, complain, run_to_end, say, settings_of
from golub.settings import ProcessRole

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]


def serve(
    host: Host = None,
    port: Port = None,
    data_dir: Folder = None,
    role: Annotated[
        ProcessRole | None, typer.Option(help="What this process does; web and worker apart need PostgreSQL.")
    ] = None,
) -> None:
    """Receive webhooks, keep chats in step with Avito, serve the inbox."""
    from golub import arenas
    from golub.spool import refuse_second

    arenas.share()
    settings = settings_of(host=host, port=port, data_dir=data_dir, role=role)
    refuse_second(settings.data_dir)
    from golub.app import Golub

    run_to_end(Golub(settings).run(_tell_where))


def demo(
    port: Annotated[int, typer.Option(help="Port of Golub.", envvar="GOLUB_PORT")] = 8080,
    simulator_port: Annotated[int, typer.Option(help="Port of the simulator.", envvar="GOLUB_SIMULATOR_PORT")] = 8090,
    pace: Annotated[float, typer.Option(help="Seconds between two things that buyers do.")] = 6.0,
    seed: Annotated[int, typer.Option(help="Another number makes another world.")] = 1,
    data_dir: Folder = None,
) -> None:
    """Simulator and server together, with three shops, lively buyers, and a link that signs you in."""
    from golub.demo import run

    run_to_end(run(port=port, simulator_port=simulator_port, pace=pace, seed=seed, folder=data_dir, say=say))


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


def _tell_where(url: str, setup_link: str | None) -> None:
    say(f"Golub: {url}")
    if setup_link:
        say(f"Nobody can sign in yet. Create the first super_admin here (once, within 24 hours): {setup_link}")
