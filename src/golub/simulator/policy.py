"""How this Avito behaves where the real one is unknown or varies: every switch, with the usual case as default."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from golub.simulator.signing import SCHEMES


@dataclass(slots=True)
class Policy:
    """Settable while running. Unknown facts of the real system are marked as such."""

    retries: Sequence[float] = ()  # seconds before each further attempt; Avito's own spacing is unknown
    timeout: float = 2.0  # postWebhookV3: "соблюдая timeout 2s"
    concurrency: int = 32  # deliveries under way at once
    echo_first: bool = False  # the echo of a send is delivered before the send call returns
    echo: bool = True  # False: own sends are not echoed at all
    same_envelope: bool = False  # whether a redelivery keeps its envelope id; reported to differ
    duplicates: int = 0  # further copies of each event
    probe: bool = False  # whether registration calls the URL and refuses one that does not answer 200; unknown
    token_seconds: int = 86_400  # POST /token
    voice_seconds: int = 3_600  # getVoiceFiles: how long a link lives
    sent_author: bool = False  # whether a sent text's answer names its author; the specification says no
    signature_secret: str | None = None  # None: a digest that nobody can verify, as today
    signature_scheme: str | None = None  # one of `signing.SCHEMES`; it comes before the secret
    rate_limit: int | None = None  # requests a minute for each account without a limit of its own; unpublished

    def change(self, **new: Any) -> None:
        """Sets several switches by name; raises ValueError for an unknown name or an unfit value."""
        for name, value in new.items():
            if name not in KINDS:
                raise ValueError(f"no such setting: {name}; there are {', '.join(KINDS)}")
            if type(value) not in KINDS[name]:
                raise ValueError(f"{name}: {value!r} does not fit")
            if name == "signature_scheme" and value is not None and value not in SCHEMES:
                raise ValueError(f"{name}: no such scheme; there are {', '.join(SCHEMES)}")
        for name, value in new.items():
            setattr(self, name, tuple(float(wait) for wait in value) if name == "retries" else value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"retries": list(self.retries)}


KINDS: dict[str, tuple[type, ...]] = {
    "retries": (list, tuple),
    "timeout": (int, float),
    "echo_first": (bool,),
    "echo": (bool,),
    "same_envelope": (bool,),
    "duplicates": (int,),
    "probe": (bool,),
    "token_seconds": (int,),
    "voice_seconds": (int,),
    "sent_author": (bool,),
    "signature_secret": (str, type(None)),
    "signature_scheme": (str, type(None)),
    "rate_limit": (int, type(None)),
}  # what may be changed while running; concurrency is read at the start
