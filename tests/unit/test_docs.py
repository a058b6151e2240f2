"""The documents say what is there: links resolve, and commands, options and targets exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from pgherd.cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "commands.md"  # made from the commands themselves
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`|^    [^\n]+$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"""(?:^|[\s"`(])(?:bin/)?pgherd ([a-z]+)\b([^`"'\n)#;|]*)""", re.MULTILINE)
MAKE = re.compile(r"(?:^|[\s`'])make ([a-z][a-z-]*)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as in `#the-state-folder`."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


def code(page: Path) -> list[str]:
    """What stands as code: blocks, indented lines and spans."""
    return [found.group() for found in CODE.finditer(page.read_text())]


def calls(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each `pgherd VERB` with its words and options; what comes after -- is another program's."""
    for verb, rest in CALL.findall(text):
        own = rest.split(" -- ")[0].split()
        options = [word for word in own if word.startswith("-")]
        yield verb, [word for word in own if word not in options], options


def command(verb: str, words: list[str]) -> click.Command:
    """The command of that verb, or the one in its group that the next word names."""
    module, _, name = VERBS[verb].partition(":")
    found: click.Command = getattr(import_module(module), name)
    if isinstance(found, click.Group) and words:
        assert words[0] in found.commands, f"pgherd {verb} {words[0]} does not exist"
        return found.commands[words[0]]
    return found


def test_pages_are_found() -> None:
    assert {"README.md", "architecture.md", "operations.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} names no heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for text in code(page):
        for verb, words, options in calls(text):
            assert verb in VERBS, f"pgherd {verb} does not exist"
            known = {o for p in command(verb, words).params for o in (*p.opts, *p.secondary_opts)}
            assert set(options) <= known | {"--help"}, f"pgherd {verb} {options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in code(page):
        assert set(MAKE.findall(text)) <= targets, text


def test_calls_are_recognised() -> None:
    text = 'psql "$(pgherd url a/b --variables)"; pgherd connect a/b --role operator -- -c x'
    assert list(calls(text)) == [
        ("url", ["a/b"], ["--variables"]),
        ("connect", ["a/b", "operator"], ["--role"]),
    ]
    assert list(calls("`pgherd nonsense --wrong`")) == [("nonsense", [], ["--wrong"])]
