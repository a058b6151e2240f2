"""Syntax trees, whatever else the process does at the same time."""

import ast
import gc
from collections.abc import Iterator

import pytest

from pgherd.syntax import parsed

DEEP = "x = " + "(" * 30 + "1" + " + 1)" * 30


class Leftover:
    """Garbage that makes a tree itself when it is collected, as a logged traceback does."""

    collected = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Leftover.collected += 1
        ast.parse(DEEP)


@pytest.fixture(autouse=True)
def threshold() -> Iterator[None]:
    """What a test sets is set back. Only what it makes is looked at by the collector: all else
    that the process holds takes a tenth of a second each time."""
    before = gc.get_threshold()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.parametrize("objects", range(5, 100, 5))
def test_what_is_collected_meanwhile_does_not_disturb_a_tree(objects: int) -> None:
    gc.collect()
    Leftover.collected = 0
    Leftover()
    gc.set_threshold(objects)
    tree = parsed(DEEP)
    gc.set_threshold(1)
    gc.collect()
    assert isinstance(tree.body[0], ast.Assign)
    assert Leftover.collected == 1


def test_the_collector_goes_on_afterwards() -> None:
    with pytest.raises(SyntaxError, match="never closed"):
        parsed("x = (", "wrong.py")
    assert gc.isenabled()


def test_who_has_switched_the_collector_off_finds_it_off() -> None:
    gc.disable()
    try:
        parsed("x = 1")
        assert not gc.isenabled()
    finally:
        gc.enable()
