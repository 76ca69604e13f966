"""What an operator may do, and his keys for him. Apart from the tables, since the command line names roles and need not
load a database."""

from enum import StrEnum


class Role(StrEnum):
    MANAGER = "manager"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Scope(StrEnum):
    """What a key of an operator's may do for him. It opens nothing that his role does not."""

    CHATS_READ = "chats:read"
    MESSAGES_WRITE = "messages:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"

    @property
    def role(self) -> Role:
        """The least one that the addresses behind it are open to."""
        return Role.SUPER_ADMIN if self.startswith("webhooks:") else Role.MANAGER
