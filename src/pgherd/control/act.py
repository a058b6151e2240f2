"""Carrying out one action: the only place where decisions turn into calls of an engine."""

from __future__ import annotations

import asyncio
from typing import Protocol, assert_never

from pgherd.contract.access import Access
from pgherd.contract.engine import Engine
from pgherd.control.abilities import reach_of, settings_of
from pgherd.decide.actions import (
    Action,
    ApplyMigrations,
    ChangeSettings,
    CreateDatabase,
    DeleteDatabase,
    DeleteEnvironment,
    EnsureEnvironment,
    RepairDatabase,
    RestartInstance,
    SetDurability,
    SetOcpus,
    SetReplicas,
    StartDatabase,
    StopDatabase,
    StopEnvironment,
    Switchover,
)
from pgherd.decide.wish import Wishes
from pgherd.errors import InputError
from pgherd.fleet.desired import Database


class Migrations(Protocol):
    """The schema migrations of the fleet's databases."""

    def head(self, database: Database) -> str | None:
        """The newest revision in its migrations folder, None for none. Reads files only.

        Raises InputError where the folder is not right.
        """
        ...

    def apply(self, database: Database, access: Access) -> None:
        """Bring its schema to the head, as the service that owns it. May be repeated.

        Blocks: it is called in a thread, several at once.
        """
        ...


class Actor:
    """Carries out actions, those that make something as it is wanted."""

    def __init__(self, wishes: Wishes, migrations: Migrations | None) -> None:
        self._environments = {e.name: e for e in wishes.environments}
        self._databases = {wish.id: wish.database for wish in wishes.databases}
        self._migrations = migrations

    async def act(self, action: Action, engine: Engine) -> None:
        """Carry out one action; whatever the engine raises goes through."""
        match action:
            case EnsureEnvironment():
                await engine.ensure_environment(self._environments[action.environment])
            case CreateDatabase() | StartDatabase() | RepairDatabase():
                await engine.ensure_database(self._databases[action.id])
            case SetReplicas():
                await engine.ensure_replicas(self._databases[action.id], action.target)
            case SetOcpus():
                await engine.ensure_ocpus(self._databases[action.id], action.target)
            case SetDurability():
                await engine.ensure_durability(self._databases[action.id], action.target)
            case ChangeSettings():
                await settings_of(engine).ensure_applied(self._databases[action.id])
            case RestartInstance():
                await engine.ensure_restarted(action.id, action.instance)
            case Switchover():
                await engine.switchover(action.id, action.target)
            case ApplyMigrations():
                await self._migrate(action, engine)
            case StopDatabase():
                await engine.ensure_stopped(action.id)
            case StopEnvironment():
                await engine.ensure_environment_stopped(action.environment)
            case DeleteDatabase():
                await engine.ensure_absent(action.id)
            case DeleteEnvironment():
                await engine.ensure_environment_absent(action.environment)
            case _:
                assert_never(action)

    async def _migrate(self, action: ApplyMigrations, engine: Engine) -> None:
        if self._migrations is None:
            raise InputError(f"{action.id} wants migration {action.target} and nothing applies it")
        access = await reach_of(engine).as_service(action.id)
        database = self._databases[action.id]
        await asyncio.to_thread(self._migrations.apply, database, access)
