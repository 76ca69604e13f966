"""What may be wrong with Golub itself, the machine under it, the database, and the care it is given.

Places: `folder` of data, `port` that Golub listens on, and what each text names.
"""

from golub.doctor.finding import N_, Check, Lines, warning, wrong

_LOG = Lines("shell", "journalctl -u golub -n 50\ntail -n 50 {folder}/logs/app.log")
_START = Lines("shell", "systemctl start golub")
_RESTART = Lines("shell", "systemctl restart golub")
_ROOM = Lines(
    "shell", "df -h {folder}\ndu -xh --max-depth=2 {folder} / | sort -h | tail -n 20\njournalctl --vacuum-size=200M"
)

_NOTHING_STORED = N_("Golub answers 503: no webhook is taken until this is mended. The sweep fetches what was missed.")
_STAYS_IN_SPOOL = N_("Deliveries are received and kept, but do not get into the inbox.")
_POWER_CUT = N_("A power cut may take messages with it that Golub has acknowledged to Avito.")

# Of each: what is wrong, what it costs, the fix, and what to copy or where to go for it.
# fmt: off
NOT_RUNNING = wrong("not_running", Check.SERVER,
    N_("No Golub runs on the folder {folder}."), N_("Nothing is received and nothing is sent."),
    N_("Start it. If it ends at once, its last lines say why."), _START, _LOG)
PART_STOPPED = wrong("part_stopped", Check.LOOPS,
    N_("A part of Golub does not work: {reason}"),
    N_("The rest goes on without it; which one it is says what is missing."),
    N_("The log says why. A restart does no harm."), _LOG, _RESTART)
CLOCK_OFF = wrong("clock_off", Check.CLOCK,
    N_("The clock is {seconds} seconds away from Avito's."),
    N_("Certificates and tokens seem to have run out, and messages stand in the wrong place."),
    N_("Let the system keep the time by itself."), Lines("shell", "timedatectl set-ntp true\ntimedatectl status"))
DISK_FULL = wrong("disk_full", Check.DISK,
    N_("Only {free} MB are free on the disk of {folder}."),
    N_("When it is full, Golub stops taking webhooks (503), and the database cannot be written."),
    N_("Make room: old logs and downloads first, never files inside Golub's folder."), _ROOM)
DISK_LOW = warning("disk_low", Check.DISK,
    N_("{free} MB are free on the disk of {folder}, {share} % of it."),
    N_("Golub keeps no more pictures below a tenth, and stops receiving when nothing is left."),
    N_("Make room soon, or give the machine a larger disk."), _ROOM)
NO_BALLAST = warning("no_ballast", Check.BALLAST,
    N_("The reserve of 64 MB for a full disk is not there."),
    N_("When the disk is full, there is no room left to end well: signing in and the doctor may fail as well."),
    N_("Golub makes it again by itself once 256 MB are free. If they are, look whether it runs and may write there."),
    _ROOM)
NETWORK_DISK = wrong("network_disk", Check.FILESYSTEM,
    N_("The folder {folder} lies on a network disk ({kind})."),
    N_("SQLite cannot rely on locks and syncing there: the database may be damaged, and what was acknowledged lost."),
    N_("Stop Golub, copy the folder to a disk of this machine, and name it in the setting."),
    Lines("setting", "GOLUB_DATA_DIR=/var/lib/golub"))
READ_ONLY = wrong("read_only", Check.FILESYSTEM,
    N_("Nothing can be written into {folder}."), _NOTHING_STORED,
    N_("Give the folder to the user that Golub runs as. A disk that has become read-only by itself is failing: look at "
       "the kernel's log."), Lines("shell", "chown -R golub: {folder}\nmount | grep ' ro,'\ndmesg | tail -n 30"))
DATABASE_AWAY = wrong("database_away", Check.DATABASE,
    N_("The database does not answer: {reason}"),
    N_("Webhooks are received and kept, but pages do not open and replies do not go out."),
    N_("Start PostgreSQL, and compare GOLUB_DATABASE_URL with its name, user and password. With SQLite: does another "
       "program hold golub.db?"), Lines("shell", "systemctl status postgresql\nfuser {folder}/golub.db"))
SCHEMA_NEWER = wrong("schema_newer", Check.SCHEMA,
    N_("The database was made by a newer Golub (schema {revision})."),
    N_("This one does not start with it, so that it destroys nothing."),
    N_("Install that release again, or a newer one; or restore the backup that was made before."),
    Lines("shell", "pip install --upgrade golub"))
SCHEMA_OLDER = wrong("schema_older", Check.SCHEMA,
    N_("The database has schema {revision}; this Golub needs {wanted}."), _STAYS_IN_SPOOL,
    N_("Start Golub anew: it brings the database up to date by itself. If it does not, the log says why."), _RESTART,
    _LOG)
KEY_MISSING = wrong("key_missing", Check.KEY,
    N_("The secret key is not where it is looked for: {path}."),
    N_("Golub would make a new one, which opens none of the keys of Avito that are kept."),
    N_("Put the key's file back from your copy before you start Golub."),
    Lines("shell", "install -m 600 -o golub /path/to/copy/secret.key {path}"))
KEY_WRONG = wrong("key_wrong", Check.KEY,
    N_("The database's secrets were sealed with another key."),
    N_("Golub only receives: nothing gets into the inbox, and nobody can reply."),
    N_("Put the right secret.key into the folder and start Golub again. If it is lost, enter all accounts' keys anew."),
    Lines("shell", "install -m 600 -o golub /path/to/copy/secret.key {folder}/secret.key\nsystemctl restart golub"))
SPOOL_FATAL = wrong("spool_fatal", Check.SPOOL,
    N_("The spool cannot be written any more: {reason}"), _NOTHING_STORED,
    N_("Look at the disk, it may be failing. Then start Golub again; what was received is kept."),
    Lines("shell", "df -h {folder}\ndmesg | tail -n 30"), _RESTART)
SPOOL_FULL = wrong("spool_full", Check.SPOOL,
    N_("The spool is filled to {share} % of its quota with deliveries that wait to be applied."), _NOTHING_STORED,
    N_("Mend what stands above first: the database or the disk. The spool then empties by itself."),
    Lines("setting", "GOLUB_SPOOL_QUOTA_MB={twice}"))
SPOOL_UNREADABLE = wrong("spool_unreadable", Check.SPOOL,
    N_("The spool's file cannot be read: {reason}"), _NOTHING_STORED,
    N_("Keep a copy of spool.db as it is, look at the disk, and start Golub again."),
    Lines("shell", "cp -a {folder}/spool.db* /var/tmp/\ndmesg | tail -n 30"))
SPOOL_STUCK = wrong("spool_stuck", Check.APPLY,
    N_("{count} deliveries wait to be applied, the oldest for {minutes} minutes."), _STAYS_IN_SPOOL,
    N_("If nothing above is wrong, the log says what the database refuses. Nothing is lost; a restart does no harm."),
    _LOG, _RESTART)
DATABASE_FORGETS = wrong("database_forgets", Check.DURABILITY,
    N_("The database does not put every commit on the disk: {what}."), _POWER_CUT,
    N_("Set it back. Golub itself asks for the safe values; something changes them afterwards."),
    Lines("psql", "ALTER SYSTEM SET fsync = on;\nALTER SYSTEM SET synchronous_commit = on;\n"
           "ALTER SYSTEM SET full_page_writes = on;\nSELECT pg_reload_conf();"))
OLD_SQLITE = warning("old_sqlite", Check.DATABASE_VERSION,
    N_("SQLite {version} is older than 3.51.3."),
    N_("Such releases can damage a database in a rare moment, when the write-ahead log is reset."),
    N_("On x86-64 Linux install Golub by pip, which brings its own SQLite; elsewhere renew the system's, or use "
       "PostgreSQL."), Lines("shell", "pip install --upgrade pysqlite3"),
    Lines("setting", "GOLUB_DATABASE_URL=postgresql://golub@/golub"))
OLD_POSTGRES = warning("old_postgres", Check.DATABASE_VERSION,
    N_("PostgreSQL {version} is older than 15, which Golub is tried with."), N_("It gets no more security fixes."),
    N_("Upgrade the server; make a backup first."), Lines("shell", "pg_lsclusters\npg_upgradecluster {version} main"))
SECRET_OPEN = wrong("secret_open", Check.SECRETS,
    N_("Others on this machine may read {path} (mode {mode})."),
    N_("Whoever has it can read buyers' messages, or open the keys of Avito and write as your shop."),
    N_("Close the folder and the file to everybody else."), Lines("shell", "chmod 700 {folder}\nchmod 600 {path}"))
OPEN_PORT = warning("open_port", Check.LISTENING,
    N_("Golub listens on {host}:{port} without encryption, for everybody who reaches this machine."),
    N_("Whoever goes past the proxy sends his password readable."),
    N_("Listen on this machine alone, or close the port in the firewall. In Docker publish it as "
       "127.0.0.1:{port}:{port}."), Lines("setting", "GOLUB_HOST=127.0.0.1"), Lines("shell", "ufw deny {port}/tcp"))
FEW_FILES = warning("few_files", Check.FILES,
    N_("The server may open {limit} files and connections at most; {used} are open."),
    N_("A flood of connections, or many open inboxes, can shut Avito out."),
    N_("Raise the limit and start Golub again."), Lines("systemd", "[Service]\nLimitNOFILE=65536"))
LITTLE_MEMORY = warning("little_memory", Check.MEMORY,
    N_("{free} MB of memory are left, of {total}."),
    N_("The system may end Golub without a warning, or become very slow."),
    N_("See what takes it, or give the machine more memory or some swap."),
    Lines("shell", "ps -eo rss,comm --sort=-rss | head"))
OVERLOADED = warning("overloaded", Check.LOAD,
    N_("Load is {load} on {processors} processors."), N_("Answers to Avito may take longer than two seconds."),
    N_("See what works so hard; Golub itself needs a fraction of one processor."),
    Lines("shell", "top -bn1 | head -n 20"))
NOBODY_TOLD = warning("nobody_told", Check.ALERTS,
    N_("No channel for alerts is set."), N_("When messages stop coming, nobody learns of it before looking here."),
    N_("Give Golub a Telegram bot and a chat, an e-mail address, or an address that takes a JSON POST; then send a "
       "test."), Lines("setting", "GOLUB_TELEGRAM_TOKEN=123456:…\nGOLUB_TELEGRAM_CHAT=…"), page="/admin/alerts")
ALERTS_FAIL = warning("alerts_fail", Check.ALERTS,
    N_("The last alert through {kind} did not arrive: {reason}"),
    N_("When messages stop coming, nobody learns of it before looking here."),
    N_("Look after the channel, and send a test."), page="/admin/alerts")
NO_BACKUP = warning("no_backup", Check.BACKUP,
    N_("There is no backup yet."),
    N_("If the disk fails, chats, notes and settings are gone; Avito has only the last messages of each chat."),
    N_("Make one, and keep it on another machine, together with a copy of secret.key."),
    Lines("shell", "golub backup"), page="/admin/backups")
BACKUP_FAILS = warning("backup_fails", Check.BACKUP,
    N_("The last backup failed: {reason}"), N_("If the disk fails, everything since the one before is gone."),
    N_("Mend what it says, and make one."), Lines("shell", "golub backup"), page="/admin/backups")
OLD_BACKUP = warning("old_backup", Check.BACKUP,
    N_("The newest backup is {days} days old."), N_("If the disk fails, everything since then is gone."),
    N_("See why no newer one was made: the log tells, and the room on its disk."), Lines("shell", "golub backup"),
    page="/admin/backups")
