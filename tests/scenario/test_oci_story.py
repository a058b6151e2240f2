"""A fleet lives on the local OCI while calls fail, answers get lost and pgherd dies."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from oci_story import CHAPTERS, Story, insisting, made, picture

from pgherd.fleet.desired import Fleet
from pgherd.testing.fleets import database, ecommerce, environment, fleet
from pgherd.testing.oci.server import Call, LocalOci

pytestmark = pytest.mark.local_oci

FAULTS = ("throttled", "error", "lost", "lost-500", "conflict")


def small() -> Fleet:
    """One database with replicas, and one without."""
    production = environment("production", engine="oci")
    development = environment(
        "development", engine="oci", network="10.2.0.0/16", availability_domains=1
    )
    return fleet(
        database("auth", production, replicas=(1, 3)), database("auth", development, ocpus=(2, 8))
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What there is after each chapter of a life in which nothing goes wrong."""
    folder = tmp_path_factory.mktemp("quiet")
    with LocalOci() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.variables(folder).items():
            patch.setenv(name, value)
        return asyncio.run(Story(running, small(), folder / "state").play())


def is_change(call: Call) -> bool:
    return not call.operation.startswith(("get_", "list_", "summarize_"))


def is_once_each(cloud: LocalOci, fleet: Fleet) -> None:
    """Nothing was made twice, not even to be deleted again."""
    environments = len(fleet.environments)
    assert made(cloud, "db_system") == len(fleet.databases)
    assert made(cloud, "compartment") == environments
    assert made(cloud, "vcn") == environments
    assert made(cloud, "subnet") == made(cloud, "route_table") == 2 * environments
    assert made(cloud, "vault") == made(cloud, "key") == environments
    assert made(cloud, "secret") == 3 * environments
    poolers = sum(2 if e.availability_domains > 1 else 1 for e in fleet.environments)
    assert made(cloud, "instance") == poolers


async def test_a_quiet_life_is_what_the_fleet_file_says(quiet: list[dict[str, Any]]) -> None:
    up, larger, failed_over, stopped, again, destroyed = quiet
    assert [s["instances"] for s in up["systems"]] == [["auth-1"], ["auth-1", "auth-2"]]
    assert up["routes"] == [["auth"]] * 3
    assert [s["ocpus"] for s in larger["systems"]] == [4, 4]
    assert [s["policy"] for s in larger["systems"]] == [7, 7]
    assert larger["systems"][1]["instances"] == ["auth-1", "auth-2", "auth-3"]
    assert failed_over["systems"][1]["primary"] == "auth-2"
    assert {s["state"] for s in stopped["systems"]} == {"INACTIVE"}
    assert again == failed_over
    assert destroyed == {k: [] for k in destroyed} | {"compartment": up["compartment"]}


@pytest.mark.parametrize("kind", FAULTS)
async def test_every_second_call_goes_wrong(
    cloud: LocalOci, state: Path, quiet: list[dict[str, Any]], kind: str
) -> None:
    story = Story(cloud, small(), state)
    seen: Counter[str] = Counter()

    def every_second(operation: str) -> str | None:
        seen[operation] += 1
        return kind if seen[operation] % 2 else None

    with faults(cloud, every_second):
        assert await story.play() == quiet
    is_once_each(cloud, story.fleet)


async def test_pgherd_dies_after_each_change(
    cloud: LocalOci, state: Path, quiet: list[dict[str, Any]]
) -> None:
    story = Story(cloud, small(), state)
    deaths = await dying(story, quiet)
    assert deaths > 60
    is_once_each(cloud, story.fleet)


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_whole_fleet_through_a_bad_day(cloud: LocalOci, state: Path, seed: int) -> None:
    whole = ecommerce("oci")
    foreign = plant_foreign(cloud)
    story = Story(cloud, whole, state)
    rng = random.Random(seed)
    with faults(cloud, lambda _: rng.choice(FAULTS) if rng.random() < 0.2 else None):
        pictures = await story.play()
    assert len(pictures[0]["systems"]) == 30
    assert {s["state"] for s in pictures[1]["systems"]} == {"ACTIVE"}
    assert sum(len(s["instances"]) for s in pictures[1]["systems"]) == 80
    assert pictures[4] == pictures[2]
    assert pictures[5]["systems"] == []
    is_untouched(cloud, foreign)
    assert cloud.peak("create_db_system") <= 4


@contextmanager
def faults(cloud: LocalOci, choose: Callable[[str], str | None]) -> Iterator[None]:
    """Each call goes wrong in the way that is chosen for its operation, if any."""

    def plan(call: Call) -> None:
        if (kind := choose(call.operation)) is not None:
            cloud.fail(call.operation, kind)

    cloud.on_call = plan
    try:
        yield
    finally:
        cloud.on_call = None


async def dying(story: Story, chapters: list[dict[str, Any]]) -> int:
    """Play, with the process killed after each change it makes; how often it died."""
    loop = asyncio.get_running_loop()
    deaths = 0
    for chapter, expected in zip(CHAPTERS, chapters, strict=True):
        for _ in range(200):
            task = asyncio.ensure_future(insisting(lambda chapter=chapter: chapter(story)))

            def kill(call: Call, task: asyncio.Future[Any] = task) -> None:
                if is_change(call):
                    loop.call_soon_threadsafe(task.cancel)
                    raise ConnectionError("the process died")

            story.cloud.after_call = kill
            await asyncio.wait([task])
            story.cloud.after_call = None
            if not task.cancelled():
                task.result()
                break
            deaths += 1
        assert picture(story.cloud) == expected
    return deaths


def plant_foreign(cloud: LocalOci) -> dict[str, Any]:
    """Things of somebody else, with names like pgherd's."""
    region = cloud.regions[0]
    compartment = cloud.plant("compartment", region, {"name": "theirs"})
    tags = {"pgherd-fleet": "another", "pgherd-environment": "production"}
    body = {"compartmentId": compartment, "freeformTags": tags}
    cloud.plant("vcn", region, {**body, "displayName": "ecommerce-production-vcn"})
    cloud.plant("db_system", region, {**body, "displayName": "somebody-elses"})
    return foreign(cloud)


def foreign(cloud: LocalOci) -> dict[str, Any]:
    kinds = ("compartment", "vcn", "db_system")
    return {
        kind: [
            r
            for r in cloud.resources(kind)
            if (r.get("freeformTags") or {}).get("pgherd-fleet") == "another"
        ]
        for kind in kinds
    }


def is_untouched(cloud: LocalOci, before: dict[str, Any]) -> None:
    assert before["db_system"]
    assert foreign(cloud) == before
