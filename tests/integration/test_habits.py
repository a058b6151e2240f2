"""Every habit of clients through every kind of name: nobody ever gets what is another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from habits import ERROR, HABITS, REFUSED, WORKS, Habit
from running_fleet import AUTH, RunningFleet, connect

from pgherd.fleet.desired import Pooling

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
TITLES = [habit.what.replace("`", "") for habit in HABITS]


@pytest.fixture(scope="module")
def tables(running: RunningFleet) -> Iterator[None]:
    with connect(running.through_pooler(AUTH)) as connection:
        connection.execute("CREATE TABLE habits (r text); CREATE SEQUENCE habit")
    yield
    with connect(running.through_pooler(AUTH)) as connection:
        connection.execute("DROP TABLE habits; DROP SEQUENCE habit")


def run(connection: Connection, statements: str, number: int) -> str | None:
    """The first value of the last statement; a transaction that is open is ended."""
    value = None
    try:
        for statement in statements.replace("{n}", str(number)).split("; "):
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            value = None if row is None else row[0]
    finally:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
    return None if value is None else str(value)


def outcome(client: Connection, habit: Habit, number: int) -> str:
    """What came of it, as the table says it; an AssertionError for a wrong answer."""
    try:
        answer = run(client, habit.ask, number)
    except psycopg.Error:
        return ERROR
    assert habit.answer
    assert answer == habit.answer.replace("{n}", str(number)), number
    return WORKS


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("habit", HABITS, ids=TITLES)
def test_what_comes_of_it(running: RunningFleet, habit: Habit, pooling: Pooling) -> None:
    """Two clients keep the same thing of their own, with a third at work in between."""
    wanted = habit.session if pooling is Pooling.SESSION else habit.transaction
    parameters = running.through_pooler(AUTH, pooling=pooling)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(parameters)) for _ in range(2)]
        busy = stack.enter_context(connect(parameters))
        for number, client in enumerate(clients):
            if wanted == REFUSED:
                with pytest.raises(psycopg.Error):
                    run(client, habit.keep, number)
            else:
                run(client, habit.keep, number)
            # Whoever comes next gets another server.
            busy.execute("ROLLBACK")
            busy.execute("BEGIN")
            busy.execute("SELECT 1")
        busy.execute("ROLLBACK")
        if wanted != REFUSED:
            found = {outcome(client, habit, number) for number, client in enumerate(clients)}
            assert found == {wanted}
