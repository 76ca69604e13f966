"""Operators as a command changes them: beside a running server, and before its first start."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from golub.app import open_vault
from golub.backup import before_upgrade
from golub.clock import now
from golub.model import Operator, Role
from golub.operators import Operators
from golub.settings import Settings
from golub.store import Store


async def create_operator(settings: Settings, login: str, name: str, role: Role, password: str) -> Operator:
    async with _operators(settings) as operators:
        return await operators.create(login, password, name=name, role=role)


async def remove_second_factor(settings: Settings, login: str) -> Operator:
    """Where no other super administrator is left who could."""
    async with _operators(settings) as operators:
        return await operators.free(login)


async def list_operators(settings: Settings) -> Sequence[Operator]:
    async with _operators(settings) as operators:
        return await operators.list_all()


@asynccontextmanager
async def _operators(settings: Settings) -> AsyncGenerator[Operators]:
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = Store(settings.effective_database_url, patient=True)
    vault = open_vault(settings)
    operators = Operators(store, now, vault)
    try:
        await asyncio.to_thread(before_upgrade, settings, store, vault, now)
        await asyncio.to_thread(store.migrate)
        yield operators
    finally:
        operators.close()
        await store.close()
