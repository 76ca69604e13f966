"""Faults of Golub itself, its machine, its database, and the care that it is given."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, update

from golub.health import Disk
from golub.model import AlertChannel, Mark
from golub.vault import Vault
from tests.doctor import house
from tests.doctor.house import House
from tests.doctor.planting import plants


@plants("not_running")
def _(home: House) -> None:
    home.beside = True
    home.write("locks", "")


@plants("clock_off")
def _(home: House) -> None:
    home.avito.wrong_by = 86_400


@plants("disk_full")
def _(home: House) -> None:
    home.disk = lambda _: Disk(100 << 20, 20 << 30)


@plants("disk_low")
def _(home: House) -> None:
    home.disk = lambda _: Disk(1 << 30, 20 << 30)


@plants("no_ballast", shares=False)
def _(home: House) -> None:
    (home.data / "ballast").unlink()


@plants("network_disk")
def _(home: House) -> None:
    home.write("mounts", f"/dev/sda1 / ext4 rw 0 0\nnas:/golub {home.folder} nfs4 rw 0 0\n")


@plants("read_only")
def _(home: House) -> None:
    home.settings["data_dir"] = Path("/proc")  # where nobody can make a file
    home.disk = lambda _: Disk(10 << 30, 20 << 30)


@plants("part_stopped", shares=False)
def _(home: House) -> None:
    home.parts.applier.stop()


@plants("database_away")
def _(home: House) -> None:
    home.database_url = "postgresql://golub@127.0.0.1:9/golub"


@plants("schema_newer", shares=False)
async def _(home: House) -> None:
    await home.say("UPDATE alembic_version SET version_num = '9999'")
    await home.change(update(Mark).where(Mark.name == "oldest_binary").values(value="99.0"))


@plants("schema_older", shares=False)
async def _(home: House) -> None:
    await home.say("UPDATE alembic_version SET version_num = '0001'")


@plants("key_missing")
def _(home: House) -> None:
    home.vault = None


@plants("key_wrong")
def _(home: House) -> None:
    home.vault = Vault(bytes(32))


@plants("spool_fatal", shares=False)
def _(home: House) -> None:
    home.parts.spool._writer.fatal = "disk I/O error"


@plants("spool_full", shares=False)
async def _(home: House) -> None:
    home.settings["spool_quota_mb"] = 1
    await home.holds_up(1 << 20)


@plants("spool_stuck", shares=False)
async def _(home: House) -> None:
    await home.holds_up(1000)


@plants("spool_unreadable", shares=False)
def _(home: House) -> None:
    home.beside = True
    home.settings["data_dir"] = home.copy_of_folder()
    (home.settings["data_dir"] / "spool.db").write_bytes(b"no database" * 1000)
    house.furnish(home, home.settings["data_dir"])


@plants("database_forgets")
def _(home: House) -> None:
    def forget(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    home.lent_store = None  # others would forget as well
    event.listen(home.store._apply, "connect", forget)


@plants("old_sqlite")
def _(home: House) -> None:
    def age(connection: Any, *_: object) -> None:
        connection.create_function("sqlite_version", 0, lambda: "3.40.1")

    home.lent_store = None
    event.listen(home.store._read.sync_engine, "connect", age)


@plants("secret_open", shares=False)
def _(home: House) -> None:
    (home.data / "secret.key").chmod(0o644)


@plants("open_port")
def _(home: House) -> None:
    home.settings["host"] = "0.0.0.0"


@plants("few_files")
def _(home: House) -> None:
    home.write(f"{os.getpid()}/limits", "Max open files            1024                 1024                 files\n")


@plants("little_memory")
def _(home: House) -> None:
    home.write("meminfo", "MemTotal: 4000000 kB\nMemAvailable: 90000 kB\n")


@plants("overloaded")
def _(home: House) -> None:
    home.write("loadavg", "900.00 900.00 900.00 9/900 4000\n")


@plants("nobody_told")
def _(home: House) -> None:
    home.settings["alert_url"] = ""


@plants("alerts_fail", shares=False)
async def _(home: House) -> None:
    await home.change(insert(AlertChannel).values(kind="telegram", last_error="401", last_error_at=1, changed_at=1))


@plants("no_backup", shares=False)
def _(home: House) -> None:
    for path in home.backups.iterdir():
        path.unlink()


@plants("old_backup", shares=False)
def _(home: House) -> None:
    for path in home.backups.iterdir():
        path.rename(home.backups / "golub-20260101T000000Z-scheduled.zip")


@plants("backup_fails", shares=False)
def _(home: House) -> None:
    (home.backups / "failed.json").write_text('{"at": 1, "text": "No room.", "fields": {}}')
