"""Installing, removing and looking at a unit, on a systemd that is only remembered."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from remembered_systemd import RememberedSystemd, service

from pgherd.errors import InputError

UNIT = "pgherd-shop.service"


@pytest.fixture
def systemd(tmp_path: Path) -> RememberedSystemd:
    return RememberedSystemd(tmp_path / "etc/systemd/system")


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    return tmp_path / "state/shop.applied"


def test_it_is_written_for_all_to_read_enabled_and_not_started(
    systemd: RememberedSystemd, applied: Path
) -> None:
    own = service(applied, systemd)
    assert own.install()
    assert own.path == systemd.folder / UNIT
    assert own.path.read_text() == own.unit.text
    assert "DelegateSubgroup=" in own.unit.text
    assert stat.S_IMODE(own.path.stat().st_mode) == 0o644
    assert systemd.told == [("daemon-reload",), ("enable", UNIT)]
    assert not own.install()
    state = own.state()
    assert (state.is_installed, state.is_current) == (True, True)
    assert (state.enabled, state.active) == ("enabled", "inactive")


def test_it_is_started_where_that_is_asked_for(systemd: RememberedSystemd, applied: Path) -> None:
    own = service(applied, systemd)
    own.install(start=True)
    assert systemd.told[-1] == ("enable", "--now", UNIT)
    assert own.state().active == "active"


def test_one_of_another_version_is_seen_and_replaced(
    systemd: RememberedSystemd, applied: Path
) -> None:
    own = service(applied, systemd)
    own.install()
    own.path.write_text(own.unit.text.replace("LimitNOFILE=65536", "LimitNOFILE=1024"))
    assert not own.state().is_current
    assert own.install()
    assert own.state().is_current


def test_it_is_removed_and_removed_again(systemd: RememberedSystemd, applied: Path) -> None:
    own = service(applied, systemd)
    assert not own.remove()
    own.install(start=True)
    systemd.told.clear()
    assert own.remove()
    assert systemd.told == [("disable", UNIT), ("daemon-reload",)]
    assert not own.path.exists()
    assert UNIT in systemd.active, "what runs was to run on"
    assert not own.remove()
    state = own.state()
    assert (state.is_installed, state.is_current, state.enabled) == (False, False, "disabled")


def test_without_systemd_nothing_is_written(systemd: RememberedSystemd, applied: Path) -> None:
    systemd.is_running = False
    own = service(applied, systemd)
    with pytest.raises(InputError) as refused:
        own.install()
    assert "--print" in refused.value.hint
    assert not systemd.folder.exists()
    assert not systemd.told
    state = own.state()
    assert (state.is_installed, state.enabled, state.active) == (False, None, None)


def test_without_systemd_a_file_is_removed_all_the_same(
    systemd: RememberedSystemd, applied: Path
) -> None:
    own = service(applied, systemd)
    own.install()
    systemd.is_running = False
    systemd.told.clear()
    assert own.remove()
    assert not own.path.exists()
    assert not systemd.told


def test_a_systemd_that_does_not_answer_is_no_trouble(
    systemd: RememberedSystemd, applied: Path
) -> None:
    systemd.answers = False
    state = service(applied, systemd).state()
    assert (state.enabled, state.active) == ("unknown", "unknown")


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_that_others_may_change_is_refused(
    systemd: RememberedSystemd, applied: Path, mode: int
) -> None:
    systemd.folder.mkdir(parents=True)
    systemd.folder.chmod(mode)
    with pytest.raises(InputError, match="may be changed by others"):
        service(applied, systemd).install()
    assert not list(systemd.folder.iterdir())
    assert not systemd.told


def test_a_state_that_others_may_change_is_not_run_at_boot(
    systemd: RememberedSystemd, applied: Path
) -> None:
    applied.mkdir(parents=True)
    applied.chmod(0o777)
    with pytest.raises(InputError, match="may be changed by others"):
        service(applied, systemd).install()
    assert not systemd.folder.exists()


def test_code_that_others_may_change_is_not_run_at_boot(
    systemd: RememberedSystemd, applied: Path, tmp_path: Path
) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.touch()
    service(applied, systemd, code=[python]).install()
    python.parent.chmod(0o777)
    systemd.told.clear()
    with pytest.raises(InputError, match="may be changed by others"):
        service(applied, systemd, code=[python]).install()
    assert not systemd.told


def test_a_unit_about_another_fleet_of_that_name_is_left_alone(
    systemd: RememberedSystemd, applied: Path, tmp_path: Path
) -> None:
    other = service(tmp_path / "elsewhere/shop.applied", systemd)
    other.install()
    own = service(applied, systemd)
    for change in (own.install, own.remove):
        with pytest.raises(InputError, match="is not about the fleet in"):
            change()
    assert other.state().is_current
    assert not own.state().is_current


def test_a_unit_that_is_masked_is_left_alone(systemd: RememberedSystemd, applied: Path) -> None:
    systemd.folder.mkdir(parents=True)
    (systemd.folder / UNIT).symlink_to("/dev/null")
    with pytest.raises(InputError, match="is not about the fleet in"):
        service(applied, systemd).install()
    assert (systemd.folder / UNIT).is_symlink()


def test_an_odd_path_is_refused_before_anything_is_written(
    systemd: RememberedSystemd, tmp_path: Path
) -> None:
    own = service(tmp_path / "a\nExecStartPre=evil/shop.applied", systemd)
    with pytest.raises(InputError, match="cannot bear"):
        own.install()
    assert not systemd.folder.exists()


def test_a_users_unit_waits_for_a_login_unless_its_systemd_lingers(
    systemd: RememberedSystemd, applied: Path
) -> None:
    assert service(applied, systemd, is_users=True, lingers=False).state().waits_for_login
    assert not service(applied, systemd, is_users=True, lingers=True).state().waits_for_login
    assert not service(applied, systemd, lingers=False).state().waits_for_login
    own = service(applied, systemd, is_users=True)
    assert "WantedBy=default.target" in own.unit.text
    assert own.systemctl == "systemctl --user"
