"""A manifest that was lost is made again from what whoever runs pgherd wrote beside it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from local_fleet import AUTH, PRODUCTION, LongLayout

from pgherd.engines.local import placement, pooler, rendering
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.placement import Placement
from pgherd.errors import NeedsHuman
from pgherd.files import Owner

ME = Owner(os.geteuid(), os.getegid(), "me")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """With the configuration of production/auth in it, and no manifest."""
    layout = LongLayout(tmp_path)
    for file in rendering.files(layout, PRODUCTION, AUTH, "postgres"):
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_text(file.content)
    # What is installed on this machine is beside the point.
    monkeypatch.setattr(pooler, "program", lambda: Path(AUTH.pooler_program))
    programs = {AUTH.postgresql: Path(AUTH.bin_directory)}
    monkeypatch.setattr(placement.postgres, "installed", lambda: programs)
    chosen = (AUTH.postgresql, Path(AUTH.bin_directory))
    monkeypatch.setattr(placement.postgres, "choose", lambda version: chosen)
    monkeypatch.setattr(placement.library, "path", lambda version: Path(AUTH.library))
    return layout


def test_a_database_is_recovered_from_the_configuration_of_its_instances(layout: Layout) -> None:
    found = Placement(layout, ME).recovered(AUTH.id, None)
    where = [(i.number, i.availability_domain) for i in found.instances]
    assert where == [(i.number, i.availability_domain) for i in AUTH.instances]
    assert (found.postgresql, found.bin_directory) == (AUTH.postgresql, AUTH.bin_directory)
    assert found.made  # where no data is left of it, nothing is begun anew
    again = Placement(layout, ME).recovered(AUTH.id, None)
    assert again == found, "an address is kept"


def test_its_archive_is_known_by_what_its_wal_is_handed_over_with(layout: Layout) -> None:
    for archive in ("auth-4f1c2a7b", ""):
        archived = replace(AUTH, can_archive=True, archive=archive)
        for file in rendering.files(layout, PRODUCTION, archived, "postgres"):
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.content)
        found = Placement(layout, ME).recovered(AUTH.id, None)
        assert (found.can_archive, found.archive) == (True, archive)
    for file in rendering.files(layout, PRODUCTION, replace(AUTH, can_archive=False), "postgres"):
        file.path.write_text(file.content)
    assert not Placement(layout, ME).recovered(AUTH.id, None).can_archive


def test_nothing_is_made_up_where_no_configuration_is_left(layout: Layout) -> None:
    for instance in AUTH.instances:
        (layout.instance(AUTH.id, instance.number) / "patroni.yml").write_text("{")
    with pytest.raises(NeedsHuman, match=r"database\.json is damaged, and nothing else says"):
        Placement(layout, ME).recovered(AUTH.id, None)
    bare = Placement(layout, ME).bare(AUTH.id)
    assert replace(bare, instances=()) == bare


@pytest.mark.parametrize("is_there", [True, False])
def test_statements_are_counted_where_the_distribution_has_what_counts_them(
    layout: Layout, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []
    monkeypatch.setattr(
        placement.postgres, "has_module", lambda *what: asked.append(what) or is_there
    )
    found = Placement(layout, ME).recovered(AUTH.id, None)
    assert asked == [(15, "pg_stat_statements")]
    assert found.can_count_statements is is_there
    written = "".join(f.content for f in rendering.files(layout, PRODUCTION, found, "postgres"))
    assert ("pg_stat_statements" in written) is is_there
    assert "pgherd-15.so" in written
