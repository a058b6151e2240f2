"""What not every engine can do, asked of one that must: it can, or says plainly that it cannot."""

from __future__ import annotations

from typing import TypeVar

from pgherd.contract.access import Reach
from pgherd.contract.backups import Backups
from pgherd.contract.certificates import Certificates
from pgherd.contract.engine import Engine
from pgherd.contract.logs import Logs
from pgherd.contract.proofs import Proofs
from pgherd.contract.settings import Settings
from pgherd.contract.verification import Verifier
from pgherd.errors import InputError

_Ability = TypeVar("_Ability")


def backups_of(engine: Engine) -> Backups:
    """What takes backups; InputError where nothing does."""
    hint = "copy the data with pg_dump, or put the environment on engine oci"
    return _required(engine, engine.backups, "takes no backups yet", hint)


def certificates_of(engine: Engine) -> Certificates:
    """What makes certificates; InputError where nothing does."""
    hint = "name an environment that is on another engine"
    return _required(engine, engine.certificates, "makes no certificates", hint)


def logs_of(engine: Engine) -> Logs:
    """What has logs; InputError where nothing does."""
    return _required(engine, engine.logs, "shows no logs", "look where it runs the databases")


def proofs_of(engine: Engine) -> Proofs:
    """What proves backups; InputError where nothing does."""
    hint = "restore one beside it with `pgherd restore --as`, and look at it"
    return _required(engine, engine.proofs, "proves no backups yet", hint)


def reach_of(engine: Engine) -> Reach:
    """pgherd's own way into databases; InputError where there is none."""
    hint = "apply migrations from where the databases can be reached"
    return _required(engine, engine.reach, "does not let pgherd into its databases", hint)


def settings_of(engine: Engine) -> Settings:
    """What sets more than sizes; InputError where nothing does."""
    return _required(engine, engine.settings, "sets nothing beside sizes and durability")


def verifier_of(engine: Engine) -> Verifier:
    """What looks at backups' files; InputError where they are out of reach."""
    hint = "the place keeps them, and says nothing of their files"
    return _required(engine, engine.verifier, "shows no files of backups", hint)


def _required(engine: Engine, ability: _Ability | None, lack: str, hint: str = "") -> _Ability:
    if ability is None:
        raise InputError(f"engine {engine.name} {lack}", hint)
    return ability
