"""Reads a fleet file: the resolved fleet, or one error with all of its problems.

Nothing else escapes from here, whatever the file holds.
"""

from __future__ import annotations

from pathlib import Path

from pgherd.fleet.desired import Fleet
from pgherd.fleet.document import parse
from pgherd.fleet.draft import Draft
from pgherd.fleet.grammar import Grammar, grammar
from pgherd.fleet.problem import FleetFileError, Problem
from pgherd.fleet.resolve import resolve
from pgherd.fleet.rules import RULES
from pgherd.fleet.section import Sections
from pgherd.fleet.shape import shape

_MAX_BYTES = 2_000_000


def load(path: Path, sections: Sections) -> Fleet:
    """The fleet that the file at `path` describes. FleetFileError with every problem.

    `sections` has one for each engine that there is, as `pgherd.engines.known` has them.
    """
    return load_text(_read(path), path, sections)


def load_text(text: str, path: Path, sections: Sections) -> Fleet:
    """The same for a text that is, or will be, the file at `path`."""
    draft, problems = _draft(text, path, grammar(sections))
    rules = (*RULES, *(rule for section in sections for rule in section.rules))
    problems += [problem for rule in rules for problem in rule(draft)]
    if problems:
        raise FleetFileError(problems)
    return resolve(draft, draft.folder / path.name, sections)


def _draft(text: str, path: Path, grammar: Grammar) -> tuple[Draft, list[Problem]]:
    file = str(path)
    document = parse(text, file)
    if not document.places:
        raise FleetFileError(document.problems)
    content, problems = shape(document, file, grammar)
    draft = Draft(file, path.absolute().parent, document, content, grammar.built_in)
    return draft, [*document.problems, *problems]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unread(path, "does not exist", "write it, or name another with -f") from None
    except IsADirectoryError:
        raise _unread(path, "is a folder", "name the file in it") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise _unread(path, f"cannot be read: {reason}", "name another with -f") from None
    except ValueError:
        raise _unread(path, "cannot be a path", "name another with -f") from None
    if len(content) > _MAX_BYTES:
        raise _unread(path, "is too large for a fleet file", "name another with -f")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise FleetFileError(
            [
                Problem(
                    str(path),
                    before.count(b"\n") + 1,
                    column,
                    f"byte {content[error.start]:#04x} is not UTF-8",
                    "save the file as UTF-8",
                )
            ]
        ) from None


def _unread(path: Path, message: str, hint: str) -> FleetFileError:
    return FleetFileError([Problem(str(path), 0, 0, message, hint)])
