"""The copy itself: pg_dump reads the source, pg_restore writes the target as its service.

Nothing of it is ever read by psql, which obeys more than SQL. Definitions lie in memory, so that
what is made already, or cannot be, is left out of them; rows flow from one program to the other.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pgherd.control.importing import children
from pgherd.control.importing.children import OpenDoor
from pgherd.errors import NeedsHuman, PgherdError, TryLater

STILL_SECONDS = 900.0
"""How long a source may send nothing at all."""
LARGEST_SCHEMA = 256 << 20
AT_ONCE = 1 << 20
LONGEST_COMPLAINT = 1 << 16
LONGEST_REASON = 300
LEFT_OUT = (
    "SCHEMA - ",
    "EXTENSION - ",
    "EVENT TRIGGER - ",
    "COMMENT - EXTENSION ",
    "COMMENT - EVENT TRIGGER ",
    "COMMENT - SCHEMA public ",
)
"""Entries of an archive's list that are made already, or that no service may make."""
_DUMP = (
    "--format=custom",
    "--compress=0",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
    "--no-password",
    "--lock-wait-timeout=60s",
)
_RESTORE = ("--no-owner", "--no-privileges", "--exit-on-error", "--no-password")


@dataclass(frozen=True, slots=True)
class Copier:
    """From one open door to the other, with the programs of that version of PostgreSQL."""

    source: OpenDoor
    target: OpenDoor
    version: int
    snapshot: str

    @asynccontextmanager
    async def definitions(self) -> AsyncIterator[Definitions]:
        """All that is not rows, as it is in the snapshot."""
        archive, listed = children.in_memory("archive"), children.in_memory("list")
        try:
            await self._dump(("--section=pre-data", "--section=post-data"), archive)
            os.write(listed, os.fsencode(kept(await self._listed(archive))))
            yield Definitions(self, archive, listed)
        finally:
            os.close(archive)
            os.close(listed)

    async def rows(self, on_bytes: Callable[[int], None]) -> None:
        """Rows, large objects and the values of sequences; `on_bytes` is told how many so far."""
        begin, sink = os.pipe()
        try:
            restore = await self._start_restore(("--section=data",), stdin=begin)
        finally:
            os.close(begin)
        complaints = asyncio.ensure_future(_complaints(restore))
        try:
            await self._dump(("--section=data",), sink, on_bytes, by=restore)
            os.close(sink)
            sink = -1
            await _require_done("the copy", restore, await complaints)
        except BaseException:
            await children.end(restore)
            await complaints
            raise
        finally:
            if sink >= 0:
                os.close(sink)

    async def restore(self, archive: int, listed: int, section: str) -> None:
        """A part of an archive that lies in memory is made in the target."""
        words = (
            f"--section={section}",
            f"--use-list=/proc/self/fd/{listed}",
            f"/proc/self/fd/{archive}",
        )
        process = await self._start_restore(
            words, (archive, listed), stdin=asyncio.subprocess.DEVNULL
        )
        try:
            await _require_done("the copy", process, await _complaints(process))
        finally:
            await children.end(process)

    async def _listed(self, archive: int) -> str:
        process = await children.start_program(
            (children.program("pg_restore", self.version), "--list", f"/proc/self/fd/{archive}"),
            None,
            (archive,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            found, complaints = await process.communicate()
            await _require_done("the dump", process, complaints)
        finally:
            await children.end(process)
        return os.fsdecode(found)

    async def _dump(
        self,
        sections: Iterable[str],
        sink: int,
        on_bytes: Callable[[int], None] | None = None,
        by: asyncio.subprocess.Process | None = None,
    ) -> None:
        """pg_dump writes to `sink`, a file or a pipe that `by` reads."""
        words = (*_DUMP, f"--snapshot={self.snapshot}", *sections)
        source, end = os.pipe()
        with suppress(OSError):  # as large as it may be
            fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, AT_ONCE)
        try:
            dump = await children.start_program(
                (children.program("pg_dump", self.version), *words),
                self.source,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=end,
                stderr=asyncio.subprocess.PIPE,
            )
        except BaseException:
            os.close(source)
            raise
        finally:
            os.close(end)
        most = LARGEST_SCHEMA if by is None else None
        flow = asyncio.ensure_future(asyncio.to_thread(_pump, source, sink, most, on_bytes))
        complaints = asyncio.ensure_future(_complaints(dump))
        try:
            trouble = await asyncio.shield(flow)  # a thread goes on until its pipes end
        finally:
            if not flow.done() or flow.exception() or flow.result() is not None:
                await children.end(dump)
                if not flow.done() and by is not None:
                    await children.end(by)
                await asyncio.wait([flow])
            os.close(source)
        said = await complaints
        if isinstance(trouble, BrokenPipeError):
            return  # whoever reads has ended, and says why
        if isinstance(trouble, PgherdError):
            raise trouble
        if trouble is not None:
            raise TryLater(f"the source cannot be read: {_reason(said) or trouble}")
        await _require_done("the source", dump, said)

    async def _start_restore(
        self, words: Sequence[str], also: Sequence[int] = (), *, stdin: int
    ) -> asyncio.subprocess.Process:
        database = f"--dbname={self.target.parameters['dbname']}"
        return await children.start_program(
            (children.program("pg_restore", self.version), *_RESTORE, database, *words),
            self.target,
            also,
            stdin=stdin,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )


@dataclass(frozen=True, slots=True)
class Definitions:
    """Of a source, in memory."""

    copier: Copier
    archive: int
    listed: int

    async def before_rows(self) -> None:
        """Tables, types, functions, views."""
        await self.copier.restore(self.archive, self.listed, "pre-data")

    async def after_rows(self) -> None:
        """Indexes, constraints, triggers, and what materialized views hold."""
        await self.copier.restore(self.archive, self.listed, "post-data")


def kept(listed: str) -> str:
    """The list of an archive without what is not to be restored from it."""
    lines = []
    for line in listed.splitlines(keepends=True):
        # As in: 3; 3079 16385 EXTENSION - citext
        _, _, entry = line.partition("; ")
        _, _, entry = entry.partition(" ")
        _, _, entry = entry.partition(" ")
        if not entry.startswith(LEFT_OUT):
            lines.append(line)
    return "".join(lines)


def _pump(
    source: int, sink: int, most: int | None, on_bytes: Callable[[int], None] | None
) -> Exception | None:
    """Move all of a pipe to the sink, in a thread; what ended it early."""
    moved = 0
    poll = select.poll()
    poll.register(source, select.POLLIN | select.POLLHUP)
    try:
        while True:
            if not poll.poll(STILL_SECONDS * 1000):
                return TryLater(
                    f"the source has sent nothing for {STILL_SECONDS / 60:.0f} min",
                    "see that it can be reached, then begin again",
                )
            if not (count := os.splice(source, sink, AT_ONCE)):
                return None
            moved += count
            if most is not None and moved > most:
                return NeedsHuman(
                    f"the source's definitions have more than {most >> 20} MB", "look at the source"
                )
            if on_bytes is not None:
                on_bytes(moved)
    except OSError as error:
        return error


async def _complaints(process: asyncio.subprocess.Process) -> bytes:
    """The end of what it says on standard error, once it has said all."""
    assert process.stderr  # noqa: S101 - it was asked for
    said = b""
    while more := await process.stderr.read(LONGEST_COMPLAINT):
        said = (said + more)[-LONGEST_COMPLAINT:]
    return said


async def _require_done(what: str, process: asyncio.subprocess.Process, complaints: bytes) -> None:
    if (code := await process.wait()) != 0:
        reason = _reason(complaints) or f"a program ended with {code}"
        raise NeedsHuman(f"{what} failed: {reason}", "put it right, then begin again")


def _reason(complaints: bytes) -> str:
    """The first error among them, without the name of the program."""
    lines = complaints.decode(errors="replace").splitlines()
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return (errors or [line for line in lines if line.strip()] or [""])[0][:LONGEST_REASON]
