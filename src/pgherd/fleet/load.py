"""Reads a fleet file: the resolved fleet, or one error with all of its problems.

Nothing else escapes from here, whatever the file holds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgherd.fleet.desired import Fleet
from pgherd.fleet.document import parse
from pgherd.fleet.draft import Draft
from pgherd.fleet.file import read
from pgherd.fleet.grammar import Grammar, grammar
from pgherd.fleet.problem import FleetFileError, Problem
from pgherd.fleet.resolve import resolve
from pgherd.fleet.rules import RULES
from pgherd.fleet.section import Sections
from pgherd.fleet.shape import shape


def load(path: Path, sections: Sections) -> Fleet:
    """The fleet that the file at `path` describes. FleetFileError with every problem.

    `sections` has one for each engine that there is, as `pgherd.engines.known` has them.
    """
    return load_text(read(path), path, sections)


def load_text(text: str, path: Path, sections: Sections) -> Fleet:
    """The same for a text that is, or will be, the file at `path`."""
    draft, problems = _draft(text, path, grammar(sections))
    rules = (*RULES, *(rule for section in sections for rule in section.rules))
    problems += [problem for rule in rules for problem in rule(draft)]
    if problems:
        raise FleetFileError(problems)
    return replace(resolve(draft, draft.folder / path.name, sections), text=text)


def _draft(text: str, path: Path, grammar: Grammar) -> tuple[Draft, list[Problem]]:
    file = str(path)
    document = parse(text, file)
    if not document.places:
        raise FleetFileError(document.problems)
    content, problems = shape(document, file, grammar)
    draft = Draft(file, path.absolute().parent, document, content, grammar.built_in)
    return draft, [*document.problems, *problems]
