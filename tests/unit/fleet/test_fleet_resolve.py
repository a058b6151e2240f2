"""What a valid fleet file means: which layer wins, the defaults, where values come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgherd.engines.known import sections
from pgherd.engines.local.values import LocalValues
from pgherd.engines.oci.values import Concession, OciValues, PoolerTier
from pgherd.fleet.desired import (
    Autoscale,
    Backup,
    Database,
    DatabaseId,
    Durability,
    Fleet,
    Ocpus,
    Replicas,
    Storage,
)
from pgherd.fleet.load import load, load_text

Read = Callable[[str], Fleet]

EXAMPLE = Path(__file__).parents[3] / "examples/ecommerce/fleet.yaml"
SMALL = """\
fleet: shop
services: [auth]
environments:
  dev: {network: 10.0.0.0/16, ocpus: 2, storage: 1TB}
"""


def only(fleet: Fleet) -> Database:
    (database,) = fleet.databases
    return database


def test_the_example_has_thirty_databases_on_one_screen() -> None:
    fleet = load(EXAMPLE, sections())
    assert len(fleet.databases) == 30
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    assert fleet.path == EXAMPLE


def test_the_example_is_what_the_architecture_says() -> None:
    fleet = load(EXAMPLE, sections())
    networks = {e.name: (e.compartment, str(e.network)) for e in fleet.environments}
    assert networks == {
        "production": ("ecommerce-production", "10.0.0.0/16"),
        "staging": ("ecommerce-staging", "10.1.0.0/16"),
        "development": ("ecommerce-development", "10.2.0.0/16"),
    }
    auth = fleet.database(DatabaseId("production", "auth"))
    assert auth.name == "ecommerce-production-auth-db"
    assert auth.backup == Backup(30, ("us-phoenix-1",))
    assert auth.autoscale == Autoscale(80, 80)
    durabilities = {d.id.environment: d.durability.value for d in fleet.databases}
    assert durabilities == {
        "production": "synchronous",
        "staging": "asynchronous",
        "development": "asynchronous",
    }
    assert {d.id.environment for d in fleet.databases if d.deletion_protection} == {"production"}
    for database in fleet.databases:
        assert database.migrations is not None
        assert database.migrations.is_dir()


def test_defaults(read: Read) -> None:
    database = only(read(SMALL))
    assert database.environment.engine == "local"
    assert database.environment.compartment == "shop-dev"
    assert database.environment.network == IPv4Network("10.0.0.0/16")
    assert database.environment.availability_domains == 1
    assert database.environment.values_of(LocalValues) == LocalValues(0.1, 64 * 2**20)
    assert database.ocpus == Ocpus(2, 2)
    assert database.storage == Storage(10**12, 10**12)
    assert database.replicas == Replicas(0, 0)
    assert database.durability is Durability.ASYNCHRONOUS
    assert database.autoscale == Autoscale(80, 80)
    assert database.backup == Backup(7, ())
    assert not database.deletion_protection
    assert database.postgresql is None
    assert database.migrations is None
    assert database.load is None


@pytest.mark.parametrize(
    ("environment", "replicas", "durability", "is_protected"),
    [
        ("production", "1..2", Durability.SYNCHRONOUS, True),
        ("production", "0..2", Durability.ASYNCHRONOUS, True),
        ("production", "0", Durability.ASYNCHRONOUS, True),
        ("staging", "1..2", Durability.ASYNCHRONOUS, False),
    ],
)
def test_defaults_of_production(
    read: Read, environment: str, replicas: str, durability: Durability, is_protected: bool
) -> None:
    text = SMALL.replace("dev:", f"{environment}:")
    more = f"replicas: {replicas}, availability_domains: 2"
    database = only(read(text.replace("storage: 1TB", f"storage: 1TB, {more}")))
    assert database.durability is durability
    assert database.deletion_protection is is_protected


def test_everything_can_be_stated(read: Read, tmp_path: Path) -> None:
    (tmp_path / "schema/auth").mkdir(parents=True)
    (tmp_path / "play.py").touch()
    database = only(
        read(
            SMALL
            + """
defaults:
  engine: oci
  compartment: elsewhere
  availability_domains: 3
  local: {core_per_ocpu: 0.05, memory_per_ocpu: 32MB}
  replicas: 1..3
  autoscale: {cpu: 70%, memory: 60%}
  backup: {retention: 14d, copy_to: [us-phoenix-1, us-chicago-1]}
  durability: synchronous
  deletion_protection: true
  postgresql: 16
  migrations: schema/{service}
  load: play.py
"""
        )
    )
    assert database.environment.engine == "oci"
    assert database.environment.compartment == "elsewhere"
    assert database.environment.values_of(LocalValues) == LocalValues(0.05, 32_000_000)
    assert database.replicas == Replicas(1, 3)
    assert database.autoscale == Autoscale(70, 60)
    assert database.backup == Backup(14, ("us-phoenix-1", "us-chicago-1"))
    assert database.durability is Durability.SYNCHRONOUS
    assert database.deletion_protection
    assert database.postgresql == 16
    assert database.migrations == tmp_path / "schema/auth"
    assert database.load == tmp_path / "play.py"


def test_the_nearest_layer_wins_key_by_key(read: Read) -> None:
    fleet = read("""\
fleet: shop
services: [auth, order]
defaults:
  storage: 1TB
  ocpus: 1
  autoscale: {memory: 70%}
  backup: {retention: 3d, copy_to: [b]}
environments:
  dev:
    network: 10.0.0.0/16
    ocpus: 2..4
    autoscale: false
    backup: {retention: 7d}
overrides:
  dev/order: {ocpus: 8, autoscale: {cpu: 50%}, backup: {retention: 9d}}
""")
    auth, order = fleet.databases
    assert (auth.ocpus, order.ocpus) == (Ocpus(2, 4), Ocpus(8, 8))
    assert (auth.autoscale, order.autoscale) == (None, Autoscale(50, 70))
    assert (auth.backup, order.backup) == (Backup(7, ("b",)), Backup(9, ("b",)))
    assert "autoscale.cpu" not in auth.origins
    assert auth.origins["autoscale"] == "fleet.yaml:12"
    wanted = {
        "ocpus": "fleet.yaml:15",
        "storage": "fleet.yaml:4",
        "network": "fleet.yaml:10",
        "autoscale.cpu": "fleet.yaml:15",
        "autoscale.memory": "fleet.yaml:6",
        "backup.retention": "fleet.yaml:15",
        "backup.copy_to": "fleet.yaml:7",
        "replicas": "default",
        "durability": "default",
        "load": "default",
    }
    assert {name: order.origins[name] for name in wanted} == wanted


def test_a_service_may_have_files_of_its_own(read: Read, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "own").mkdir()
    services = "services:\n  - auth\n  - name: order\n    migrations: own\n"
    auth, order = read(SMALL.replace("services: [auth]\n", services) + "migrations: all").databases
    assert (auth.migrations, order.migrations) == (tmp_path / "all", tmp_path / "own")
    assert order.origins["migrations"] == "fleet.yaml:5"


def test_masking_is_found_as_migrations_are(read: Read, tmp_path: Path) -> None:
    for name in ("auth.sql", "own.sql", "dev.sql"):
        (tmp_path / name).touch()
    services = "services: [auth, {name: order, masking: own.sql}, user]\n"
    text = SMALL.replace("services: [auth]\n", services) + "masking: auth.sql\n"
    auth, order, user = read(text + "overrides:\n  dev/user: {masking: dev.sql}\n").databases
    assert [d.masking for d in (auth, order, user)] == [
        tmp_path / name for name in ("auth.sql", "own.sql", "dev.sql")
    ]


def test_sections_may_be_empty(read: Read) -> None:
    assert only(read(SMALL + "defaults:\noverrides:\n  dev/auth:\n")).name == "shop-dev-auth-db"
    environments = "defaults: {network: 10.0.0.0/16, ocpus: 2, storage: 1TB}\nenvironments:\n  dev:"
    assert only(read(SMALL[: SMALL.index("environments")] + environments)).ocpus == Ocpus(2, 2)


def test_numbers_are_what_is_written(read: Read) -> None:
    assert only(read(SMALL.replace("ocpus: 2", "ocpus: 010"))).ocpus == Ocpus(10, 10)


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path)
    fleet = load_text(SMALL + "migrations: m", Path("fleet.yaml"), sections())
    assert fleet.path == tmp_path / "fleet.yaml"
    assert only(fleet).migrations == tmp_path / "m"


@cache
def written_and_expected() -> tuple[dict[str, Any], Fleet]:
    written: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    written["overrides"] = {"production/order": {"ocpus": "8..128", "replicas": "3..5"}}
    return written, load_text(yaml.safe_dump(written, sort_keys=False), EXAMPLE, sections())


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_the_order_of_keys_changes_nothing(data: st.DataObject) -> None:
    written, expected = written_and_expected()
    text = yaml.safe_dump(_shuffled(written, data), sort_keys=False)
    fleet = load_text(text, EXAMPLE, sections())
    assert set(fleet.databases) == set(expected.databases)
    assert set(fleet.environments) == set(expected.environments)


def _shuffled(value: Any, data: st.DataObject) -> Any:
    if not isinstance(value, Mapping):
        return value
    keys = data.draw(st.permutations(list(value)))
    return {key: _shuffled(value[key], data) for key in keys}


ON_OCI = """\
fleet: shop
services: [auth]
environments:
  production:
    engine: oci
    network: 10.0.0.0/16
    ocpus: 2..128
    storage: 2TB..unlimited
    backup: {retention: 60d, copy_to: [us-phoenix-1]}
    oci:
      region: us-ashburn-1
      parent: ocid1.tenancy.oc1..aaaa
      pooler: create
      accept: [max-ocpus, retention]
"""


def test_an_environment_on_oci_says_where(read: Read) -> None:
    database = only(read(ON_OCI))
    assert database.environment.values_of(OciValues) == OciValues(
        region="us-ashburn-1",
        parent="ocid1.tenancy.oc1..aaaa",
        pooler=PoolerTier.CREATE,
        accept=frozenset({Concession.MAX_OCPUS, Concession.RETENTION}),
    )
    assert database.origins["oci.region"] == "fleet.yaml:11"
    assert database.origins["oci.profile"] == "default"
    assert not [name for name in database.origins if name.startswith("local.")]
    local = only(read(SMALL))
    assert not [name for name in local.origins if name.startswith("oci.")]
