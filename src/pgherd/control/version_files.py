"""A folder of Alembic's version files: what each declares, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgherd.errors import InputError
from pgherd.syntax import parsed

_LONGEST_REVISION = 32  # the width of alembic_version.version_num


@dataclass(frozen=True, slots=True)
class Revision:
    """What one version file declares."""

    path: Path
    id: str
    down: tuple[str, ...]


def version_folder(folder: Path) -> Path:
    """Where the version files are: in `versions`, as in any Alembic project, or right here."""
    versions = folder / "versions"
    return versions if versions.is_dir() else folder


def version_files(folder: Path) -> list[Path]:
    """The version files of a folder by name; InputError where there is no such folder."""
    try:
        return sorted(p for p in folder.iterdir() if p.suffix == ".py" and p.stem != "__init__")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read: {error.strerror}", "write the folder of the version files"
        ) from error


def read_revision(path: Path) -> Revision:
    """What a version file declares, read without running it."""
    try:
        declared = dict(_declarations(parsed(path.read_bytes(), str(path))))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}", "mend the version file") from error
    except ValueError as error:
        raise InputError(
            f"{path} computes its revision", "write revision and down_revision as plain strings"
        ) from error
    revision = declared.get("revision")
    if not isinstance(revision, str) or not 0 < len(revision) <= _LONGEST_REVISION:
        raise InputError(
            f"{path} declares no revision",
            f'write revision = "..." with at most {_LONGEST_REVISION} characters',
        )
    down = declared.get("down_revision", ())
    return Revision(path, revision, (down,) if isinstance(down, str) else tuple(down or ()))


def _declarations(module: ast.Module) -> Iterator[tuple[str, Any]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name in ("revision", "down_revision"):
            yield name, ast.literal_eval(value)


def newest(folder: Path, revisions: list[Revision]) -> str:
    """The one revision that no other follows; InputError where there is not just one."""
    by_id: dict[str, Revision] = {}
    for revision in revisions:
        if revision.id in by_id:
            raise InputError(
                f"{revision.path} and {by_id[revision.id].path.name} are both {revision.id}",
                "give each version file its own revision",
            )
        by_id[revision.id] = revision
    followed = set[str]()
    for revision in revisions:
        for down in revision.down:
            if down not in by_id:
                raise InputError(
                    f"{revision.path} follows {down}, which is not there",
                    "write the revision of the file before it as down_revision",
                )
            followed.add(down)
    if not revisions:
        raise InputError(
            f"{folder} has no version files", "put Alembic's there: NAME.py, each with a revision"
        )
    heads = sorted(by_id.keys() - followed)
    if len(heads) != 1:
        what = f"several newest revisions: {', '.join(heads)}" if heads else "no newest revision"
        raise InputError(
            f"{folder} has {what}", "let each version file follow another, in a single line"
        )
    return heads[0]
