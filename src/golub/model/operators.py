"""Operators, their sessions, and what guards the way in."""

from sqlalchemy import ForeignKey, Integer, String, true
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Sealed, Table
from golub.roles import Scope


class Operator(Table):
    """A person who signs in."""

    __tablename__ = "operators"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)  # case-folded
    name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    locale: Mapped[str] = mapped_column(String(8), default="ru")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]
    every_account: Mapped[bool] = mapped_column(default=True, server_default=true())  # else those in `OperatorAccount`
    # When new chats may be given to him: days by ISO's numbers, Monday first, and minutes of the shop's day. `work_to`
    # before `work_from` is a night that ends on the next day.
    work_days: Mapped[str] = mapped_column(String(7), default="1234567", server_default="1234567")
    work_from: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    work_to: Mapped[int] = mapped_column(Integer, default=1440, server_default="1440")
    chat_limit: Mapped[int | None] = mapped_column(Integer)  # open chats at which he is given no more
    given_at: Mapped[int] = mapped_column(default=0, server_default="0")  # when he last got one in turn
    second_factor_at: Mapped[int | None]  # since when signing in takes a code as well


class OperatorAccount(Table):
    """An account that an operator sees, where he does not see every one."""

    __tablename__ = "operator_accounts"

    operator_id: Mapped[int] = mapped_column(Key, ForeignKey("operators.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[int] = mapped_column(
        Key, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Session(Table):
    """One signed-in browser. The cookie carries a random secret; only its hash is kept."""

    __tablename__ = "sessions"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[int]
    seen_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)
    proved_at: Mapped[int] = mapped_column(default=0, server_default="0")  # when he last showed who he is
    address: Mapped[str] = mapped_column(default="")
    user_agent: Mapped[str] = mapped_column(default="")


class SecondFactor(Table):
    """The seed that an operator's app makes codes from. It counts once `Operator.second_factor_at` is set."""

    __tablename__ = "second_factors"

    operator_id: Mapped[int] = mapped_column(
        Key, ForeignKey("operators.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    seed: Mapped[Sealed]
    step: Mapped[int] = mapped_column(default=0)  # of the newest code that was used: neither it nor an older one again


class RecoveryCode(Table):
    """Stands in for a code where the phone is lost, once: then the row goes."""

    __tablename__ = "recovery_codes"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)


class ApiKey(Table):
    """Lets an operator's program call the API, and never do more than he may himself. Only its hash is kept; to revoke
    it is to remove the row."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    hash: Mapped[bytes] = mapped_column(unique=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    ending: Mapped[str] = mapped_column(String(8))  # of the secret, by which people tell keys apart
    scopes: Mapped[str]  # `Scope`s, with spaces between
    created_at: Mapped[int]
    expires_at: Mapped[int | None]
    used_at: Mapped[int | None]
    used_from: Mapped[str] = mapped_column(default="")

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes.split()


class HalfSignIn(Table):
    """A browser whose operator has given the right password, and not yet the code. Opens nothing."""

    __tablename__ = "half_sign_ins"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[int]


class OneTimeLink(Table):
    """A link that works once: first set-up, or the demo's sign-in."""

    __tablename__ = "one_time_links"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))  # setup, sign_in
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"))
    created_at: Mapped[int]
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


class SignInFailure(Table):
    """Wrong passwords, codes and API keys lately, by login and by address; slows guessing without locking anyone out
    for good."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(
        primary_key=True
    )  # "login:anna", "code:anna", "address:192.0.2.1", "key:192.0.2.1"
    count: Mapped[int] = mapped_column(Integer)
    blocked_until: Mapped[int]
    last_at: Mapped[int]
