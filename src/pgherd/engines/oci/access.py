"""How a client gets into a database: through the poolers, by certificate."""

from __future__ import annotations

from pgherd.contract.access import Access, AccessRole
from pgherd.engines.oci import blueprint
from pgherd.engines.oci.blueprint import ADMIN
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.fleet.desired import DatabaseId, Pooling
from pgherd.fleet.names import pooled_name, read_only_role

CONNECT_SECONDS = 5
"""For each pooler: from outside the network nobody answers, and that should be soon known."""


async def access_to(
    tenancy: Tenancy, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
) -> Access:
    """As whoever the role says; the operator as the master user."""
    site, _ = await tenancy.find(id)
    environment = tenancy.known(id.environment)
    user = {
        AccessRole.SERVICE: id.service,
        AccessRole.READ_ONLY: read_only_role(id.service),
        AccessRole.OPERATOR: ADMIN,
    }[role]
    await site.ensure_clients(user)
    place = site.clients.place(user)
    return Access(
        host=",".join(str(a) for a in blueprint.pooler_addresses(environment)),
        port=blueprint.POOLER_PORT,
        database=pooled_name(id.service, pooling, read_only=role is AccessRole.READ_ONLY),
        user=user,
        certificate=place.certificate,
        key=place.key,
        authority=site.clients.authority,
        connect_timeout=CONNECT_SECONDS,
    )
