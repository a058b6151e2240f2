"""Control groups: which trees there are, what is written to them, and what is read from them."""

import contextlib
import os
from pathlib import Path

import pytest

from pgherd.engines.local.control_groups import ControlGroups, Quota
from pgherd.engines.local.control_trees import Trees, trees
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

AUTH = DatabaseId("production", "auth")
V1 = """\
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/my\\040memory cgroup rw,relatime,memory 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime,nsdelegate 0 0\n"
OURS = Owner(os.geteuid(), os.getegid(), "somebody")


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ("", None),
        ("proc /proc proc rw 0 0\nbroken\n", None),
        ("cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n", None),
        (UNIFIED, Trees(*[Path("/sys/fs/cgroup/unified")] * 4)),
        (
            V1,
            Trees(
                Path("/sys/fs/cgroup/cpu,cpuacct"),
                Path("/sys/fs/cgroup/cpu,cpuacct"),
                Path("/sys/fs/cgroup/my memory"),
                None,
            ),
        ),
        (
            "cgroup /c cgroup rw,cpu 0 0\n" + UNIFIED,
            Trees(Path("/c"), None, None, Path("/sys/fs/cgroup/unified")),
        ),
    ],
)
def test_trees_are_found_by_what_they_control(mounts: str, expected: Trees | None) -> None:
    assert trees(mounts) == expected


@pytest.mark.parametrize(
    ("cores", "machine", "expected"),
    [(0.2, 2, 20_000), (1.5, 2, 150_000), (2, 2, None), (20, 2, None), (0.0001, 2, 1000)],
)
def test_a_quota_is_a_share_of_a_period(cores: float, machine: int, expected: int | None) -> None:
    assert Quota.of(cores, machine) == Quota(expected)


class Kernel:
    """Folders as the kernel shows them, for one instance; what was written last is in them."""

    def __init__(self, trees: Trees, root: Path) -> None:
        self.trees = trees
        self.groups = ControlGroups(trees, root)
        self.names = [tree / self.groups._fleet for tree in trees.all]
        for fleet in self.names:
            fleet.mkdir(parents=True, exist_ok=True)

    def group(self, tree: Path | None) -> Path:
        assert tree
        folder = self.groups._group(tree, AUTH, 1)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def fill(self, tree: Path | None, **texts: str) -> None:
        for name, text in texts.items():
            (self.group(tree) / name.replace("__", ".")).write_text(text)


@pytest.fixture
def v2(tmp_path: Path) -> Kernel:
    return Kernel(Trees(*[tmp_path / "cgroup"] * 4), tmp_path / "state" / "shop")


@pytest.fixture
def v1(tmp_path: Path) -> Kernel:
    found = Trees(tmp_path / "cpu", tmp_path / "cpuacct", tmp_path / "memory", tmp_path / "v2")
    return Kernel(found, tmp_path / "state" / "shop")


def test_two_fleets_of_one_name_have_different_groups(tmp_path: Path) -> None:
    here = Trees(tmp_path, None, None, None)
    one, other = (ControlGroups(here, tmp_path / name / "shop") for name in "ab")
    assert one._fleet != other._fleet
    assert ControlGroups(here, tmp_path / "a" / "shop")._fleet == one._fleet


def test_a_state_folder_cannot_lead_out_of_the_tree(tmp_path: Path) -> None:
    groups = ControlGroups(Trees(tmp_path, None, None, None), Path("/state/..odd name\n/.."))
    assert len(groups._fleet.parts) == 2
    assert ".." not in groups._fleet.parts


def test_a_quota_of_v2_is_written_with_its_period(v2: Kernel) -> None:
    v2.fill(v2.trees.cpu, cpu__max="max 100000", cpu__max__burst="0", cgroup__procs="")
    v2.groups.limit(OURS, AUTH, 1, Quota(20_000))
    folder = v2.group(v2.trees.cpu)
    assert (folder / "cpu.max").read_text() == "20000 100000"
    assert (folder / "cpu.max.burst").read_text() == "20000"
    v2.groups.limit(OURS, AUTH, 1, Quota(None))
    assert (folder / "cpu.max").read_text().startswith("max 100000")


def test_a_quota_of_v1_is_written_without_a_burst_where_the_kernel_has_none(v1: Kernel) -> None:
    for tree in v1.trees.all:
        v1.fill(tree, cgroup__procs="")
    v1.fill(v1.trees.cpu, cpu__cfs_period_us="", cpu__cfs_quota_us="")
    v1.groups.limit(OURS, AUTH, 1, Quota(30_000))
    folder = v1.group(v1.trees.cpu)
    assert (folder / "cpu.cfs_period_us").read_text() == "100000"
    assert (folder / "cpu.cfs_quota_us").read_text() == "30000"
    assert not (folder / "cpu.cfs_burst_us").exists()


def test_nothing_is_written_where_there_is_no_kernel(tmp_path: Path) -> None:
    """A folder that looks like a tree of control groups, and has no files of the kernel."""
    groups = ControlGroups(Trees(tmp_path, None, None, None), tmp_path / "shop")
    with pytest.raises(OSError, match=r"cpu\.cfs_period_us"):
        groups.limit(OURS, AUTH, 1, Quota(20_000))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_others_may_enter_a_group_whatever_the_mask_of_new_files_is(v2: Kernel, mask: int) -> None:
    before = os.umask(mask)
    try:
        with contextlib.suppress(OSError):  # its files are the kernel's to make
            v2.groups.limit(OURS, AUTH, 2, Quota(20_000))
    finally:
        os.umask(before)
    folder = v2.groups._group(v2.trees.cpu, AUTH, 2)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_use_is_read_from_v2(v2: Kernel) -> None:
    v2.fill(
        v2.trees.cpu,
        cpu__stat="usage_usec 2500000\nnr_periods 30\nnr_throttled 3\nthrottled_usec 400000\n",
        cpu__pressure="some avg10=1.00 avg60=0.5 avg300=0.1 total=7000000\nfull avg10=0 total=1\n",
        cgroup__events="populated 1\nfrozen 0\n",
        memory__stat="anon 1000\nfile 77\nkernel 300\nshmem 20\nbroken\n",
    )
    used = v2.groups.used(AUTH, 1)
    assert (used.cpu_seconds, used.periods, used.throttled_periods) == (2.5, 30, 3)
    assert (used.throttled_seconds, used.waited_seconds) == (0.4, 7.0)
    assert used.memory_bytes == 1320


def test_use_is_read_from_v1(v1: Kernel) -> None:
    v1.fill(v1.trees.cpu, cpu__stat="nr_periods 30\nnr_throttled 3\nthrottled_time 400000000\n")
    v1.fill(v1.trees.usage, cpuacct__usage="2500000000\n")
    v1.fill(
        v1.trees.memory,
        memory__stat="rss 1\ntotal_rss 1000\ntotal_shmem 20\ntotal_cache 9\n",
        memory__kmem__usage_in_bytes="300\n",
    )
    used = v1.groups.used(AUTH, 1)
    assert (used.cpu_seconds, used.throttled_seconds, used.memory_bytes) == (2.5, 0.4, 1320)
    assert used.waited_seconds is None  # nobody was moved into the tree of v2


def test_what_is_not_there_is_unknown_and_not_zero(v1: Kernel, v2: Kernel) -> None:
    for kernel in (v1, v2):
        used = kernel.groups.used(AUTH, 2)
        assert {used.cpu_seconds, used.periods, used.throttled_seconds, used.memory_bytes} == {None}
    v2.fill(v2.trees.cpu, cpu__stat="usage_usec\nnr_periods many\n", memory__stat="anon 5\n")
    assert v2.groups.used(AUTH, 1).memory_bytes is None


def test_a_process_is_held_by_the_group_that_the_kernel_names(v2: Kernel) -> None:
    assert not v2.groups.holds(AUTH, 1, os.getpid())
    assert not v2.groups.holds(AUTH, 1, 2**22 + 1)


def test_groups_are_forgotten_where_nothing_is_in_them(v2: Kernel) -> None:
    folder = v2.group(v2.trees.cpu)
    v2.groups.forget(AUTH, 1)
    assert not folder.exists()
    v2.groups.forget(AUTH, 1)
    v2.groups.forget_fleet()
    assert not (v2.trees.cpu / "pgherd").exists()
