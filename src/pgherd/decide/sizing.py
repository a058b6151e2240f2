"""How large a database has to be, from what it uses: pure, the same wherever it is asked.

The larger of two needs, CPU and memory, is rounded up to a rung of a ladder that doubles. CPU is
seen through a fast and a slow average: where they agree the slow one counts, so that noise moves
nothing, and where they part the fast one does, so that a step counts at once (as in Neon's
autoscaling, pkg/agent/core/goalcu.go). Growing is quick and shrinking is slow: who shrinks has to
read its cache again. A value that is missing never makes anything smaller.

Times are seconds of one clock that only goes forward, CPU is in OCPUs, memory in bytes.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from math import exp

from msgspec import Struct
from msgspec.structs import replace

from pgherd.units import clamp, number

FAST_SECONDS = 3.0
SLOW_SECONDS = 300.0
"""Time constants of the two averages: after so long a step has come through by 63 %."""
AGREED = 0.1
"""The averages agree where they differ by less than this share of the slow one ..."""
PARTED = 0.35
"""... and have parted where they differ by more than this; in between they are mixed."""
SATURATED = 0.95
"""From this share of its size on, nobody knows how much more a database would use."""
SATURATED_SECONDS = 4.0
CONFIRM_SECONDS = 10.0
"""How long a database has to be saturated, or above its threshold, before it grows."""
ROOMY_SECONDS = 900.0
"""How long the next smaller size has to be enough before it is taken ..."""
COOLDOWN_SECONDS = 1800.0
"""... and how long ago the last change of size must be."""
REGRET_SECONDS = 7200.0
"""Who grows again so soon should not have shrunk, and waits twice as long next time ..."""
MOST_PATIENCE = 16.0
"""... and no longer than so many times as long; half as long after one that was right."""
GAP_SECONDS = 30.0
"""After so long without a sample nothing is known about the time in between ..."""
GAP_SAMPLES = 6
"""... or after as long as so many samples last."""
HOT_SHARE = 0.9
"""Of memory that unreclaimable pages and hot cache together may fill."""


class Limits(Struct, frozen=True):
    """What the fleet file says: OCPUs from `low` to `high`, and above which shares it grows."""

    low: int
    high: int
    cpu_share: float
    memory_share: float
    memory_per_ocpu: int

    @property
    def ladder(self) -> tuple[int, ...]:
        """The sizes to choose from: each twice the one before, and the largest."""
        return _ladder(self.low, self.high)


class Use(Struct, frozen=True):
    """What the busiest instance used in the `seconds` before `at`; None where it is unknown.

    `memory` is what cannot be reclaimed, `hot` is page cache that is read again and again.
    """

    at: float
    seconds: float
    cpu: float | None = None
    memory: float | None = None
    hot: float = 0.0


class Trend(Struct, frozen=True):
    """What is remembered of a database from one sample to the next; it does not grow.

    `at` is when something was last known of it. The `..._since` say since when something has been
    so without a break, None where it is not. `patience` is how many times as long as others it
    waits before it shrinks.
    """

    at: float
    ocpus: int
    changed_at: float
    shrunk_at: float | None = None
    patience: float = 1.0
    fast: float | None = None
    slow: float | None = None
    memory: float | None = None
    saturated_since: float | None = None
    short_since: float | None = None
    roomy_since: float | None = None
    seconds: float = 0.0
    """How long its last sample lasted."""

    @property
    def cpu(self) -> float | None:
        """The two averages as one: OCPUs in use."""
        if self.fast is None or self.slow is None:
            return None
        apart = abs(self.fast - self.slow)
        share = (apart - AGREED * self.slow) / ((PARTED - AGREED) * self.slow or 1e-9)
        share = min(1.0, max(0.0, share))
        return share * self.fast + (1 - share) * self.slow


class Rule(StrEnum):
    """Why a size is what it is to be."""

    SATURATED = "saturated"
    CPU = "cpu"
    MEMORY = "memory"
    FLOOR = "floor"
    """Somebody knows that load is coming: a peak in the fleet file, a forecast."""
    BOUNDS = "bounds"
    """The fleet file's."""
    ROOMY = "roomy"
    WAITS = "waits"
    """Another size ends connections, and waits for a maintenance window."""
    STAYS = "stays"
    UNKNOWN = "unknown"


class Verdict(Struct, frozen=True):
    """The size that a database is to have. `why` is for people, with the numbers."""

    ocpus: int
    rule: Rule
    why: str


def follow(trend: Trend | None, use: Use, ocpus: int, limits: Limits) -> Trend:
    """The trend with one more sample of a database that has `ocpus` now."""
    began = use.at - use.seconds
    if trend is None:
        trend = Trend(began, ocpus, use.at - COOLDOWN_SECONDS)
    is_known = use.cpu is not None or use.memory is not None
    # A new size begins its own time, and so does the end of one of which nothing is known.
    is_anew = ocpus != trend.ocpus or (is_known and began - trend.at > _gap(use.seconds))
    changed = Trend(
        at=use.at if is_known else trend.at,
        ocpus=ocpus,
        changed_at=trend.changed_at if ocpus == trend.ocpus else use.at,
        shrunk_at=use.at if ocpus < trend.ocpus else trend.shrunk_at,
        patience=trend.patience if ocpus == trend.ocpus else _patience(trend, ocpus, use.at),
        fast=_average(trend.fast, use, FAST_SECONDS),
        slow=_average(trend.slow, use, SLOW_SECONDS),
        memory=trend.memory if use.memory is None else _memory_need(use, limits),
        saturated_since=None if is_anew else trend.saturated_since,
        short_since=None if is_anew else trend.short_since,
        roomy_since=None if is_anew else trend.roomy_since,
        seconds=use.seconds,
    )
    if not is_known:
        return replace(changed, roomy_since=None)
    need, smaller = _need(changed, limits), _smaller(ocpus, limits)
    is_saturated = use.cpu is not None and use.cpu >= SATURATED * ocpus
    is_roomy = use.cpu is not None and use.memory is not None and need <= smaller < ocpus
    return replace(
        changed,
        saturated_since=held_since(changed.saturated_since, began, holds=is_saturated),
        short_since=held_since(changed.short_since, began, holds=need > ocpus),
        roomy_since=held_since(changed.roomy_since, began, holds=is_roomy),
    )


def judge(trend: Trend | None, limits: Limits, now: float, floor: int = 0) -> Verdict | None:
    """The size that it is to have now; None where nothing at all is known of it.

    `floor` is what it needs at least though it may not show yet; the limits bound it too.
    """
    if trend is None:
        return None
    ocpus, need = trend.ocpus, _need(trend, limits)
    bounded = clamp(ocpus, limits.low, limits.high)
    if bounded != ocpus:
        return Verdict(bounded, Rule.BOUNDS, f"the fleet file says {limits.low}..{limits.high}")
    floor = _rung(min(floor, limits.high), limits)
    if grown := _growth(trend, limits, now):
        return grown if grown.ocpus >= floor else _raised(floor)
    if floor > ocpus:
        return _raised(floor)
    if trend.cpu is None or now - trend.at > _gap(trend.seconds):
        return Verdict(ocpus, Rule.UNKNOWN, "nothing is known of its load")
    if smaller := _shrinkage(trend, limits, now, floor):
        return smaller
    return Verdict(ocpus, Rule.STAYS, f"{need:.2g} of {number(ocpus, 'OCPU')} are needed")


def _gap(seconds: float) -> float:
    return max(GAP_SECONDS, GAP_SAMPLES * seconds)


def _raised(floor: int) -> Verdict:
    return Verdict(floor, Rule.FLOOR, f"{number(floor, 'OCPU')} are about to be needed")


def _growth(trend: Trend, limits: Limits, now: float) -> Verdict | None:
    """A larger size, where the present one has been too small for long enough."""
    ocpus = trend.ocpus
    larger = _rung(ocpus + 1, limits)
    if larger <= ocpus:
        return None
    if trend.saturated_since is not None and trend.at - trend.saturated_since >= SATURATED_SECONDS:
        share, seconds = (trend.fast or 0) / ocpus, trend.at - trend.saturated_since
        return Verdict(larger, Rule.SATURATED, _cpu_text(share, ocpus, seconds, limits))
    if trend.short_since is None or trend.at - trend.short_since < CONFIRM_SECONDS:
        return None
    seconds = now - trend.short_since
    wanted = _rung(_need(trend, limits), limits)
    memory = trend.memory or 0.0
    if memory > _cpu_need(trend, limits):
        why = f"memory for {memory:.1f} OCPUs for {seconds:.0f} s"
        return Verdict(max(larger, wanted), Rule.MEMORY, f"{why}, above {limits.memory_share:.0%}")
    share = (trend.cpu or 0.0) / ocpus
    return Verdict(max(larger, wanted), Rule.CPU, _cpu_text(share, ocpus, seconds, limits))


def _cpu_text(share: float, ocpus: int, seconds: float, limits: Limits) -> str:
    size = number(ocpus, "OCPU")
    return f"cpu {share:.0%} of {size} for {seconds:.0f} s, above {limits.cpu_share:.0%}"


def _shrinkage(trend: Trend, limits: Limits, now: float, floor: int) -> Verdict | None:
    """The next smaller size, where that has been enough for long enough."""
    smaller = _smaller(trend.ocpus, limits)
    if trend.roomy_since is None or smaller < floor:
        return None
    seconds = now - trend.roomy_since
    if seconds < ROOMY_SECONDS * trend.patience:
        return None
    if now - trend.changed_at < COOLDOWN_SECONDS * trend.patience:
        return None
    need = f"{_need(trend, limits):.2g} of {number(trend.ocpus, 'OCPU')} are needed"
    return Verdict(smaller, Rule.ROOMY, f"{need}, for {seconds / 60:.0f} min")


def _patience(trend: Trend, ocpus: int, at: float) -> float:
    """How long it waits from now on, when its size has just become `ocpus`."""
    is_regretted = trend.shrunk_at is not None and at - trend.shrunk_at < REGRET_SECONDS
    if ocpus < trend.ocpus:
        return max(1.0, trend.patience / 2)
    return min(MOST_PATIENCE, trend.patience * 4) if is_regretted else trend.patience


def _need(trend: Trend, limits: Limits) -> float:
    """OCPUs that keep it below both thresholds, as far as is known."""
    return max(_cpu_need(trend, limits), trend.memory or 0.0)


def _cpu_need(trend: Trend, limits: Limits) -> float:
    return (trend.cpu or 0.0) / limits.cpu_share


def _memory_need(use: Use, limits: Limits) -> float:
    memory = use.memory or 0.0
    wanted = max(memory / limits.memory_share, (memory + use.hot) / HOT_SHARE)
    return wanted / limits.memory_per_ocpu


@cache
def _ladder(low: int, high: int) -> tuple[int, ...]:
    rungs = []
    rung = low
    while rung < high:
        rungs.append(rung)
        rung *= 2
    return (*rungs, high)


def _rung(need: float, limits: Limits) -> int:
    """The smallest size that is enough; the largest where none is."""
    for rung in limits.ladder:
        if rung >= need:
            return rung
    return limits.high


def _smaller(ocpus: int, limits: Limits) -> int:
    """The next smaller size; the same where there is none."""
    below = ocpus
    for rung in limits.ladder:
        if rung >= ocpus:
            break
        below = rung
    return below


def _average(before: float | None, use: Use, constant: float) -> float | None:
    """An exponential average; it begins with the first value that is known."""
    if use.cpu is None or before is None:
        return before if use.cpu is None else use.cpu
    weight = 1 - exp(-use.seconds / constant)
    return before + weight * (use.cpu - before)


def held_since(before: float | None, began: float, *, holds: bool) -> float | None:
    """Since when something holds, from since when it held before; None where it does not."""
    if not holds:
        return None
    return began if before is None else before
