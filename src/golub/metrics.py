"""Every number that Golub shows to a monitoring system, on one page. The part that counts increments it by name.

One registry a process, and not the library's default one: `/metrics` shows what is ours and nothing else.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)  # memory, file descriptors, CPU seconds: process_…

_QUICK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)

webhook_answers = Counter(
    "golub_webhook_answers",
    "Answers of the webhook endpoint, by path (token, bare or unknown) and HTTP status.",
    ["path", "status"],
    registry=REGISTRY,
)
webhook_seconds = Histogram(
    "golub_webhook_seconds",
    "From the request's headers to a 200, which means: on stable storage. Avito allows 2 s.",
    buckets=_QUICK,
    registry=REGISTRY,
)
token_lookups = Counter(
    "golub_token_lookups",
    "Webhook tokens unknown to this node, by what the main database said (found, unknown, away, over_budget).",
    ["outcome"],
    registry=REGISTRY,
)
spool_commits = Counter("golub_spool_commits", "Commits of the spool, all with FULL.", registry=REGISTRY)
spool_commit_seconds = Histogram(
    "golub_spool_commit_seconds", "One commit of the spool, fsync included.", buckets=_QUICK, registry=REGISTRY
)
spool_failures = Counter(
    "golub_spool_failures",
    "Commits of the spool that failed, by kind (locked, full, storage); nothing in them was acked.",
    ["kind"],
    registry=REGISTRY,
)
spool_pending = Gauge("golub_spool_pending", "Deliveries acked and not yet applied.", registry=REGISTRY)
spool_pending_bytes = Gauge("golub_spool_pending_bytes", "Their size.", registry=REGISTRY)
spool_oldest_seconds = Gauge(
    "golub_spool_oldest_seconds", "Age of the oldest of them: what a lost disk would cost.", registry=REGISTRY
)
coverage_share = Gauge(
    "golub_coverage_share",
    "Share of an account's messages of the last 24 h whose webhook came within 60 s of being sent (0 to 1).",
    ["account"],
    registry=REGISTRY,
)
coverage_missed = Gauge(
    "golub_coverage_missed", "Messages of the last 24 h whose webhook did not.", ["account"], registry=REGISTRY
)
relay_sends = Counter(
    "golub_relay_sends",
    "Tries to forward a delivery to a relay, by outcome (sent, failed).",
    ["outcome"],
    registry=REGISTRY,
)
relay_waiting = Gauge(
    "golub_relay_waiting", "Deliveries that wait to be forwarded, over all relays.", registry=REGISTRY
)
apply_deliveries = Counter(
    "golub_apply_deliveries", "Deliveries that left the spool, by what they became.", ["state"], registry=REGISTRY
)
apply_batch_seconds = Histogram(
    "golub_apply_batch_seconds", "One batch of apply, its commit included.", buckets=_QUICK, registry=REGISTRY
)
apply_lag_seconds = Histogram(
    "golub_apply_lag_seconds",
    "From a delivery's receipt until it is in the inbox.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
    registry=REGISTRY,
)
apply_failures = Counter(
    "golub_apply_failures", "Batches that the main database refused; they are tried again.", registry=REGISTRY
)
loop_turns = Counter(
    "golub_loop_turns", "Turns of the loops that run by themselves, by loop.", ["loop"], registry=REGISTRY
)
loop_failures = Counter(
    "golub_loop_failures", "Turns that ended in a mistake of ours; they are repeated.", ["loop"], registry=REGISTRY
)
backup_age = Gauge(
    "golub_backup_age_seconds",
    "Since the newest backup of this node began; NaN while there is none.",
    registry=REGISTRY,
)
housekeeping_removed = Counter(
    "golub_housekeeping_removed", "Old rows that housekeeping removed, by kind.", ["kind"], registry=REGISTRY
)
housekeeping_ran_at = Gauge(
    "golub_housekeeping_ran_at", "When housekeeping last came through, in seconds since 1970.", registry=REGISTRY
)
database_log_bytes = Gauge(
    "golub_database_log_bytes", "Size of SQLite's log beside golub.db; 0 on PostgreSQL.", registry=REGISTRY
)
build = Gauge(
    "golub_build_info",
    "1, with the version, the database (sqlite, postgresql) and the role (all, web, worker) of this process.",
    ["version", "database", "role"],
    registry=REGISTRY,
)
tasks = Gauge(
    "golub_tasks",
    "Tasks of the event loop: more with every open stream, and a leak where it only grows.",
    registry=REGISTRY,
)
connections_refused = Counter(
    "golub_connections_refused", "Requests answered 503 because too many were under way.", registry=REGISTRY
)
disk_free = Gauge("golub_disk_free_bytes", "Free bytes on the disk of the data folder.", registry=REGISTRY)
disk_size = Gauge("golub_disk_size_bytes", "Its size.", registry=REGISTRY)
account_states = Gauge(
    "golub_account_state",
    "1 for the state that the account is in (working, wrong_keys, no_access, unreachable, paused), 0 for the others.",
    ["account", "state"],
    registry=REGISTRY,
)
subscriptions = Gauge(
    "golub_subscriptions",
    "Webhooks by what Avito says of them (active, missing, foreign, unknown).",
    ["state"],
    registry=REGISTRY,
)
outgoing = Gauge("golub_outgoing", "Outgoing messages that are not finished, by state.", ["state"], registry=REGISTRY)
quarantined = Gauge("golub_quarantined", "Deliveries in quarantine that wait for a person.", registry=REGISTRY)
held_back = Gauge(
    "golub_held_back",
    "Deliveries in quarantine because of a rule that a person made, by cause (bad_signature, ip_not_allowed).",
    ["account", "cause"],
    registry=REGISTRY,
)
signature_mode = Gauge(
    "golub_signature_mode",
    "1 for what is demanded of an account's signatures (off, observe, enforce), 0 for the others.",
    ["account", "mode"],
    registry=REGISTRY,
)
signature_messages = Gauge(
    "golub_signature_messages",
    "Messages that the signature lab has counted: confirmed by Avito's API, and of them signed.",
    ["account", "kind"],
    registry=REGISTRY,
)
signature_run = Gauge(
    "golub_signature_run",
    "Of them in a row, up to now, that a way of signing fits (header:key:signed:digest:writing, by the key's name).",
    ["account", "scheme"],
    registry=REGISTRY,
)
networks_mode = Gauge(
    "golub_networks_mode",
    "1 for what is demanded of the networks that deliveries come from (off, observe, flag, enforce), 0 for the others.",
    ["account", "mode"],
    registry=REGISTRY,
)
networks_messages = Gauge(
    "golub_networks_messages",
    "Messages whose network was noted: confirmed by Avito's API, of them outside the list, and doubtful ones (two "
    "networks at once), which count for neither.",
    ["account", "kind"],
    registry=REGISTRY,
)
relays = Gauge("golub_relays", "Relays by state.", ["state"], registry=REGISTRY)
avito_requests = Counter(
    "golub_avito_requests",
    "Requests to Avito's API by outcome: ok, paced (429), down, ambiguous (the answer was lost), refused.",
    ["outcome"],
    registry=REGISTRY,
)
avito_wait_seconds = Histogram(
    "golub_avito_wait_seconds",
    "Wait for a request's turn, by lane (operator, prompt, bulk).",
    ["lane"],
    buckets=(0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    registry=REGISTRY,
)
automatic_acts = Counter(
    "golub_automatic_acts",
    "Messages that a rule of the automation was about, by kind (greeting, away, nudge) and outcome (done, or why not).",
    ["kind", "outcome"],
    registry=REGISTRY,
)
streams_open = Gauge("golub_streams_open", "Browsers and programs that listen to the live stream.", registry=REGISTRY)
alerts_open = Gauge("golub_alerts_open", "Open alerts by kind.", ["kind"], registry=REGISTRY)
alerts_told = Counter(
    "golub_alerts_told",
    "Messages to a person, by channel and outcome (sent, failed).",
    ["channel", "outcome"],
    registry=REGISTRY,
)
