"""A team that signs in: its password, and where it is."""

from golub.audit import By
from golub.model import Operator, Role
from golub.operators import Operators

PASSWORD = "two words and more"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"


async def invited(operators: Operators, boss: Operator, login: str, role: Role) -> Operator:
    return (await operators.invite(login, name=login, role=role, locale="ru", by=By(boss)))[0]
