"""The user data of poolers that a person launches, from an OCI that is only remembered."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from oci_shop import OWN_KEY, fleet

from pgherd.engines.oci.cloud_init import SETTINGS
from pgherd.engines.oci.names import DESTROYED, KEY, Owner
from pgherd.engines.oci.pooler_guide import pooler_guide
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.values import OciValues
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment

OWNER = Owner("shop", "production")
PRODUCTION = fleet(OWN_KEY).environment("production")


def thing(id: str, key: str, owner: Owner = OWNER) -> SimpleNamespace:
    tags = owner.tags | {KEY: key}
    return SimpleNamespace(id=id, freeform_tags=tags, lifecycle_state="ACTIVE")


class Remembered:
    """The lists of one compartment."""

    region = "us-ashburn-1"

    def __init__(self) -> None:
        other = Owner("shop", "development")
        self.compartment = thing("ocid1.compartment", "none")
        self.lists = {
            "list_compartments": [thing("ocid1.other", "none", other), self.compartment],
            "list_secrets": [
                thing("ocid1.admin", "admin-password"),
                thing("ocid1.pooler", "pooler"),
                thing("ocid1.foreign", "pooler", other),
            ],
            "list_subnets": [thing("ocid1.subnet", "poolers")],
            "list_network_security_groups": [thing("ocid1.group", "pooler-door")],
        }

    def parent(self, environment: Environment) -> str:
        return environment.values_of(OciValues).parent or "ocid1.tenancy"

    async def all(self, service: str, operation: str, **options: Any) -> list[Any]:
        return self.lists[operation]


async def guide(cloud: Remembered) -> str:
    return await pooler_guide(PRODUCTION, OWNER, cast("Cloud", cloud))


async def test_it_is_a_cloud_config_with_the_secrets() -> None:
    text = await guide(Remembered())
    assert text.startswith("#cloud-config\n")
    (settings,) = [
        f["content"] for f in yaml.safe_load(text)["write_files"] if f["path"] == str(SETTINGS)
    ]
    found = yaml.safe_load(settings)
    assert (found["pooler_secret"], found["admin_secret"]) == ("ocid1.pooler", "ocid1.admin")
    assert found["region"] == "us-ashburn-1"


async def test_it_says_what_the_instances_must_be() -> None:
    comments = [line for line in (await guide(Remembered())).splitlines() if line[:1] == "#"]
    said = "\n".join(comments)
    for part in (
        "10.0.16.2, 10.0.16.3",
        "ocid1.subnet",
        "ocid1.group",
        "ocid1.compartment",
        "Canonical Ubuntu 26.04",
        "pgherd-environment=production",
        "pgherd-part=pooler-2 on 10.0.16.3",
    ):
        assert part in said


async def test_what_is_not_there_is_to_be_made_first() -> None:
    cloud = Remembered()
    cloud.lists["list_secrets"] = []
    with pytest.raises(InputError, match="has no secret admin-password yet") as caught:
        await guide(cloud)
    assert "run `pgherd up` first" in caught.value.hint


@pytest.mark.parametrize("tags", [{}, OWNER.tags | {DESTROYED: "2026-11-22"}])
async def test_an_environment_that_is_not_there(tags: dict[str, str]) -> None:
    cloud = Remembered()
    cloud.compartment.freeform_tags = tags
    with pytest.raises(InputError, match="production does not exist on oci yet") as caught:
        await guide(cloud)
    assert "run `pgherd up` first" in caught.value.hint
