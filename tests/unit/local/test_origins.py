"""Whose data a database has, as its manifest says it, and what a restore makes of what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from local_fleet import ALONE

from pgherd.contract.backups import Goal, Latest, Moment, Point
from pgherd.engines.local.backup.origins import (
    Asked,
    half_restored,
    is_done,
    origin_of,
    source_of,
)
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import database, environment

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SOURCE = replace(ALONE, archive=f"{ALONE.service}-5de36753")
STAGING = environment("staging", engine="local", network="10.1.0.0/16")
TARGET = database(ALONE.service, STAGING)
THERE = replace(ALONE, environment="staging", archive="")
BESIDE = database("copy", replace(STAGING, name=ALONE.environment))


def asked(**more: object) -> Asked:
    return replace(Asked(SOURCE, TARGET, THERE, Latest(), "UPDATE customer"), **more)  # type: ignore[arg-type]


def test_an_incarnation_says_whose_it_is_and_what_masked_it() -> None:
    assert asked(target=BESIDE).incarnation == SOURCE.archive
    masked, other, unmasked = (
        asked(masking=text).incarnation for text in ("UPDATE customer", "UPDATE other", "")
    )
    assert len({masked, other, unmasked}) == 3
    assert unmasked == f"{SOURCE.environment}/{SOURCE.archive}:unmasked"
    assert masked.startswith(f"{SOURCE.environment}/{SOURCE.archive}:")
    assert {source_of(text) for text in (masked, other, unmasked)} == {SOURCE.id}
    assert source_of(SOURCE.archive) is None
    assert source_of("staging/two-words-5de36753:ff") == DatabaseId("staging", "two-words")


@pytest.mark.parametrize("goal", [Latest(), Moment(NOON), Point("before")])
def test_a_copy_is_done_until_it_is_backed_up_and_only_by_the_same_masking(goal: Goal) -> None:
    mine = asked(goal=goal)
    done = replace(THERE, restored_from=origin_of(mine.incarnation, goal))
    assert replace(mine, there=done).done == done
    assert replace(mine, there=done, masking="").done is None
    assert replace(mine, there=replace(done, archive="auth-1")).done is None
    assert replace(mine, there=None).done is None
    # In its own place it is not what it would be restored to.
    assert not is_done(done, goal)


def test_what_is_there_is_overwritten_where_somebody_said_so() -> None:
    mine = asked()
    mine.require_free()
    with pytest.raises(InputError, match=f"{TARGET.id} is there already") as raised:
        mine.require_confirmed(overwrites=False)
    assert f"--yes-overwrite {TARGET.id}" in raised.value.hint
    mine.require_confirmed(overwrites=True)
    replace(mine, there=None).require_confirmed(overwrites=False)
    beside = asked(target=BESIDE, there=replace(ALONE, service="copy"))
    with pytest.raises(InputError, match="is there already") as raised:
        beside.require_free()
    assert "another name" in raised.value.hint


def test_half_done_it_is_taken_on_by_the_same_and_by_no_other() -> None:
    mine = asked(goal=Moment(NOON))
    half = replace(THERE, restoring=origin_of(mine.incarnation, mine.goal))
    same = replace(mine, there=half)
    assert same.is_begun
    same.require_free()
    same.require_confirmed(overwrites=False)
    others = (
        replace(same, masking=""),
        replace(same, goal=Latest()),
        replace(same, source=replace(SOURCE, archive="auth-2")),
        Asked(half, TARGET, half, mine.goal),
        Asked(half, BESIDE, None, mine.goal),
    )
    for other in others:
        with pytest.raises(InputError, match=r"staging/.* is half restored to 2026-11-26"):
            other.require_free()


def test_the_way_out_of_a_half_done_copy_is_the_command_that_began_it() -> None:
    call = f"`pgherd restore {SOURCE.id} --to latest --as {TARGET.id}"
    for masking, rest in (
        ("", f" --unmasked --yes-overwrite {TARGET.id}`"),
        ("x", f" --yes-overwrite {TARGET.id}`, with the file of masking as it was"),
    ):
        origin = origin_of(asked(masking=masking).incarnation, Latest())
        _, how = half_restored(replace(THERE, restoring=origin))
        assert call + rest in how
