"""Copy the package into its environment, compiled, so that every user of the machine can run it.

Each copy has a directory of its own, named for its content, and a process keeps the one that it
started with: what it imports later is of the same version. `current` points to the newest, in one
rename, so that a reader never sees half a copy.
"""

import hashlib
import os
import py_compile
import shutil
import sys
import sysconfig
import tempfile
from importlib.util import cache_from_source
from pathlib import Path

KEPT_COPIES = 20

# Resolved when an interpreter starts, which is what ties a process to its copy.
PATH_LINE = "import os, sys; sys.path.append(os.path.realpath({current!r}))\n"


def sources(package: Path) -> list[Path]:
    """Return every file of the package but compiled ones, in a fixed order."""
    return sorted(
        path.relative_to(package)
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def copy_file(source: Path, target: Path, previous: Path) -> None:
    """Copy one file and its bytecode, which is taken from the previous copy if still valid."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copystat(source, target)
    target.chmod(0o644)
    if target.suffix != ".py":
        return
    bytecode = Path(cache_from_source(str(target)))
    old_bytecode = Path(cache_from_source(str(previous)))
    if is_same(previous, target) and old_bytecode.is_file():
        bytecode.parent.mkdir(exist_ok=True)
        shutil.copyfile(old_bytecode, bytecode)
    else:
        compile_quietly(target)


def is_same(previous: Path, target: Path) -> bool:
    """Tell whether bytecode of one file is valid for the other: Python compares size and mtime."""
    try:
        old, new = previous.stat(), target.stat()
    except FileNotFoundError:
        return False
    return (old.st_size, int(old.st_mtime)) == (new.st_size, int(new.st_mtime))


def compile_quietly(target: Path) -> None:
    """Compile; a file that does not compile fails where it is imported, with a better message."""
    try:
        py_compile.compile(str(target), doraise=True)
    except py_compile.PyCompileError:
        return


def content_hash(package: Path, names: list[Path]) -> str:
    """Name a copy by the names and bytes of its files."""
    digest = hashlib.sha256()
    for name in names:
        data = (package / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:12]


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of the old one or all of the new one."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def replace_link(path: Path, target: str) -> None:
    """Point a link elsewhere in one step."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.symlink_to(target)
    new.replace(path)


def moved(work: Path, target: Path) -> bool:
    """Move a finished copy to its place; False where the same content got there before."""
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        return False
    return True


def remove_old(copies: Path, current: str) -> None:
    """Keep the newest copies: running processes may still import from an earlier one."""
    found = [path for path in copies.iterdir() if path.is_dir() and not path.is_symlink()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT_COPIES:]:
        if path.name != current:
            shutil.rmtree(path, ignore_errors=True)


def install(package: Path, environment: Path) -> None:
    """Make `current` of the environment a copy of the package as it is now."""
    copies = environment / "lib" / "pgherd"
    copies.mkdir(parents=True, exist_ok=True)
    # The time of this file is compared with the sources': it must be older than the copying.
    copied = copies / f"copied.{os.getpid()}"
    copied.write_text(f"{package.stat().st_ino}\n")
    current = copies / "current"
    previous = current.resolve() / package.name

    work = Path(tempfile.mkdtemp(prefix="new.", dir=copies))
    try:
        names = sources(package)
        for name in names:
            copy_file(package / name, work / package.name / name, previous / name)
        work.chmod(0o755)
        version = content_hash(work / package.name, names)
        if not moved(work, copies / version):
            os.utime(copies / version)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    replace_link(current, version)

    site = Path(sysconfig.get_path("purelib"))
    replace_text(site / "pgherd.pth", PATH_LINE.format(current=str(current)))
    copied.replace(copies / "copied")
    remove_old(copies, version)


if __name__ == "__main__":
    os.umask(0o022)
    install(Path(sys.argv[1]), Path(sys.argv[2]))
