"""A local OCI, with pgherd pointed to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgherd.testing.oci.server import LocalOci


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalOci]:
    with LocalOci() as running:
        for name, value in running.variables(tmp_path).items():
            monkeypatch.setenv(name, value)
        yield running
