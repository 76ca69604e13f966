"""What the person who runs Golub may choose, read once at start from `GOLUB_*` and never again.

Everything has a default that is right for one shop on one machine. The names that the guide's earlier system used
(`AVITO_WEBHOOK_URL`, `SYNC_INTERVAL`, `SECRET_KEY`, `SESSION_COOKIE_SECURE`) are read as well, after ours.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from golub.moved import find_moved

AVITO_URL = "https://api.avito.ru"
WEBHOOK_PATH = "/webhook/avito"
SIGNATURE_HEADERS = ("x-avito-messenger-signature", "x-signature")  # Avito's; the guide's name for it
RELAYED_HEADER = "x-golub-delivery"  # on what we forward: the delivery's id, the same over all tries

HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")
Network = IPv4Network | IPv6Network


class ProcessRole(StrEnum):
    """What a process of Golub does; several processes share one PostgreSQL."""

    ALL = "all"
    WEB = "web"  # takes webhooks and shows pages
    WORKER = "worker"  # everything that runs by itself


class Settings(BaseSettings):
    """`Settings()` reads the environment; tests pass what they need by name."""

    model_config = SettingsConfigDict(env_prefix="GOLUB_", populate_by_name=True, extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("data"), description="Folder of everything that Golub keeps.")
    database_url: str = Field(default="", description="PostgreSQL to use instead of golub.db in the data folder.")
    role: ProcessRole = Field(
        default=ProcessRole.ALL,
        description="What this process does: all, web (webhooks and pages) or worker; apart only on PostgreSQL.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; a proxy with HTTPS stands before it.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str = Field(
        default="",
        validation_alias=AliasChoices("GOLUB_PUBLIC_URL", "AVITO_WEBHOOK_URL"),
        description="Address under which the world reaches Golub, https://golub.example.ru; Avito calls it.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        description="Networks whose X-Forwarded-For is believed, comma-separated; the rightmost other hop counts.",
    )
    secret_key_file: Path | None = Field(
        default=None, description="Key that seals secrets; default: secret.key in the folder."
    )
    secret_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GOLUB_SECRET_KEY", "SECRET_KEY"),
        description="The key itself (32 characters or more) where a file cannot be had; a file is better.",
    )
    session_cookie_secure: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("GOLUB_SESSION_COOKIE_SECURE", "SESSION_COOKIE_SECURE"),
        description="Send the session cookie over HTTPS only; default: yes, unless we serve plain HTTP on loopback.",
    )
    second_factor_required: bool = Field(
        default=False,
        description="Super administrators need a second factor: without one they reach nothing but setting it up.",
    )
    sweep_period: float = Field(
        default=300,
        ge=5,
        validation_alias=AliasChoices("GOLUB_SWEEP_PERIOD", "SYNC_INTERVAL"),
        description="Seconds between two looks at Avito for messages that no webhook brought.",
    )
    bare_path: bool = Field(
        default=True, description="Answer on /webhook/avito without a token; such deliveries are hints."
    )
    signature_headers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=SIGNATURE_HEADERS,
        description="Headers of a delivery that are looked at for a signature, comma-separated.",
    )
    avito_url: str = Field(default=AVITO_URL, description="Avito's API, or a simulator's address.")
    allow_loopback_webhook: bool = Field(
        default=False,
        description="Let a webhook point at this machine; for a simulator, refused with Avito's real host.",
    )
    requests_per_minute: int = Field(default=500, ge=10, description="Requests a minute to Avito for one account.")
    alert_url: str = Field(
        default="", description="URL that gets a JSON POST when the webhook breaks and when it recovers."
    )
    telegram_token: SecretStr | None = Field(
        default=None, description="Token of a Telegram bot that sends the same alerts."
    )
    telegram_chat: str = Field(default="", description="Telegram chat that the bot writes to.")
    alert_secret: SecretStr | None = Field(
        default=None, description="whsec_… that signs what GOLUB_ALERT_URL gets, as Standard Webhooks does."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server for alerts: smtps://user:password@host:465; smtp:// is STARTTLS; ?from= the sender.",
    )
    alert_email: str = Field(default="", description="E-mail address that gets the alerts.")
    metrics_token: SecretStr | None = Field(
        default=None, description="Bearer token that opens /metrics from elsewhere; without one only this machine may."
    )
    metrics_token_file: Path | None = Field(default=None, description="File with that token; better than the above.")
    spool_quota_mb: int = Field(
        default=1024, ge=8, description="Undrained deliveries kept on disk before we answer 503."
    )
    backup_every: float = Field(
        default=24, ge=0, description="Hours between two backups that Golub makes by itself; 0: none."
    )
    backup_dir: Path | None = Field(
        default=None, description="Folder of the backups, best on another disk; default: backups in the data folder."
    )
    backup_keep_days: int = Field(default=7, ge=0, description="Days of which the newest backup is kept.")
    backup_keep_weeks: int = Field(default=4, ge=0, description="Weeks of which the newest backup is kept.")
    deliveries_keep_days: int = Field(
        default=90, ge=0, description="Days that the journal keeps finished deliveries; 0: for ever."
    )
    deliveries_keep_mb: int = Field(
        default=4096, ge=0, description="Size at which the journal's oldest finished deliveries go earlier; 0: none."
    )
    timeline_keep_days: int = Field(
        default=365, ge=0, description="Days that the accounts' timelines are kept; 0: for ever."
    )
    alerts_keep_days: int = Field(default=365, ge=0, description="Days that closed alerts are kept; 0: for ever.")
    audit_keep_days: int = Field(default=365, ge=0, description="Days that the audit is kept; 0: for ever.")
    log_level: str = Field(
        default="info", description="debug, info, warning or error, for the console and logs/app.log."
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            if "*" in value:
                raise ValueError("name the proxies' networks: '*' would let any stranger forge his address")
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _not_everybody(cls, networks: tuple[Network, ...]) -> tuple[Network, ...]:
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("name the proxies' networks: one of everybody would let any stranger forge his address")
        return networks

    @field_validator("signature_headers", mode="before")
    @classmethod
    def _headers(cls, value: object) -> object:
        if isinstance(value, str):
            names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
            if not all(HEADER_NAME.fullmatch(name) for name in names):
                raise ValueError("must be names of headers, such as x-signature")
            return names
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        """The guide's system gave the webhook's whole URL here: keep its origin."""
        if not value:
            return ""
        url = urlsplit(value.strip())
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("must be an address such as https://golub.example.ru")
        return f"{url.scheme}://{url.netloc}"

    @field_validator("public_url", "avito_url")
    @classmethod
    def _without_password(cls, value: str) -> str:
        """Both are shown, in the doctor's archive too."""
        if "@" in urlsplit(value).netloc:
            raise ValueError("must have no user and password")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value and value.get_secret_value():
            url = urlsplit(value.get_secret_value())
            if url.scheme not in ("smtp", "smtps") or not url.hostname or url.port == 0:
                raise ValueError("must be an address such as smtps://user:password@mail.example.ru:465")
        return value

    @model_validator(mode="after")
    def _no_loopback_at_avito(self) -> Self:
        if self.allow_loopback_webhook and (urlsplit(self.avito_url).hostname or "").endswith("avito.ru"):
            raise ValueError("GOLUB_ALLOW_LOOPBACK_WEBHOOK is for a simulator: Avito could never reach such an address")
        return self

    @model_validator(mode="after")
    def _apart_only_on_postgresql(self) -> Self:
        if self.role is not ProcessRole.ALL and self.effective_database_url.startswith("sqlite"):
            raise ValueError(
                f"GOLUB_ROLE={self.role} needs PostgreSQL: SQLite is the database of one process, which does all"
            )
        return self

    @model_validator(mode="after")
    def _token_can_be_read(self) -> Self:
        if self.metrics_token_file and not self.metrics_token_file.is_file():
            raise ValueError(f"there is no file {self.metrics_token_file} with the token of /metrics")
        return self

    @property
    def effective_backup_dir(self) -> Path:
        return self.backup_dir or self.data_dir / "backups"

    @property
    def alert_kinds(self) -> list[str]:
        """The channels for alerts that are given here in full."""
        given = {
            "telegram": self.telegram_token and self.telegram_chat,
            "email": self.smtp_url and self.alert_email,
            "url": self.alert_url,
        }
        return [kind for kind, values in given.items() if values]

    @property
    def effective_database_url(self) -> str:
        """Asked anew each time: `golub migrate-to` may move the database of a server that runs."""
        if self.database_url:
            return self.database_url
        moved = find_moved(self.data_dir)
        return moved.url if moved else self.own_database_url

    @property
    def own_database_url(self) -> str:
        """SQLite's, in the data folder."""
        return f"sqlite:///{self.data_dir.absolute() / 'golub.db'}"

    @property
    def effective_metrics_token(self) -> str:
        if self.metrics_token_file:
            return self.metrics_token_file.read_text().strip()
        return self.metrics_token.get_secret_value() if self.metrics_token else ""

    @property
    def cookie_secure(self) -> bool:
        if self.session_cookie_secure is not None:
            return self.session_cookie_secure
        return self.public_url.startswith("https://") or self.host not in ("127.0.0.1", "::1", "localhost")
