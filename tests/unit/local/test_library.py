"""The library in PostgreSQL: where it lies, and what it reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.engines.local import library
from pgherd.errors import InputError


def test_it_is_found_for_each_version(tmp_path: Path) -> None:
    (tmp_path / "pgherd-15.so").touch()
    places = (tmp_path / "elsewhere", tmp_path)
    assert library.path(15, places) == tmp_path / "pgherd-15.so"
    with pytest.raises(InputError, match="PostgreSQL 16 is not built") as found:
        library.path(16, places)
    assert "make setup" in found.value.hint


def test_a_server_reports_only_what_its_version_has() -> None:
    assert "transaction_timeout" in library.settings(17)
    assert "transaction_timeout" not in library.settings(16)
    assert "createrole_self_grant" in library.settings(16)
    assert "createrole_self_grant" not in library.settings(15)
    assert set(library.settings(14)) < set(library.settings(15)) < set(library.settings(18))
    assert len(set(library.settings(18))) == len(library.settings(18))


def test_no_setting_could_end_the_configuration_line() -> None:
    assert all(name.replace("_", "").isalnum() for name in library.settings(18))
