"""The table of calls against the SDK: everything that it names is there, and does what it says."""

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from pgherd.engines.oci.blueprint import Kind
from pgherd.engines.oci.bodies import CLIENTS
from pgherd.engines.oci.kinds import CALLS, GONE

STATES = "LIFECYCLE_STATE_"


def client(kind: Kind) -> Any:
    package, name = CLIENTS[CALLS[kind].service]
    return getattr(import_module(f"oci.{package}"), name)


def models(kind: Kind) -> ModuleType:
    return import_module(f"oci.{CLIENTS[CALLS[kind].service][0]}.models")


def thing(kind: Kind) -> Any:
    """The model of what is there."""
    name = CALLS[kind].model.removeprefix("Create").removeprefix("Launch").removesuffix("Details")
    return getattr(models(kind), name)


def states(kind: Kind) -> set[str]:
    model = thing(kind)
    return {getattr(model, name) for name in dir(model) if name.startswith(STATES)}


def test_every_kind_but_systems_has_its_calls() -> None:
    assert set(CALLS) == set(Kind) - {Kind.DB_SYSTEM}


@pytest.mark.parametrize("service", CLIENTS)
def test_every_client_is_in_the_sdk(service: str) -> None:
    package, name = CLIENTS[service]
    assert inspect.isclass(getattr(import_module(f"oci.{package}"), name))


@pytest.mark.parametrize("kind", CALLS)
def test_every_operation_is_in_the_sdk(kind: Kind) -> None:
    calls = CALLS[kind]
    for operation in (calls.list, calls.get, calls.create, calls.delete):
        assert inspect.isfunction(getattr(client(kind), operation)), operation


@pytest.mark.parametrize("kind", CALLS)
def test_every_making_carries_a_retry_token(kind: Kind) -> None:
    source = inspect.getsource(getattr(client(kind), CALLS[kind].create))
    assert '"opc_retry_token"' in source


@pytest.mark.parametrize("kind", CALLS)
def test_every_list_is_of_a_compartment_and_has_pages(kind: Kind) -> None:
    call = getattr(client(kind), CALLS[kind].list)
    source = inspect.getsource(call)
    assert "compartment_id" in source
    assert '"limit"' in source
    assert '"page"' in source


@pytest.mark.parametrize("kind", CALLS)
def test_every_model_takes_a_name_and_tags(kind: Kind) -> None:
    calls = CALLS[kind]
    fields = getattr(models(kind), calls.model)().attribute_map
    assert {"compartment_id", "freeform_tags", calls.name} <= set(fields)
    assert {"id", "lifecycle_state", "freeform_tags", calls.name} <= set(
        thing(kind)().attribute_map
    )


@pytest.mark.parametrize("kind", CALLS)
def test_every_state_is_one_of_the_sdks(kind: Kind) -> None:
    assert CALLS[kind].ready in states(kind)
    assert CALLS[kind].ready not in GONE
    assert states(kind) & GONE


def test_every_state_of_what_is_gone_is_some_kinds() -> None:
    assert set().union(*(states(kind) for kind in CALLS)) >= GONE


@pytest.mark.parametrize("kind", [k for k in CALLS if CALLS[k].delete.startswith("schedule_")])
def test_what_is_deleted_later_takes_a_time(kind: Kind) -> None:
    words = CALLS[kind].delete.split("_")
    model = getattr(models(kind), "".join(word.title() for word in words) + "Details")
    assert "time_of_deletion" in model().attribute_map
