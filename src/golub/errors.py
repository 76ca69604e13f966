"""Every error that one part of Golub raises for another.

    GolubError
    ├── Unavailable       nothing happened; the same call may succeed later
    │   └── Paced         … and not before `retry_after` seconds
    ├── Rejected          nothing happened and never will; the caller must change something
    │   ├── Invalid       the input is wrong; `field` says where
    │   ├── Forbidden     this operator may not
    │   ├── NotFound      there is no such thing, or not for this operator
    │   ├── Conflict      somebody was here first, or a confirmation is missing
    │   ├── WrongKeys     Avito does not know this client id and secret
    │   ├── Paused        a person paused the account: we ask Avito nothing for it
    │   └── NoAccess      Avito knows us and refuses: no rights, or no paid messenger access
    └── Ambiguous         it may have happened: look before doing it again

`message` is English and is a key of the catalogue: the web shows it in the reader's language, with `fields` filled in.
"""

from typing import Any

NOT_PAID = "Avito's messenger access is not paid for this account."  # kept with the account; 402 at Avito


class GolubError(Exception):
    """`code` is stable and for programs; `message` (with `{name}` places filled from `fields`) is for people."""

    status = 500
    code = "error"

    def __init__(self, message: str, *, code: str | None = None, **fields: Any) -> None:
        super().__init__(message.format(**fields) if fields else message)
        self.message = message
        self.fields = fields
        if code:
            self.code = code


class Unavailable(GolubError):
    status = 503
    code = "unavailable"
    retry_after: float = 1.0


class Paced(Unavailable):
    status = 429
    code = "paced"

    def __init__(self, message: str, *, retry_after: float, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


class Rejected(GolubError):
    status = 400
    code = "rejected"


class Invalid(Rejected):
    code = "invalid"

    def __init__(self, message: str, *, field: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.field = field


class Forbidden(Rejected):
    status = 403
    code = "forbidden"


class NotFound(Rejected):
    status = 404
    code = "not_found"


class Conflict(Rejected):
    status = 409
    code = "conflict"


class WrongKeys(Rejected):
    code = "wrong_keys"


class Paused(Rejected):
    status = 409
    code = "paused"


class NoAccess(Rejected):
    code = "no_access"


class Ambiguous(GolubError):
    status = 502
    code = "ambiguous"
