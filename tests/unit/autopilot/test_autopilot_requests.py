"""Messages that somebody with the controller's rights may send: typed and bounded, or an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.autopilot.requests import (
    Answered,
    Applied,
    Asked,
    Beat,
    Failure,
    HandOver,
    LookUp,
    Mend,
    Pause,
    Renew,
    Replicas,
    Request,
    Resize,
    Restart,
)

ID = "production/auth"
EACH = (
    Resize(ID, 4, "why"),
    Replicas(ID, 2, "why"),
    Mend(ID, "why"),
    Restart(ID, "auth-2", "why"),
    HandOver(ID, "auth-2", "why"),
    Renew("production", "why"),
    LookUp(3, "abc"),
    LookUp(),
    Beat(1e9, 2),
    Beat(1e9, 2, {ID: [None, 0, 100]}),
)
UNDERSTOOD = (msgspec.MsgspecError, ValueError, RecursionError)
"""What the helper takes for what nobody understands."""
rubbish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
tags = st.sampled_from(sorted({type(one).__name__ for one in EACH} | {"Leave", "Asked", ""}))
fields = st.dictionaries(
    st.sampled_from(["database", "environment", "instance", "ocpus", "count", "reason", "at"]),
    rubbish,
)


def decoded(content: bytes | str) -> Asked:
    return msgspec.json.decode(content, type=Asked)


def message(what: Any, number: Any = 1) -> str:
    return json.dumps({"number": number, "what": what})


def test_each_kind_is_known_here() -> None:
    assert {type(one) for one in EACH} == {*get_args(Request), LookUp, Beat}


@pytest.mark.parametrize("what", EACH)
def test_each_arrives_as_it_was_sent(what: Any) -> None:
    asked = Asked(7, what)
    assert decoded(msgspec.json.encode(asked)) == asked


@pytest.mark.parametrize("number", [0, 100_001, 10**12])
def test_numbers_grow_for_years(number: int) -> None:
    assert decoded(msgspec.json.encode(Asked(number, LookUp(number)))).number == number


@pytest.mark.parametrize(
    "what",
    [
        None,
        [],
        "Mend",
        7,
        {},
        {"type": None},
        {"type": ["Mend"]},
        {"type": "Delete", "database": ID},
        {"type": "mend", "database": ID, "reason": ""},
        {"type": "Mend"},
        {"type": "Mend", "database": ID},
        {"type": "Mend", "database": ID, "reason": "", "more": 1},
        {"type": "Mend", "database": ID, "reason": "", "data": "/etc/passwd"},
        {"type": "Mend", "database": None, "reason": ""},
        {"type": "Mend", "database": 7, "reason": ""},
        {"type": "Mend", "database": [ID], "reason": ""},
        {"type": "Mend", "database": "", "reason": ""},
        {"type": "Mend", "database": "a" * 101, "reason": ""},
        {"type": "Mend", "database": ID, "reason": "a" * 1001},
        {"type": "Resize", "database": ID, "ocpus": "4", "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": 4.5, "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": -1, "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": 100_001, "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": 10**400, "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": True, "reason": ""},
        {"type": "Resize", "database": ID, "ocpus": None, "reason": ""},
        {"type": "Replicas", "database": ID, "count": -(2**63) - 1, "reason": ""},
        {"type": "Restart", "database": ID, "instance": "", "reason": ""},
        {"type": "HandOver", "database": ID, "instance": {"a": 1}, "reason": ""},
        {"type": "Renew", "environment": "a" * 101, "reason": ""},
        {"type": "LookUp", "number": -1},
        {"type": "LookUp", "digest": "a" * 201},
        {"type": "LookUp", "digest": 7},
        {"type": "Beat", "at": "now", "alerts": 0},
        {"type": "Beat", "at": -1, "alerts": 0},
        {"type": "Beat", "at": 1e300, "alerts": 0},
        {"type": "Beat", "at": 10**400, "alerts": 0},
        {"type": "Beat", "at": 1, "alerts": -1},
        {"type": "Beat", "at": 1, "alerts": 10**9},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {ID: [101]}},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {ID: [-1]}},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {ID: [1.5]}},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {ID: [1] * 11}},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {"a" * 101: []}},
        {"type": "Beat", "at": 1, "alerts": 0, "cpu": {str(n): [] for n in range(257)}},
    ],
)
def test_what_is_odd_is_refused(what: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(message(what))


@pytest.mark.parametrize("number", [None, "1", -1, 1.5, 2**64, 10**400, [1], True])
def test_odd_numbers_are_refused(number: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(message({"type": "LookUp"}, number))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"null",
        b"[]",
        b'{"number": 1',
        b'{"number": 1, "what": {"type": "Beat", "at": NaN, "alerts": 0}}',
        b'{"number": 1, "what": {"type": "Beat", "at": 1e999, "alerts": 0}}',
        b'{"number": 1, "what": {"type": "Mend", "database": "\xff", "reason": ""}}',
        b'{"number": 1, "what": {"type": "Mend", "database": "\\ud800", "reason": ""}}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"number": 1, "what": {"type": "Mend", "reason": ' + b"[" * 30_000,
    ],
)
def test_what_is_no_message_is_refused_as_the_helper_expects(content: bytes) -> None:
    with pytest.raises(UNDERSTOOD):
        decoded(content)


@given(rubbish)
def test_nothing_but_errors_of_decoding_come_of_rubbish(value: Any) -> None:
    for content in (
        json.dumps(value),
        message(value),
        message({"type": "Mend", "database": value}),
    ):
        with pytest.raises(msgspec.MsgspecError):
            decoded(content)


@given(tags, fields, st.binary(max_size=40))
def test_whatever_is_understood_is_within_bounds(tag: str, found: dict[str, Any], b: bytes) -> None:
    for content in (message({"type": tag, **found}), b):
        try:
            what = decoded(content).what
        except UNDERSTOOD:
            continue
        said = msgspec.to_builtins(what)
        assert all(len(text) <= 1000 for text in said.values() if isinstance(text, str))
        assert all(abs(n) <= 2**53 for n in said.values() if isinstance(n, int | float))


def test_the_time_of_a_beat_can_be_shown() -> None:
    beat = decoded(message({"type": "Beat", "at": 2**32, "alerts": 0})).what
    assert isinstance(beat, Beat)
    assert datetime.fromtimestamp(beat.at, UTC).year == 2106


@pytest.mark.parametrize("subject", ["", "production", ID])
def test_answers_arrive_as_they_were_sent(subject: str) -> None:
    pause = Pause(subject, "an audit", 1.0, 2.0, "alice")
    failure = Failure("TryLater", "busy", "")
    for answer in (
        Answered(1, Applied(3, "abc", msgspec.Raw(b"null"), (pause,))),
        Answered(2, failure=failure, seconds=0.5),
    ):
        found = msgspec.json.decode(msgspec.json.encode(answer), type=Answered)
        assert msgspec.json.encode(found) == msgspec.json.encode(answer)
        assert (found.applied is None) is (answer.applied is None)
