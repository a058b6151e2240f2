"""One small fleet, really running, that all integration tests of the local engine share.

Bringing it up takes seconds, so it is made once; each test leaves it as it found it. Its state
lies in a short folder below /tmp that the databases' user can enter. When a test that used it
fails, everything is stopped, and the folder is kept and named.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest
from own_folder import own_folder
from running_fleet import AUTH, RunningFleet, end_leftovers, small_fleet, stop

from pgherd.control.up import converge
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.fleet.desired import Pooling

# No test may fail for a slow machine: neither an example's time nor that of making one counts.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("untimed")

FAILED: pytest.StashKey[list[str]] = pytest.StashKey()
SAID = "pgherd_said"


LONGEST = ("test_healing", "test_reader", "test_notifications", "test_world", "test_certificates")
"""Modules that begin first, so that of two processes none waits for the other in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that want the machine for themselves come before there is any fleet."""
    items.sort(
        key=lambda item: (
            item.get_closest_marker("alone") is None,
            item.path.stem not in LONGEST,
        )
    )


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest) -> Iterator[RunningFleet]:
    """The fleet. Whoever changes it puts it right again."""
    folder = own_folder("pgh-", "s")
    running = RunningFleet(small_fleet(), Layout(folder / "s"), data_plane_owner())
    failed = request.config.stash.setdefault(FAILED, [])
    is_up = False
    try:
        outcome = running.run(converge(running.fleet, {"local": running.engine}))
        assert not outcome.troubles, outcome.troubles
        is_up = True
        yield running
    finally:
        is_kept = bool(failed) or not is_up
        try:
            running.run(stop(running.engine, remove=not is_kept))
        finally:
            left = end_leftovers(folder, seconds=5)
            if is_kept:
                _say(request, f"the state of the fleet that failed is kept in {folder}")
            else:
                shutil.rmtree(folder)
    assert not left, f"these outlived their fleet: {left}"


@pytest.fixture
def auth(running: RunningFleet) -> dict[str, str]:
    """production/auth as its service, through the pooler, with a session."""
    return running.through_pooler(AUTH)


@pytest.fixture
def transactions(running: RunningFleet) -> dict[str, str]:
    """The same with a server connection for each transaction."""
    return running.through_pooler(AUTH, pooling=Pooling.TRANSACTION)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test of the running fleet failed."""
    report = yield
    if report.failed and "running" in getattr(item, "fixturenames", ()):
        item.config.stash.setdefault(FAILED, []).append(item.nodeid)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What one of several processes that run tests had to say."""
    for text in getattr(node, "workeroutput", {}).get(SAID, ()):
        _write(node.config, text)


def _say(request: pytest.FixtureRequest, text: str) -> None:
    output = getattr(request.config, "workeroutput", None)
    if output is None:
        _write(request.config, text)
    else:
        output.setdefault(SAID, []).append(text)


def _write(config: pytest.Config, text: str) -> None:
    """On the terminal, which the output of tests and fixtures does not reach."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(text)
