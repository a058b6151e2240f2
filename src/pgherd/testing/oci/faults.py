"""Planned faults: which of the next calls goes wrong, and how."""

from __future__ import annotations

from dataclasses import dataclass

from pgherd.testing.oci.refusals import of_kind

# Done, but the client never learns it.
AFTERWARDS = frozenset({"lost", "lost-500"})


@dataclass(slots=True)
class _Fault:
    operation: str | None
    kind: str
    times: int
    skip: int


class Faults:
    """The faults still to come, first planned first."""

    def __init__(self) -> None:
        self._planned: list[_Fault] = []
        self._work: list[str] = []

    def plan(self, operation: str | None, kind: str, times: int, skip: int) -> None:
        """Let calls of the operation (None: of any) go wrong, after `skip` good ones."""
        if kind != "lost":
            of_kind(kind)
        self._planned.append(_Fault(operation, kind, times, skip))

    def take(self, operation: str) -> str | None:
        """The fault of this call, used up by asking."""
        for fault in self._planned:
            if fault.operation not in (None, operation):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._planned.remove(fault)
            return fault.kind
        return None

    def plan_failed_work(self, kind: str) -> None:
        """Let the next work request of that operation (or operation type) fail."""
        self._work.append(kind)

    def take_failed_work(self, *kinds: str) -> bool:
        """Whether this work request is one that fails."""
        for kind in kinds:
            if kind in self._work:
                self._work.remove(kind)
                return True
        return False

    @property
    def left(self) -> int:
        """How many planned faults have not happened yet."""
        return sum(fault.times for fault in self._planned) + len(self._work)
