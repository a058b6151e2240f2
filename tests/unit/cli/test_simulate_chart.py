"""`simulate --chart`: which file is written, and which is not."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import pytest
from shop import Shop

from pgherd.cli import simulate
from pgherd.report.drawing import draw

DRAW = ("simulate", "production/auth", "--days", "1", "--chart")
draw_once = cache(draw)


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is about files, the same chart need not be drawn again: it is the same picture."""
    monkeypatch.setattr(simulate, "draw", draw_once)


def test_a_chart_is_written(shop: Shop, tmp_path: Path) -> None:
    for ending, start in (("svg", b"<?xml"), ("PNG", b"\x89PNG")):
        path = tmp_path / f"chart.{ending}"
        lines = shop.out(*DRAW, str(path)).splitlines()
        assert lines[0] == f"wrote {path}"
        assert lines[2].startswith("Sizes")
        assert path.read_bytes().startswith(start)
        assert shop.out(*DRAW, str(path)).startswith(f"unchanged {path}\n")


@pytest.mark.usefixtures("drawn_once")
def test_programs_get_numbers_beside_it(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    assert shop.json(*DRAW, str(path))["databases"] == 1
    assert path.is_file()


@pytest.mark.parametrize("name", ["chart", "chart.pdf", "svg", ".svg"])
def test_any_other_ending_is_refused(shop: Shop, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert shop.err(*DRAW, str(path), exit_code=2) == (
        f"error: {path} ends neither in .svg nor in .png\n"
        "hint: write --chart FILE.svg or FILE.png\n"
    )
    assert not path.exists()


def test_a_chart_is_of_one_database(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    complaint = shop.err("simulate", "staging", "--chart", str(path), exit_code=2)
    assert "error: a chart is of one database, and these are 2" in complaint
    command = f"pgherd simulate staging/auth --chart {path}"
    assert f"hint: name one, as in {command}\n" in complaint
    shop.out(*command.split()[1:], "--days", "1")


def test_without_matplotlib_it_has_to_be_installed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "chart.svg"
    complaint = shop.err(*DRAW, str(path), exit_code=2)
    assert complaint.startswith("error: a chart needs matplotlib: ")
    assert complaint.endswith("hint: run pip install 'pgherd[charts]'\n")
    assert not path.exists()
    shop.out("simulate", "production/auth", "--days", "1")


def test_matplotlib_is_left_alone_where_nothing_is_drawn(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    shop.out("simulate", "production/auth", "--days", "1")
    assert "matplotlib" not in sys.modules


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("where", ["not/there/chart.svg", "file/chart.svg", "folder.svg"])
def test_a_place_that_cannot_be_written_is_told(shop: Shop, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.svg").mkdir()
    path = tmp_path / where
    complaint = shop.err(*DRAW, str(path), exit_code=2)
    assert complaint.startswith(f"error: {path} cannot be written: ")
    assert complaint.endswith("hint: choose another place\n")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.usefixtures("drawn_once")
def test_a_link_is_replaced_and_what_it_leads_to_is_kept(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "other.svg").write_text("other")
    (tmp_path / "chart.svg").symlink_to(tmp_path / "other.svg")
    shop.out(*DRAW, str(tmp_path / "chart.svg"))
    assert (tmp_path / "other.svg").read_text() == "other"
    assert not (tmp_path / "chart.svg").is_symlink()


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give things away")
@pytest.mark.parametrize("where", ["theirs.svg", "theirs.svg/chart.svg"])
def test_another_users_link_is_refused(shop: Shop, tmp_path: Path, where: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "theirs.svg").symlink_to(tmp_path / "own")
    os.chown(tmp_path / "theirs.svg", 12345, 12345, follow_symlinks=False)
    complaint = shop.err(*DRAW, str(tmp_path / where), exit_code=2)
    assert "theirs.svg belongs to user 12345" in complaint
    assert list((tmp_path / "own").iterdir()) == []
