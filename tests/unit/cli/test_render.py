"""`pgherd render`, as a user runs it."""

import json
from pathlib import Path

import pytest
from shop import Shop

PLACE = "{region: us-ashburn-1, parent: ocid1.tenancy.oc1..root, pooler: create}"
OCI = f"""\
fleet: shop
services: [auth]
environments:
  production:
    engine: oci
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..8
    storage: 1TB
    oci: {PLACE}
  staging:
    {{engine: oci, network: 10.1.0.0/16, ocpus: 2, storage: 1TB, oci: {PLACE}}}
  development: {{network: 10.2.0.0/16, ocpus: 2, storage: 1TB}}
"""


@pytest.fixture
def cloud(shop: Shop) -> Shop:
    """Two environments on OCI, and one that is not."""
    shop.write(OCI)
    return shop


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_one_environment_is_printed(cloud: Shop) -> None:
    found = json.loads(cloud.out("render", "terraform", "production"))
    assert "auth" in found["resource"]["oci_psql_db_system"]


def test_several_go_into_a_folder(cloud: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "some/terraform"
    out = cloud.out("render", "terraform", "--directory", str(folder))
    assert files(folder) == {"production/main.tf.json", "staging/main.tf.json"}
    assert out.splitlines() == [
        f"wrote {folder}/production/main.tf.json",
        f"wrote {folder}/staging/main.tf.json",
    ]
    again = cloud.out("render", "terraform", "--directory", str(folder))
    assert again.count("unchanged ") == 2


def test_several_do_not_go_into_one_file(cloud: Shop) -> None:
    error = cloud.err("render", "terraform", exit_code=2)
    assert "production and staging do not go into one file" in error
    assert "--directory" in error


def test_a_file_of_somebody_else_stays(cloud: Shop, tmp_path: Path) -> None:
    foreign = tmp_path / "staging/main.tf.json"
    foreign.parent.mkdir()
    foreign.write_text("{}")
    error = cloud.err("render", "terraform", "--directory", str(tmp_path), exit_code=2)
    assert f"{foreign} was not written by pgherd" in error
    assert foreign.read_text() == "{}"
    assert not (tmp_path / "production").exists()
    cloud.out("render", "terraform", "--directory", str(tmp_path), "--force")
    assert "oci_psql_db_system" in foreign.read_text()


def test_a_file_of_ours_is_written_anew(cloud: Shop, tmp_path: Path) -> None:
    call = ("render", "terraform", "staging", "--directory", str(tmp_path))
    cloud.out(*call)
    cloud.write(OCI.replace("ocpus: 2,", "ocpus: 4,"))
    assert cloud.out(*call).startswith("wrote ")
    assert '"instance_ocpu_count": 4' in (tmp_path / "staging/main.tf.json").read_text()


def test_the_policy_is_of_all_or_of_some(cloud: Shop) -> None:
    everything = cloud.out("render", "policy")
    assert "compartment shop-production\n" in everything
    assert "compartment shop-staging\n" in everything
    assert "development" not in everything
    some = cloud.out("render", "policy", "staging", "--group", "dbas")
    assert "shop-production" not in some
    assert "Allow group dbas to manage postgres-db-systems in compartment shop-staging" in some


@pytest.mark.parametrize("what", ["terraform", "policy", "cloud-init"])
def test_an_environment_elsewhere_is_refused(cloud: Shop, what: str) -> None:
    error = cloud.err("render", what, "development", exit_code=2)
    assert "development is on engine local" in error
    assert "engine: oci" in error


@pytest.mark.parametrize("what", ["terraform", "policy"])
def test_a_fleet_without_oci_is_refused(shop: Shop, what: str) -> None:
    error = shop.err("render", what, exit_code=2)
    assert "no environment of shop is on engine oci" in error
    assert "write engine: oci" in error


@pytest.mark.parametrize("what", ["terraform", "policy", "cloud-init"])
def test_a_region_is_needed(cloud: Shop, what: str) -> None:
    cloud.write(OCI.replace("region: us-ashburn-1, ", ""))
    error = cloud.err("render", what, "production", exit_code=2)
    assert "production is on engine oci and has no region" in error


def test_without_a_parent_it_is_the_root(cloud: Shop) -> None:
    cloud.write(OCI.replace("parent: ocid1.tenancy.oc1..root, ", ""))
    found = json.loads(cloud.out("render", "terraform", "production"))
    compartment = found["resource"]["oci_identity_compartment"]["environment"]
    assert compartment["compartment_id"] == "${var.tenancy}"
    assert "manage compartments in tenancy where" in cloud.out("render", "policy")


def test_all_objections_are_said(cloud: Shop) -> None:
    cloud.write(OCI.replace(", pooler: create", "").replace("storage: 1TB", "storage: 40TB", 1))
    error = cloud.err("render", "terraform", "production", exit_code=2)
    assert "production: oci asks no client for a certificate" in error
    assert "production: oci has at most 32TB for a database" in error


def test_what_watches_a_fleet_is_of_any_engine(shop: Shop, tmp_path: Path) -> None:
    call = ("render", "monitoring", "--directory", str(tmp_path / "some/folder"))
    written = shop.out(*call).splitlines()
    assert written == [
        f"wrote {tmp_path}/some/folder/pgherd-rules.yaml",
        f"wrote {tmp_path}/some/folder/pgherd-fleet.json",
    ]
    assert files(tmp_path / "some") == {"folder/pgherd-rules.yaml", "folder/pgherd-fleet.json"}
    assert json.loads((tmp_path / "some/folder/pgherd-fleet.json").read_text())["uid"]
    assert shop.out(*call).count("unchanged ") == 2


@pytest.mark.parametrize("name", ["pgherd-rules.yaml", "pgherd-fleet.json"])
def test_rules_and_dashboards_of_somebody_else_stay(shop: Shop, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_text('{"uid": "theirs"}')
    call = ("render", "monitoring", "--directory", str(folder))
    assert f"{folder / name} was not written by pgherd" in shop.err(*call, exit_code=2)
    assert files(folder) == {name}
    shop.out(*call, "--force")
    assert len(files(folder)) == 2
    assert "theirs" not in (folder / name).read_text()
