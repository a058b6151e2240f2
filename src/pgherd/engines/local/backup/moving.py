"""Where the repository of an environment is to be, and that no backup is left behind.

pgherd copies no store. Whoever wants backups elsewhere copies them with the store's own tool first;
what is there by then is compared with what there was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pgherd.contract.backups import ObservedBackup
from pgherd.engines.local.backup import copies
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest, read_databases
from pgherd.engines.local.values import LocalValues, Store
from pgherd.errors import InputError, NeedsHuman


def store_of(values: LocalValues, layout: Layout, environment: str) -> Store | None:
    """With the path in it that an environment has where none is stated. Pure."""
    if (store := values.repository) is None or store.path:
        return store
    return replace(store, path=f"/{layout.root.name}/{environment}")


def says_otherwise(
    manifest: EnvironmentManifest, values: LocalValues, layout: Layout
) -> str | None:
    """Why what is written down is not what the fleet file says; None where it is. Pure."""
    if manifest.store != (wanted := store_of(values, layout, manifest.name)):
        return f"its backups are to be at {wanted or 'a directory of this machine'}"
    if dict(manifest.regions) != dict(values.regions):
        return "its regions for copies of backups are to be others"
    return None


async def placed(
    layout: Layout, manifest: EnvironmentManifest, values: LocalValues
) -> EnvironmentManifest:
    """With its repository, and its regions, where the fleet file says.

    InputError where backups are not there, where the keys of its store cannot be read, and where
    there are copies that a new key would not open.
    """
    copies.require_apart(layout, values.regions, manifest.name)
    store = store_of(values, layout, manifest.name)
    anew = replace(manifest, store=store, regions=values.regions)
    Repository(layout, anew).require_opens()
    _require_key(layout, anew)
    if _place(manifest.store) == _place(anew.store) or not manifest.repository_address:
        return anew
    mine = [d for d in read_databases(layout) if d.environment == manifest.name]
    archives = sorted(archives_of(mine))
    if not archives:
        return anew
    if running := next((d.id for d in mine if d.running), None):
        raise InputError(*_why_not(manifest, anew, f"{running} runs"))
    before, after = await _read(layout, manifest), await _read(layout, anew)
    if missing := next((a for a in archives if is_behind(after.get(a), before.get(a))), None):
        raise InputError(*_why_not(manifest, anew, f"{missing} is not whole there"))
    return anew


def _require_key(layout: Layout, manifest: EnvironmentManifest) -> None:
    """InputError where its backups were here once, on a machine that is lost."""
    name, repository = manifest.name, Repository(layout, manifest)
    if not manifest.repository_address or manifest.store or repository.has_key:
        return
    for region, directory in manifest.regions.items():
        place = copies.place_of(layout, directory, name)
        if (place / "backup").is_dir():
            raise InputError(
                f"{region} has copies of backups of {name}, and the key to them is not here",
                f"bring {repository.key_file} back from a copy, then run `pgherd restore {name} "
                f"--to latest --from-region {region}`; to begin anew, move {place} away",
            )


def is_behind(new: Stanza | None, old: Stanza | None) -> bool:
    """Whether an archive has backups, or WAL, that are not in what is to follow it. Pure."""
    if old is None:
        return False
    if old.trouble:
        raise NeedsHuman(old.trouble, "what is there is to be copied first, and cannot be read")
    new = new or Stanza()
    return not _names(old.backups) <= _names(new.backups) or old.last_segment > new.last_segment


def _names(backups: Iterable[ObservedBackup]) -> set[str]:
    return {backup.name for backup in backups}


def _place(store: Store | None) -> tuple[str, ...]:
    return store.place if store else ()


def archives_of(databases: Iterable[DatabaseManifest]) -> set[str]:
    """What they can be restored from, or taken back to."""
    found = (name for d in databases for name in (d.archive, d.former.archive if d.former else ""))
    return {name for name in found if name}


async def _read(layout: Layout, manifest: EnvironmentManifest) -> Mapping[str, Stanza]:
    repository = Repository(layout, manifest, "moving.conf")
    repository.write(repository.configuration, repository.text({}))
    try:
        return await repository.stanzas()
    finally:
        repository.configuration.unlink(missing_ok=True)


def _why_not(old: EnvironmentManifest, new: EnvironmentManifest, why: str) -> tuple[str, str]:
    was, becomes = (str(m.store) if m.store else "a directory" for m in (old, new))
    return (
        f"backups of {old.name} are at {was}, and not at {becomes}: {why}",
        f"leave the repository as it was; or run `pgherd down {old.name}`, copy all of it there, "
        "then `pgherd up`",
    )
