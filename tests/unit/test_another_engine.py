"""An engine that pgherd knows by its declaration alone: its section, and what it can write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from click.testing import CliRunner
from pydantic import Field

from pgherd.cli import render
from pgherd.cli.show import show
from pgherd.contract.engine import Engine
from pgherd.engines import known
from pgherd.engines.declaration import Declaration, Document, Option
from pgherd.engines.local.values import LocalValues
from pgherd.engines.opening import open_engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Environment, Fleet
from pgherd.fleet.draft import Draft
from pgherd.fleet.keys import Section
from pgherd.fleet.load import load_text
from pgherd.fleet.problem import FleetFileError, Problem
from pgherd.fleet.schema import reference, schema
from pgherd.fleet.section import EngineSection
from pgherd.fleet.values import Reads, Word
from pgherd.fleet.values_table import database_table
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World
from pgherd.units import parse_whole


@dataclass(frozen=True, slots=True)
class MoonValues:
    """Where on the moon an environment is."""

    crater: str | None
    racks: int

    def texts(self) -> Mapping[str, str]:
        return {"crater": self.crater or "none", "racks": str(self.racks)}

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


class MoonProfile(Section):
    """Where on the moon an environment is."""

    crater: Word | None = Field(None, description="Where its racks are.", examples=["tycho"])
    racks: Annotated[int, Reads(parse_whole, {"type": "integer"})] | None = Field(
        None, description="How many there are.", examples=[3]
    )


def each_instance_has_a_rack(draft: Draft) -> Iterator[Problem]:
    for id in draft.databases_on("moon"):
        racks = draft.environment_setting(id.environment, "moon", "racks").value
        replicas = draft.setting(id, "replicas")
        if racks is not None and replicas.path and replicas.value.max >= racks:
            message, hint = f"{racks} racks are too few", f"write {racks - 1} or less"
            yield draft.problem(replicas.path, "replicas", message, hint)


MOON = EngineSection(
    engine="moon",
    means="Where on the moon it is, for the moon engine.",
    example={"crater": "tycho"},
    defaults={"racks": "2"},
    keys=MoonProfile,
    resolve=lambda settings: MoonValues(**settings),
    rules=(each_instance_has_a_rack,),
)


async def manifest(
    fleet: Fleet, environments: Sequence[Environment], options: Mapping[str, str]
) -> str:
    craters = ", ".join(str(e.values_of(MoonValues).crater) for e in environments)
    return f"{options['rocket']} carries {fleet.name} to {craters}\n"


class MoonEngine(MemoryEngine):
    """Remembers what it was opened with."""

    def __init__(self, fleet: str, environments: Sequence[Environment], folder: Path) -> None:
        super().__init__(World(), name="moon")
        self.opened_with = (fleet, [e.name for e in environments], folder.name)


def opened(fleet: str, environments: Sequence[Environment], folder: Path) -> Engine:
    return MoonEngine(fleet, environments, folder)


DECLARATION = Declaration(
    "moon",
    lambda: MOON,
    lambda: MoonValues,
    opened,
    documents=(
        Document(
            "manifest",
            "Write what a rocket carries.",
            manifest,
            options=(Option("rocket", "NAME", "eagle", "Which rocket."),),
        ),
    ),
)
FLEET = """\
fleet: shop
services: [auth]
environments:
  production:
    engine: moon
    network: 10.0.0.0/16
    availability_domains: 2
    ocpus: 2
    storage: 1TB
    replicas: 1
    moon: {crater: tycho}
  development: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB}
"""


@pytest.fixture(autouse=True)
def moon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "ENGINES", (*known.ENGINES, DECLARATION))


def read(text: str = FLEET) -> Fleet:
    return load_text(text, Path("fleet.yaml"), known.sections())


def problems(text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        read(text)
    return [str(problem).removeprefix("fleet.yaml:") for problem in caught.value.problems]


def of_production(fleet: Fleet) -> Database:
    return next(fleet.in_environment("production"))


def test_its_values_are_read_from_its_section() -> None:
    fleet = read()
    assert fleet.environment("production").values_of(MoonValues) == MoonValues("tycho", 2)
    assert fleet.environment("development").values_of(MoonValues) == MoonValues(None, 2)
    assert fleet.environment("production").values_of(LocalValues).core_per_ocpu == 0.1


def test_an_environment_that_names_no_engine_is_on_the_first() -> None:
    assert read().environment("development").engine == known.ENGINES[0].name


def test_values_that_an_environment_lacks_are_a_mistake_of_ours() -> None:
    environment = read().environment("production")
    with pytest.raises(TypeError, match="production has no MoonValues"):
        environment.with_values("moon", environment.values_of(LocalValues)).values_of(MoonValues)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{crater: tycho}", "{racks: few}", "11:12: racks: 'few' is not a whole number; "),
        ("{crater: tycho}", "{cratr: tycho}", "11:12: cratr: unknown key; write crater"),
        ("{crater: tycho}", "tycho", "11:5: moon: this is not a mapping; write KEY: VALUE below"),
        ("engine: moon", "engine: mars", "5:5: engine: 'mars' is unknown; write local or oci or "),
        ("replicas: 1", "replicas: 2", "10:5: replicas: 2 racks are too few; write 1 or less"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, problem: str) -> None:
    (found,) = problems(FLEET.replace(old, new))
    assert found.startswith(problem)


def test_its_rules_are_for_its_own_environments() -> None:
    wide = FLEET.replace("engine: moon", "engine: local").replace("replicas: 1", "replicas: 5")
    assert of_production(read(wide)).replicas.max == 5


def test_the_reference_and_the_schema_have_it() -> None:
    lines = reference(known.sections()).splitlines()
    engines = "Where the databases run: local or oci or moon."
    assert f"| `engine` | `local` | `local` | {engines} |" in lines
    assert f"| `moon` | `{{crater: tycho}}` | `{{racks: 2}}` | {MOON.means} |" in lines
    assert "### `moon`" in lines
    assert "| `racks` | `3` | `2` | How many there are. |" in lines
    definitions = schema(known.sections())["$defs"]
    assert definitions["Profile"]["properties"]["engine"]["enum"] == ["local", "oci", "moon"]
    assert definitions["Profile"]["properties"]["moon"]["$ref"] == "#/$defs/MoonProfile"
    assert set(definitions["MoonProfile"]["properties"]) == {"crater", "racks"}


def test_its_values_are_shown(tmp_path: Path) -> None:
    fleet = read()
    rows = database_table(fleet, of_production(fleet)).rows
    assert ("moon.crater", "tycho", "fleet.yaml:11") in rows
    assert ("moon.racks", "2", "default") in rows
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET)
    production, development = json.loads(
        CliRunner().invoke(show, ["--json", "-f", str(file)], catch_exceptions=False).stdout
    )["databases"]
    assert production["moon"] == {"crater": "tycho", "racks": 2}
    assert "moon" not in development


def test_it_is_opened_with_its_environments_and_a_folder_of_its_own() -> None:
    engine = open_engine("moon", "shop", read().environments)
    assert isinstance(engine, MoonEngine)
    assert engine.opened_with == ("shop", ["production"], "shop.moon")


def test_its_documents_are_commands(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET)
    commands = render.group(known.ENGINES)

    def run(*arguments: str) -> str:
        call = ["manifest", "-f", str(file), *arguments]
        return CliRunner().invoke(commands, call, catch_exceptions=False).stdout

    assert run() == "eagle carries shop to tycho\n"
    assert run("production", "--rocket", "falcon") == "falcon carries shop to tycho\n"
    with pytest.raises(InputError) as caught:
        run("development")
    assert "development is on engine local" in str(caught.value)


def test_without_an_environment_of_it_one_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET.replace("engine: moon", "engine: local"))
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(
            render.group(known.ENGINES), ["manifest", "-f", str(file)], catch_exceptions=False
        )
    assert caught.value.hint == "write engine: moon and moon: {crater: tycho} for one"


def test_each_engine_is_declared_as_its_section_is_named() -> None:
    assert [e.name for e in known.ENGINES] == [section.engine for section in known.sections()]


def test_no_two_documents_have_one_name() -> None:
    names = [document.name for engine in known.ENGINES for document in engine.documents]
    assert len(set(names)) == len(names)
