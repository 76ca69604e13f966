"""What an operator may do. Apart from the tables, since the command line names roles and need not load a database."""

from enum import StrEnum


class Role(StrEnum):
    MANAGER = "manager"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)
