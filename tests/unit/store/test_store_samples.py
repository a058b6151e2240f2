"""Samples come to their slots of each length; what is unknown counts as nothing."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pgherd.store import samples
from pgherd.store import store as store_module
from pgherd.store.store import Store
from pgherd.store.values import Sample, Tier

if TYPE_CHECKING:
    import pytest
    from conftest import Clock

CART = "production/cart"
SECOND = timedelta(seconds=1)


def test_a_sample_is_read_as_it_was_written(store: Store, clock: Clock) -> None:
    sample = Sample(*(float(n) for n in range(1, 11)))
    store.add_samples(clock.now + 3 * SECOND, {CART: sample, "production/auth": Sample()})
    (slot,) = store.samples(CART, clock.now)
    assert slot.at == clock.now
    assert (slot.seconds, slot.count, slot.mean, slot.cpu_max) == (10, 1, sample, 2.0)
    (slot,) = store.samples("production/auth", clock.now)
    assert (slot.count, slot.mean, slot.cpu_max) == (1, Sample(), None)
    assert store.samples("production/order", clock.now) == []


def test_what_is_unknown_never_counts(store: Store, clock: Clock) -> None:
    for cpu, memory in ((None, 4), (4, None), (1, math.nan), (None, math.inf), (1, 0)):
        store.add_samples(clock.now, {CART: Sample(cpu=cpu, memory=memory)})
    for tier in Tier:
        (slot,) = store.samples(CART, clock.now, resolution=tier)
        assert slot.count == 5
        assert slot.mean == Sample(cpu=2.0, memory=2.0)
        assert slot.cpu_max == 4.0


def test_long_slots_have_the_samples_of_their_short_ones(store: Store, clock: Clock) -> None:
    for n in range(90):  # 15 minutes
        store.add_samples(clock.now + n * 10 * SECOND, {CART: Sample(cpu=n)})
    found = {tier: store.samples(CART, clock.now, resolution=tier) for tier in Tier}
    assert [len(found[tier]) for tier in Tier] == [90, 15, 2]
    assert [slot.count for slot in found[Tier.TEN_MINUTES]] == [60, 30]
    assert [slot.mean.cpu for slot in found[Tier.TEN_MINUTES]] == [29.5, 74.5]
    assert [slot.cpu_max for slot in found[Tier.MINUTE]][:2] == [5.0, 11.0]


def test_the_mean_is_of_what_is_known(store: Store, clock: Clock) -> None:
    some = Random(7)
    for number in range(20):
        values = [some.choice((None, some.randrange(2**40))) for _ in range(some.randint(1, 6))]
        for value in values:
            store.add_samples(clock.now, {str(number): Sample(cpu=value)})
        (slot,) = store.samples(str(number), clock.now)
        known = [value for value in values if value is not None]
        assert slot.count == len(values)
        assert slot.mean.cpu == (sum(known) / len(known) if known else None)
        assert slot.cpu_max == (max(known) if known else None)


def test_the_finest_that_is_kept_for_so_long_is_read(store: Store, clock: Clock) -> None:
    store.add_samples(clock.now, {CART: Sample(cpu=1)})
    hour = timedelta(hours=1)
    for ago, tier in ((1, 10), (2, 10), (3, 60), (48, 60), (49, 600), (60 * 24, 600), (9999, 600)):
        (slot,) = store.samples(CART, clock.now - ago * hour)
        assert slot.seconds == tier, ago


def test_slots_are_found_by_time(store: Store, clock: Clock) -> None:
    for n in range(6):
        store.add_samples(clock.now + n * 10 * SECOND, {CART: Sample(cpu=n)})
    since, until = clock.now + 15 * SECOND, clock.now + 40 * SECOND
    assert [s.mean.cpu for s in store.samples(CART, since, until)] == [1, 2, 3]
    assert [s.mean.cpu for s in store.samples(CART, since, until + SECOND)] == [1, 2, 3, 4]


def test_a_clock_that_is_put_back_merges(store: Store, clock: Clock) -> None:
    store.add_samples(clock.now, {CART: Sample(cpu=1)})
    store.add_samples(clock.now + timedelta(hours=1), {CART: Sample(cpu=2)})
    store.add_samples(clock.now, {CART: Sample(cpu=3)})
    store.tidy(clock.now)
    assert [(s.count, s.mean.cpu) for s in store.samples(CART, clock.now)] == [(2, 2.0), (1, 2.0)]


def test_each_length_is_kept_for_its_time(store: Store, clock: Clock) -> None:
    start = clock.now
    store.add_samples(start, {CART: Sample(cpu=1)})

    def left() -> list[int]:
        store.tidy(clock.now)
        return [len(store.samples(CART, start, resolution=tier)) for tier in Tier]

    for tier, before, after in zip(
        Tier, ([1, 1, 1], [0, 1, 1], [0, 0, 1]), ([0, 1, 1], [0, 0, 1], [0, 0, 0]), strict=True
    ):
        clock.now = start + tier.kept
        assert left() == before
        clock.now += samples.SLACK + 2 * tier * SECOND
        assert left() == after


def test_old_slots_are_removed_a_batch_at_a_time(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "BATCH_SLOTS", 3)
    for n in range(8):
        store.add_samples(clock.now + n * 10 * SECOND, {CART: Sample(cpu=n)})
    left = []
    for _ in range(4):
        store.tidy(clock.now + timedelta(hours=5))
        left.append(len(store.samples(CART, clock.now, resolution=Tier.TEN_SECONDS)))
    assert left == [5, 2, 0, 0]


def test_free_pages_are_given_back(
    store: Store, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "FREE_PAGES", 10)
    for n in range(40):
        store.remember(str(n), bytes(20_000))
    store.close()
    large = path.stat().st_size
    for n in range(40):
        store.forget(str(n))
    monkeypatch.setattr(store_module, "RETURNED_PAGES", 50)
    store.tidy(clock.now)
    store.close()
    after_one = path.stat().st_size
    assert large - after_one == 50 * 4096
    for _ in range(5):
        store.tidy(clock.now)
    store.close()
    assert path.stat().st_size < large / 4


def test_nothing_to_add_is_nothing(store: Store, clock: Clock) -> None:
    store.add_samples(clock.now, {})
    assert store.samples(CART, clock.now) == []


def test_samples_of_all_databases_are_those_of_each(store: Store, clock: Clock) -> None:
    for n in range(6):
        found = {CART: Sample(cpu=n), "production/auth": Sample(transactions=n)}
        store.add_samples(clock.now + n * 10 * SECOND, found)
    since = clock.now + 20 * SECOND
    all_of_them = store.samples_of_all(since)
    assert all_of_them == {id: store.samples(id, since) for id in (CART, "production/auth")}
    assert [len(slots) for slots in all_of_them.values()] == [4, 4]
    assert store.samples_of_all(clock.now + 90 * SECOND) == {}
