"""What may be wrong with Golub itself, the machine under it, the database, and the care it is given.

Places: `folder` of data, `port` that Golub listens on, and what each text names.
"""

from golub.doctor.finding import N_, Check, Fault, Lines, Verdict

WRONG, WARNING = Verdict.WRONG, Verdict.WARNING

_LOG = Lines("shell", "journalctl -u golub -n 50\ntail -n 50 {folder}/logs/app.log")
_START = Lines("shell", "systemctl start golub")
_RESTART = Lines("shell", "systemctl restart golub")
_ROOM = Lines(
    "shell", "df -h {folder}\ndu -xh --max-depth=2 {folder} / | sort -h | tail -n 20\njournalctl --vacuum-size=200M"
)

_NOTHING_STORED = N_("Golub answers 503: no webhook is taken until this is mended. The sweep fetches what was missed.")
_STAYS_IN_SPOOL = N_("Deliveries are received and kept, but do not get into the inbox.")
_POWER_CUT = N_("A power cut may take messages with it that Golub has acknowledged to Avito.")

NOT_RUNNING = Fault(
    "not_running", Check.SERVER, WRONG,
    N_("No Golub runs on the folder {folder}."),
    N_("Nothing is received and nothing is sent."),
    N_("Start it. If it ends at once, its last lines say why."),
    (_START, _LOG),
)  # fmt: skip
PART_STOPPED = Fault(
    "part_stopped", Check.LOOPS, WRONG,
    N_("A part of Golub does not work: {reason}"),
    N_("The rest goes on without it; which one it is says what is missing."),
    N_("The log says why. A restart does no harm."),
    (_LOG, _RESTART),
)  # fmt: skip
CLOCK_OFF = Fault(
    "clock_off", Check.CLOCK, WRONG,
    N_("The clock is {seconds} seconds away from Avito's."),
    N_("Certificates and tokens seem to have run out, and messages stand in the wrong place."),
    N_("Let the system keep the time by itself."),
    (Lines("shell", "timedatectl set-ntp true\ntimedatectl status"),),
)  # fmt: skip
DISK_FULL = Fault(
    "disk_full", Check.DISK, WRONG,
    N_("Only {free} MB are free on the disk of {folder}."),
    N_("When it is full, Golub stops taking webhooks (503), and the database cannot be written."),
    N_("Make room: old logs and downloads first, never files inside Golub's folder."),
    (_ROOM,),
)  # fmt: skip
DISK_LOW = Fault(
    "disk_low", Check.DISK, WARNING,
    N_("{free} MB are free on the disk of {folder}, {share} % of it."),
    N_("Golub keeps no more pictures below a tenth, and stops receiving when nothing is left."),
    N_("Make room soon, or give the machine a larger disk."),
    (_ROOM,),
)  # fmt: skip
NO_BALLAST = Fault(
    "no_ballast", Check.BALLAST, WARNING,
    N_("The reserve of 64 MB for a full disk is not there."),
    N_("When the disk is full, there is no room left to end well: signing in and the doctor may fail as well."),
    N_("Golub makes it again by itself once 256 MB are free. If they are, look whether it runs and may write there."),
    (_ROOM,),
)  # fmt: skip
NETWORK_DISK = Fault(
    "network_disk", Check.FILESYSTEM, WRONG,
    N_("The folder {folder} lies on a network disk ({kind})."),
    N_("SQLite cannot rely on locks and syncing there: the database may be damaged, and what was acknowledged lost."),
    N_("Stop Golub, copy the folder to a disk of this machine, and name it in the setting."),
    (Lines("setting", "GOLUB_DATA_DIR=/var/lib/golub"),),
)  # fmt: skip
READ_ONLY = Fault(
    "read_only", Check.FILESYSTEM, WRONG,
    N_("Nothing can be written into {folder}."),
    _NOTHING_STORED,
    N_("Give the folder to the user that Golub runs as. A disk that has become read-only by itself is failing: look at "
       "the kernel's log."),
    (Lines("shell", "chown -R golub: {folder}\nmount | grep ' ro,'\ndmesg | tail -n 30"),),
)  # fmt: skip
DATABASE_AWAY = Fault(
    "database_away", Check.DATABASE, WRONG,
    N_("The database does not answer: {reason}"),
    N_("Webhooks are received and kept, but pages do not open and replies do not go out."),
    N_("Start PostgreSQL, and compare GOLUB_DATABASE_URL with its name, user and password. With SQLite: does another "
       "program hold golub.db?"),
    (Lines("shell", "systemctl status postgresql\nfuser {folder}/golub.db"),),
)  # fmt: skip
SCHEMA_NEWER = Fault(
    "schema_newer", Check.SCHEMA, WRONG,
    N_("The database was made by a newer Golub (schema {revision})."),
    N_("This one does not start with it, so that it destroys nothing."),
    N_("Install that release again, or a newer one; or restore the backup that was made before."),
    (Lines("shell", "pip install --upgrade golub"),),
)  # fmt: skip
SCHEMA_OLDER = Fault(
    "schema_older", Check.SCHEMA, WRONG,
    N_("The database has schema {revision}; this Golub needs {wanted}."),
    _STAYS_IN_SPOOL,
    N_("Start Golub anew: it brings the database up to date by itself. If it does not, the log says why."),
    (_RESTART, _LOG),
)  # fmt: skip
KEY_MISSING = Fault(
    "key_missing", Check.KEY, WRONG,
    N_("The secret key is not where it is looked for: {path}."),
    N_("Golub would make a new one, which opens none of the keys of Avito that are kept."),
    N_("Put the key's file back from your copy before you start Golub."),
    (Lines("shell", "install -m 600 -o golub /path/to/copy/secret.key {path}"),),
)  # fmt: skip
KEY_WRONG = Fault(
    "key_wrong", Check.KEY, WRONG,
    N_("The database's secrets were sealed with another key."),
    N_("Golub only receives: nothing gets into the inbox, and nobody can reply."),
    N_("Put the right secret.key into the folder and start Golub again. If it is lost, enter all accounts' keys anew."),
    (Lines("shell", "install -m 600 -o golub /path/to/copy/secret.key {folder}/secret.key\nsystemctl restart golub"),),
)  # fmt: skip
SPOOL_FATAL = Fault(
    "spool_fatal", Check.SPOOL, WRONG,
    N_("The spool cannot be written any more: {reason}"),
    _NOTHING_STORED,
    N_("Look at the disk, it may be failing. Then start Golub again; what was received is kept."),
    (Lines("shell", "df -h {folder}\ndmesg | tail -n 30"), _RESTART),
)  # fmt: skip
SPOOL_FULL = Fault(
    "spool_full", Check.SPOOL, WRONG,
    N_("The spool is filled to {share} % of its quota with deliveries that wait to be applied."),
    _NOTHING_STORED,
    N_("Mend what stands above first: the database or the disk. The spool then empties by itself."),
    (Lines("setting", "GOLUB_SPOOL_QUOTA_MB={twice}"),),
)  # fmt: skip
SPOOL_UNREADABLE = Fault(
    "spool_unreadable", Check.SPOOL, WRONG,
    N_("The spool's file cannot be read: {reason}"),
    _NOTHING_STORED,
    N_("Keep a copy of spool.db as it is, look at the disk, and start Golub again."),
    (Lines("shell", "cp -a {folder}/spool.db* /var/tmp/\ndmesg | tail -n 30"),),
)  # fmt: skip
SPOOL_STUCK = Fault(
    "spool_stuck", Check.APPLY, WRONG,
    N_("{count} deliveries wait to be applied, the oldest for {minutes} minutes."),
    _STAYS_IN_SPOOL,
    N_("If nothing above is wrong, the log says what the database refuses. Nothing is lost; a restart does no harm."),
    (_LOG, _RESTART),
)  # fmt: skip
DATABASE_FORGETS = Fault(
    "database_forgets", Check.DURABILITY, WRONG,
    N_("The database does not put every commit on the disk: {what}."),
    _POWER_CUT,
    N_("Set it back. Golub itself asks for the safe values; something changes them afterwards."),
    (Lines("psql", "ALTER SYSTEM SET fsync = on;\nALTER SYSTEM SET synchronous_commit = on;\n"
           "ALTER SYSTEM SET full_page_writes = on;\nSELECT pg_reload_conf();"),),
)  # fmt: skip
OLD_SQLITE = Fault(
    "old_sqlite", Check.DATABASE_VERSION, WARNING,
    N_("SQLite {version} is older than 3.51.3."),
    N_("Such releases can damage a database in a rare moment, when the write-ahead log is reset."),
    N_("On x86-64 Linux install Golub by pip, which brings its own SQLite; elsewhere renew the system's, or use "
       "PostgreSQL."),
    (Lines("shell", "pip install --upgrade pysqlite3"), Lines("setting", "GOLUB_DATABASE_URL=postgresql://golub@/golub")),
)  # fmt: skip
OLD_POSTGRES = Fault(
    "old_postgres", Check.DATABASE_VERSION, WARNING,
    N_("PostgreSQL {version} is older than 15, which Golub is tried with."),
    N_("It gets no more security fixes."),
    N_("Upgrade the server; make a backup first."),
    (Lines("shell", "pg_lsclusters\npg_upgradecluster {version} main"),),
)  # fmt: skip
SECRET_OPEN = Fault(
    "secret_open", Check.SECRETS, WRONG,
    N_("Others on this machine may read {path} (mode {mode})."),
    N_("Whoever has it can read buyers' messages, or open the keys of Avito and write as your shop."),
    N_("Close the folder and the file to everybody else."),
    (Lines("shell", "chmod 700 {folder}\nchmod 600 {path}"),),
)  # fmt: skip
OPEN_PORT = Fault(
    "open_port", Check.LISTENING, WARNING,
    N_("Golub listens on {host}:{port} without encryption, for everybody who reaches this machine."),
    N_("Whoever goes past the proxy sends his password readable."),
    N_("Listen on this machine alone, or close the port in the firewall. In Docker publish it as "
       "127.0.0.1:{port}:{port}."),
    (Lines("setting", "GOLUB_HOST=127.0.0.1"), Lines("shell", "ufw deny {port}/tcp")),
)  # fmt: skip
FEW_FILES = Fault(
    "few_files", Check.FILES, WARNING,
    N_("The server may open {limit} files and connections at most; {used} are open."),
    N_("A flood of connections, or many open inboxes, can shut Avito out."),
    N_("Raise the limit and start Golub again."),
    (Lines("systemd", "[Service]\nLimitNOFILE=65536"),),
)  # fmt: skip
LITTLE_MEMORY = Fault(
    "little_memory", Check.MEMORY, WARNING,
    N_("{free} MB of memory are left, of {total}."),
    N_("The system may end Golub without a warning, or become very slow."),
    N_("See what takes it, or give the machine more memory or some swap."),
    (Lines("shell", "ps -eo rss,comm --sort=-rss | head"),),
)  # fmt: skip
OVERLOADED = Fault(
    "overloaded", Check.LOAD, WARNING,
    N_("Load is {load} on {processors} processors."),
    N_("Answers to Avito may take longer than two seconds."),
    N_("See what works so hard; Golub itself needs a fraction of one processor."),
    (Lines("shell", "top -bn1 | head -n 20"),),
)  # fmt: skip
NOBODY_TOLD = Fault(
    "nobody_told", Check.ALERTS, WARNING,
    N_("No channel for alerts is set."),
    N_("When messages stop coming, nobody learns of it before looking here."),
    N_("Give Golub a Telegram bot and a chat, an e-mail address, or an address that takes a JSON POST; then send a "
       "test."),
    (Lines("setting", "GOLUB_TELEGRAM_TOKEN=123456:…\nGOLUB_TELEGRAM_CHAT=…"),), "/admin/alerts",
)  # fmt: skip
ALERTS_FAIL = Fault(
    "alerts_fail", Check.ALERTS, WARNING,
    N_("The last alert through {kind} did not arrive: {reason}"),
    N_("When messages stop coming, nobody learns of it before looking here."),
    N_("Look after the channel, and send a test."),
    (), "/admin/alerts",
)  # fmt: skip
NO_BACKUP = Fault(
    "no_backup", Check.BACKUP, WARNING,
    N_("There is no backup yet."),
    N_("If the disk fails, chats, notes and settings are gone; Avito has only the last messages of each chat."),
    N_("Make one, and keep it on another machine, together with a copy of secret.key."),
    (Lines("shell", "golub backup"),), "/admin/backups",
)  # fmt: skip
BACKUP_FAILS = Fault(
    "backup_fails", Check.BACKUP, WARNING,
    N_("The last backup failed: {reason}"),
    N_("If the disk fails, everything since the one before is gone."),
    N_("Mend what it says, and make one."),
    (Lines("shell", "golub backup"),), "/admin/backups",
)  # fmt: skip
OLD_BACKUP = Fault(
    "old_backup", Check.BACKUP, WARNING,
    N_("The newest backup is {days} days old."),
    N_("If the disk fails, everything since then is gone."),
    N_("See why no newer one was made: the log tells, and the room on its disk."),
    (Lines("shell", "golub backup"),), "/admin/backups",
)  # fmt: skip
