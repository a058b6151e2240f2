"""PostgreSQL's parameters follow from the size: within bounds, and never less for more."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.decide.parameters import (
    GiB,
    InstanceSize,
    KiB,
    MiB,
    Value,
    cluster_parameters,
    connections,
    parameters,
    pool_size,
)

UNITS = {"kB": KiB, "MB": MiB, "GB": GiB}
MEMORY = st.integers(min_value=MiB, max_value=4096 * GiB)
SIZES = st.builds(
    lambda ocpus, more, memory: InstanceSize(ocpus, ocpus + more, memory, memory),
    st.integers(1, 128),
    st.integers(0, 128),
    MEMORY,
)


def number(value: Value) -> int:
    """A parameter's value in bytes, or as it is."""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(\d+)(kB|MB|GB)", value)
    assert match, f"{value!r} is no size to PostgreSQL"
    return int(match[1]) * UNITS[match[2]]


@pytest.mark.parametrize(
    ("ocpus", "memory", "expected"),
    [
        (1, 64 * MiB, {"shared_buffers": "16MB", "effective_cache_size": "48MB"}),
        (2, 128 * MiB, {"shared_buffers": "32MB", "max_parallel_workers_per_gather": 1}),
        (8, 64 * GiB, {"shared_buffers": "16384MB", "max_parallel_workers_per_gather": 4}),
        (128, 1024 * GiB, {"shared_buffers": "65536MB", "max_wal_size": "16384MB"}),
    ],
)
def test_some_sizes(ocpus: int, memory: int, expected: dict[str, Value]) -> None:
    found = parameters(InstanceSize(ocpus, 128, memory, memory))
    assert {name: found[name] for name in expected} == expected


@given(SIZES)
def test_every_value_is_one_that_postgresql_takes(size: InstanceSize) -> None:
    found = parameters(size)
    assert 128 * KiB <= number(found["shared_buffers"]) <= 64 * GiB
    assert 64 * KiB <= number(found["work_mem"]) <= GiB
    assert MiB <= number(found["maintenance_work_mem"]) <= 2 * GiB
    assert MiB <= number(found["autovacuum_work_mem"])
    assert 32 * MiB <= number(found["min_wal_size"]) < number(found["max_wal_size"])
    assert 1 <= number(found["max_parallel_workers"]) <= 1024
    assert number(found["max_parallel_workers_per_gather"]) >= 0


@given(SIZES.filter(lambda size: size.memory_bytes >= 64 * MiB))
def test_shared_buffers_are_a_quarter_of_memory_at_most(size: InstanceSize) -> None:
    assert number(parameters(size)["shared_buffers"]) <= size.memory_bytes // 4


@given(SIZES.filter(lambda size: size.memory_bytes >= 256 * MiB))
def test_all_connections_at_work_have_room(size: InstanceSize) -> None:
    everyone = number(parameters(size)["work_mem"]) * connections(size)
    assert everyone <= size.memory_bytes


@given(SIZES, SIZES)
def test_more_never_means_less(one: InstanceSize, other: InstanceSize) -> None:
    less_memory, more_memory = sorted((one.memory_bytes, other.memory_bytes))
    small = InstanceSize(min(one.ocpus, other.ocpus), 256, less_memory, less_memory)
    large = InstanceSize(max(one.ocpus, other.ocpus), 256, more_memory, more_memory)
    less, more = parameters(small), parameters(large)
    assert all(number(less[name]) <= number(more[name]) for name in less)


@given(st.lists(st.integers(1, 1024), min_size=2, unique=True))
def test_connections_grow_with_the_largest_size_only(sizes: list[int]) -> None:
    for small, large in pairwise(sorted(sizes)):
        assert connections(InstanceSize(1, small, GiB, GiB)) <= connections(
            InstanceSize(1, large, GiB, GiB)
        )
    assert len({connections(InstanceSize(n, 1024, n * GiB, GiB)) for n in sizes}) == 1


@given(SIZES)
def test_the_pools_leave_connections_for_operators_and_replicas(size: InstanceSize) -> None:
    assert pool_size(size) >= 10
    assert 2 * pool_size(size) + 20 <= connections(size)


@given(SIZES, MEMORY, st.integers(1, 128))
def test_what_all_instances_share_does_not_change_with_the_size(
    size: InstanceSize, memory: int, ocpus: int
) -> None:
    resized = InstanceSize(ocpus, size.max_ocpus, memory, size.least_memory_bytes)
    assert cluster_parameters(resized) == cluster_parameters(size)
    assert number(cluster_parameters(size)["max_worker_processes"]) >= 8


@given(SIZES, MEMORY, st.integers(1, 128))
def test_another_size_within_the_bounds_restarts_nothing(
    size: InstanceSize, memory: int, ocpus: int
) -> None:
    resized = InstanceSize(ocpus, size.max_ocpus, memory, size.least_memory_bytes)
    assert parameters(resized)["shared_buffers"] == parameters(size)["shared_buffers"]
