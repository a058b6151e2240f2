"""What a server that recovers has ended for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.engines.local.backup.throwaway import NOT_REACHED, _last

LATE = "2026-11-26 12:00:00 UTC [9] FATAL:  the database system is not accepting connections"
ENDED = f"2026-11-26 12:00:00 UTC [7] FATAL:  {NOT_REACHED}"
COMMIT = "LOG:  last completed transaction was at log time 2026-11-26 11:59:59.5+00"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "it says nothing"),
        (["LOG:  starting", "LOG:  bye"], "LOG:  bye"),
        (["FATAL:  one", LATE, "LOG:  database system is shut down"], "one"),
        ([COMMIT, ENDED, LATE], f"{NOT_REACHED} (2026-11-26 11:59:59.5+00)"),
        ([ENDED], f"{NOT_REACHED} (without any commit)"),
    ],
)
def test_what_it_ended_for_is_no_answer_to_whoever_asked_too_early(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(lines))
    assert _last(log) == said
