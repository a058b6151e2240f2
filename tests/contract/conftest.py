"""A local OCI for each test that asks for one, and what tests of it begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pgherd.testing.oci.server import LocalOci

if TYPE_CHECKING:  # it imports the SDK
    from oci_clients import Tenant


@pytest.fixture
def cloud() -> Iterator[LocalOci]:
    with LocalOci() as running:
        yield running


@pytest.fixture
def tenant(cloud: LocalOci) -> Tenant:
    from oci_clients import Tenant

    return Tenant(cloud)


@pytest.fixture
def base(tenant: Tenant) -> tuple[str, str, str]:
    return tenant.base()


@pytest.fixture
def inside(tenant: Tenant) -> str:
    return tenant.compartment()
