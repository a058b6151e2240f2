"""The SDK's contract, compared with a file that a person has read.

After another version of the SDK: `PGHERD_GOLDEN=write pytest tests/unit/oci/test_oci_contract.py`,
then read the difference, and change what speaks to OCI (and the local OCI) accordingly.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("oci")

from pgherd.testing.oci import models
from pgherd.testing.oci.contract import Operation, Parameter, operations, read, sdk
from pgherd.testing.oci.operations import OPERATIONS
from pgherd.testing.oci.services import Services
from pgherd.testing.oci.world import World

GOLDEN = Path(__file__).parents[2] / "golden/oci/sdk"


def parameter(name: str, found: Parameter | models.Field) -> str:
    values = f" of {'|'.join(found.allowed)}" if found.allowed else ""
    return f"{name}{'!' if found.required else ''}: {found.type}{values}"


def operation(found: Operation) -> dict[str, Any]:
    return {
        "route": f"{found.method} {found.path}",
        "query": [parameter(name, each) for name, each in sorted(found.query.items())],
        "headers": [parameter(name, each) for name, each in sorted(found.headers.items())],
        "body": found.body and found.body + ("!" if found.body_required else ""),
        "answer": found.response,
        "automatic_retry_token": found.automatic_retry_token,
    }


def named(kind: str) -> list[str]:
    """The models in a type: `list[Vcn]`, `dict(str, Vcn)`, `Vcn`."""
    return re.findall(r"\b[A-Z]\w+", kind)


def reached(service: str, names: list[str], known: dict[str, models.Model]) -> None:
    for name in names:
        if name in known or not models.exists(service, name):
            continue
        known[name] = found = models.model(service, name)
        reached(service, list(found.subtypes.values()), known)
        for field in found.fields.values():
            reached(service, named(field.type), known)


def model(found: models.Model) -> dict[str, Any]:
    text: dict[str, Any] = {
        "fields": [parameter(name, field) for name, field in sorted(found.fields.items())]
    }
    if found.discriminator is not None:
        text["subtypes"] = {found.discriminator: dict(sorted(found.subtypes.items()))}
    return text


def contract(service: str) -> str:
    known: dict[str, models.Model] = {}
    for found in operations(service).values():
        reached(service, named(f"{found.body} {found.response}"), known)
    text = {
        "operations": {
            name: operation(found) for name, found in sorted(operations(service).items())
        },
        "models": {name: model(found) for name, found in sorted(known.items())},
    }
    return json.dumps(text, indent=1) + "\n"


@pytest.mark.parametrize("service", OPERATIONS)
def test_it_is_as_it_was_read(service: str) -> None:
    path = GOLDEN / f"{service}.json"
    text = contract(service)
    if os.environ.get("PGHERD_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"{service} has changed: see this file's docstring"


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('resource_path = "/20190729/limitValues"', 'resource_path = "/20260101/limitValues"'),
        ("service_name, **kwargs", "**kwargs"),
        ('"scopeType": kwargs', '"scope": kwargs'),
        ('["GLOBAL", "REGION", "AD"]', '["GLOBAL", "REGION"]'),
        ("list[LimitValueSummary]", "LimitValueCollection"),
    ],
)
def test_another_sdk_has_another_contract(tmp_path: Path, before: str, after: str) -> None:
    source = sdk() / "limits/limits_client.py"
    (tmp_path / "limits").mkdir()
    text = source.read_text()
    assert before in text
    (tmp_path / "limits/limits_client.py").write_text(text.replace(before, after))
    changed = {found.name: found for found in read("limits", tmp_path)}
    assert operation(changed["list_limit_values"]) != operation(
        operations("limits")["list_limit_values"]
    )


def test_an_operation_that_is_gone_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "limits").mkdir()
    text = (sdk() / "limits/limits_client.py").read_text()
    text = text.replace("def list_limit_values(", "def list_values(")
    (tmp_path / "limits/limits_client.py").write_text(text)
    with pytest.raises(LookupError, match="no list_limit_values any more"):
        list(read("limits", tmp_path))


def everything() -> Iterator[tuple[str, str]]:
    for service, clients in OPERATIONS.items():
        for names in clients.values():
            for name in names:
                yield service, name


def test_every_operation_of_the_list_is_played_and_no_other() -> None:
    played = Services(World(["us-ashburn-1"], 3, 0)).handlers()
    assert set(played) == set(everything())


@pytest.mark.parametrize(
    ("name", "token", "etag", "body"),
    [
        ("create_db_system", True, False, "CreateDbSystemDetails"),
        ("update_db_system", True, True, "UpdateDbSystemDetails"),
        ("patch_db_system", False, True, "PatchDbSystemDetails"),
        ("delete_db_system", False, True, None),
    ],
)
def test_what_decides_about_doing_things_twice(
    name: str, token: bool, etag: bool, body: str | None
) -> None:
    found = operations("psql")[name]
    assert found.automatic_retry_token is token
    assert ("opc-retry-token" in found.headers) is token
    assert ("if-match" in found.headers) is etag
    assert found.body == body
