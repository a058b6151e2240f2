"""initdb that does its work once: what Patroni runs in its place.

All new clusters of one PostgreSQL with the same options are alike but for their system
identifier. So the first one is kept as a template, and the others are copies with an identifier
of their own, in a fifth of initdb's CPU time. The template also has a database more, for a new
cluster to rename instead of creating its own. Where anything is not as expected, the real initdb
runs instead, and makes none.

The identifier stands in pg_control, whose last field is a CRC-32C of all before it, and in the
first page of each WAL segment (PostgreSQL's pg_control.h, xlog_internal.h). Both are checked
against the template's before they are changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PREPARED = "pgherd prepared"
"""The database to rename. No service can be called that."""
CRC32C_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed."""
LONGEST_CONTROL_DATA = 512
"""pg_control is written as one sector (PG_CONTROL_MAX_SAFE_SIZE)."""
LONG_HEADER = 0x0002
"""XLP_LONG_HEADER: the page header holds the system identifier, at byte 24."""


class UnexpectedError(Exception):
    """The template is not what this file knows how to change."""


def main(arguments: Sequence[str]) -> int:
    """`TEMPLATES INITDB OPTION... DATA`: make a new cluster in DATA; its exit code.

    It is made beside DATA and renamed at its end: there is all of it, or nothing.
    """
    templates, initdb, *options, data = arguments
    unfinished = Path(f"{data}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        template = _template(Path(templates), initdb, options)
        _clone(template, unfinished)
    except (OSError, UnexpectedError, subprocess.CalledProcessError) as error:
        print(f"no template ({error}): running initdb", file=sys.stderr)
        shutil.rmtree(unfinished, ignore_errors=True)
        code = subprocess.call([initdb, *options, unfinished])
    else:
        # All at once: file by file, as initdb does it, takes twice the time.
        code = subprocess.call(["sync", "--file-system", unfinished])
    if code == 0:
        # An empty folder may be there; any other keeps its place.
        unfinished.rename(data)
    return code


def new_identifier() -> int:
    """A system identifier as PostgreSQL makes it: time, microseconds, and the process id."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return seconds << 32 | (nanoseconds // 1000) << 12 | os.getpid() & 0xFFF


def crc32c(data: bytes) -> int:
    """The CRC-32C of `data` (RFC 3720, appendix B.4)."""
    *_, last = _crcs(data)
    return last


def with_identifier(control: bytes, identifier: int) -> bytes:
    """pg_control with another identifier; UnexpectedError if its CRC is not found."""
    crcs = enumerate(_crcs(control[:LONGEST_CONTROL_DATA]))
    ends = (e for e, crc in crcs if e > 8 and control[e : e + 4] == struct.pack("=I", crc))
    end = next(ends, None)
    if end is None:
        raise UnexpectedError("pg_control has no CRC where one should be")
    fields = struct.pack("=Q", identifier) + control[8:end]
    return fields + struct.pack("=I", crc32c(fields)) + control[end + 4 :]


def _crcs(data: bytes) -> Iterator[int]:
    """The CRC-32C of the first 0, 1, 2, ... bytes of `data`."""
    crc = 0xFFFFFFFF
    yield 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC32C_POLYNOMIAL if crc & 1 else 0)
        yield crc ^ 0xFFFFFFFF


def _template(templates: Path, initdb: str, options: Sequence[str]) -> Path:
    """The template of these options, made where there is none."""
    binary = Path(initdb).stat()
    key = repr((PREPARED, initdb, binary.st_mtime_ns, binary.st_size, sorted(options)))
    template = templates / hashlib.sha256(key.encode()).hexdigest()[:16]
    if template.is_dir():
        return template
    with _locked(templates / "lock"):
        if not template.is_dir():
            unfinished = templates / f"{template.name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            quiet = subprocess.DEVNULL
            subprocess.run([initdb, *options, unfinished], check=True, stdout=quiet)
            subprocess.run(
                [Path(initdb).parent / "postgres", "--single", "-D", unfinished, "template1"],
                input=f'CREATE DATABASE "{PREPARED}";'.encode(),
                check=True,
                stdout=quiet,
            )
            unfinished.rename(template)
    return template


def _clone(template: Path, data: Path) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{template}/.", data], check=True)
    control = data / "global/pg_control"
    content = control.read_bytes()
    old, new = content[:8], new_identifier()
    for segment in (data / "pg_wal").glob("[0-9A-F]" * 24):
        with segment.open("r+b") as file:
            _, flags = struct.unpack("=HH", file.read(4))
            file.seek(24)
            if not flags & LONG_HEADER or file.read(8) != old:
                raise UnexpectedError(f"{segment.name} does not begin with the identifier")
            file.seek(24)
            file.write(struct.pack("=Q", new))
    control.write_bytes(with_identifier(content, new))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
