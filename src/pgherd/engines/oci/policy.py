"""The least that a group must be allowed for pgherd to work, as statements to paste. Pure.

Each says why it is there: what the engine calls that needs it. What Oracle's pages say of
databases is taken from there; what follows OCI's usual verbs is marked, as no tenancy has
confirmed it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pgherd.engines.oci.names import REGIONS, Owner
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, POOLER
from pgherd.engines.oci.values import OciValues, PoolerTier
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment, Fleet

NOT_VERIFIED = "# not verified"
_WIDTH = 94
_TENANCY = "ocid1.tenancy."
_ROOT = "tenancy"


@dataclass(frozen=True, slots=True)
class Right:
    """Something that must be allowed: why, and the statement for each environment."""

    why: str
    statements: tuple[str, ...]
    is_documented: bool = False

    def lines(self) -> Iterator[str]:
        """A comment, then the statements."""
        yield from _comment(self.why)
        if not self.is_documented:
            yield NOT_VERIFIED
        yield from self.statements


def policy(fleet: Fleet, environments: Sequence[Environment], group: str) -> str:
    """All policies and dynamic groups that these environments need."""
    _require_name(group)
    lines = [*_head(fleet, environments, group)]
    lines += _part(
        "A policy in the root compartment, for the tenancy", _of_tenancy(environments, group)
    )
    for place in dict.fromkeys(_place(e.values_of(OciValues).parent) for e in environments):
        there = [e for e in environments if _place(e.values_of(OciValues).parent) == place]
        title = "the root compartment" if place == _ROOT else place.replace(" id", "")
        lines += _part(f"A policy in {title}, for the environments", [_of_parent(place, group)])
        lines += ["", *_compartments(fleet, there)]
        lines += _paragraphs(chain(_of_each(there, group), [_of_poolers(fleet, there)]))
    lines += ["", "## Dynamic groups: the poolers, as the instances that they are"]
    lines += ["", *_comment("Put in the OCIDs of the compartments."), NOT_VERIFIED]
    for environment in environments:
        rule = f"All {{instance.compartment.id = '<OCID of {environment.compartment}>'}}"
        lines += [f"# {_pooler_group(fleet, environment)}:", rule]
    return "\n".join(lines) + "\n"


def _require_name(group: str) -> None:
    if not group or any(c in "'\"\n#" for c in group):
        raise InputError(f"{group!r} is not a group", "write its name, as in --group pgherd")


def _head(fleet: Fleet, environments: Sequence[Environment], group: str) -> Iterator[str]:
    names = ", ".join(e.name for e in environments)
    yield from _comment(
        f"What the group {group} must be allowed for fleet {fleet.name} ({names}). Written by "
        "`pgherd render policy`. An administrator pastes the statements below each ## into a "
        "policy of its own, without the lines that begin with #."
    )
    yield "#"
    yield from _comment(
        'What is marked "not verified" follows OCI\'s usual verbs and was not tried on a tenancy: '
        "try it with a user that is in no other group. The rest is on Oracle's pages about "
        "databases."
    )


def _of_tenancy(environments: Sequence[Environment], group: str) -> Iterator[Right]:
    allow = f"Allow group {group} to"
    yield Right(
        "the home region, and which regions are subscribed to",
        (f"{allow} inspect tenancies in tenancy",),
    )
    yield Right(
        "compartments, availability domains",
        (f"{allow} read compartments in tenancy",),
        is_documented=True,
    )
    yield Right(
        "the shapes that a region offers, which are asked for by tenancy",
        (f"{allow} inspect postgres-db-systems in tenancy",),
    )
    yield Right(
        "whether the limits allow as many databases, said before any is made",
        (
            f"{allow} inspect limits in tenancy",
            f"{allow} read resource-availability in tenancy",
        ),
    )
    for environment in environments:
        yield from _of_own(environment, allow)


def _of_own(environment: Environment, allow: str) -> Iterator[Right]:
    """What the user brought may be in any compartment: it is named by its OCID."""
    oci, name = environment.values_of(OciValues), environment.name
    if oci.vcn is not None:
        condition = f"where target.vcn.id = '{oci.vcn}'"
        yield Right(
            f"subnets, route tables and security groups of {name} are made in your own VCN",
            (f"{allow} manage virtual-network-family in tenancy {condition}",),
        )
    if oci.vault is not None:
        yield Right(
            f"secrets of {name} are kept in your own vault",
            (f"{allow} use vaults in tenancy where target.vault.id = '{oci.vault}'",),
        )
    if oci.key is not None:
        yield Right(
            f"secrets and databases of {name} are encrypted with your own key",
            (f"{allow} use keys in tenancy where target.key.id = '{oci.key}'",),
        )


def _of_parent(place: str, group: str) -> Right:
    return Right(
        "makes a compartment for each environment and notes in its tags what is in it; pgherd "
        "deletes none",
        (
            f"Allow group {group} to manage compartments in {place} "
            "where request.permission != 'COMPARTMENT_DELETE'",
        ),
    )


def _compartments(fleet: Fleet, environments: Iterable[Environment]) -> Iterator[str]:
    yield from _comment(
        "What follows names compartments, which OCI accepts only of those that are there. Where "
        "they are not, make them now, with the tags by which pgherd takes them for its own:"
    )
    for environment in environments:
        oci = environment.values_of(OciValues)
        tags = Owner(fleet.name, environment.name).tags | {REGIONS: oci.region or ""}
        members = ", ".join(f'"{name}": "{value}"' for name, value in tags.items())
        yield "#"
        yield f"#   oci iam compartment create --name {environment.compartment} \\"
        yield f"#     --compartment-id {oci.parent or 'OCID-OF-THE-TENANCY'} \\"
        yield f"#     --description 'Databases of {environment.name} of {fleet.name}' \\"
        yield f"#     --freeform-tags '{{{members}}}'"


def _of_each(environments: Sequence[Environment], group: str) -> Iterator[Right]:
    """In each environment's compartment."""

    def right(
        what: str,
        why: str,
        *,
        is_documented: bool = False,
        only: Callable[[Environment], bool] = lambda _: True,
    ) -> Right:
        statements = tuple(
            f"Allow group {group} to {what} in compartment {e.compartment}"
            for e in environments
            if only(e)
        )
        return Right(why, statements, is_documented)

    yield right(
        "manage postgres-db-systems",
        "makes, changes, stops, starts, fails over and deletes databases",
        is_documented=True,
    )
    yield right(
        "manage postgres-backups",
        "lists backups and their copies, takes one, restores from one",
        is_documented=True,
    )
    yield right(
        "read postgres-configurations", "a database is made with the service's configuration"
    )
    yield right(
        "read postgres-work-requests",
        "waits for each change; `pgherd logs` shows what the service says of it",
        is_documented=True,
    )
    yield right(
        "manage virtual-network-family",
        "VCN, subnets, NAT gateway, route tables, security groups, and what is put into them",
        is_documented=True,
    )
    yield right(
        "manage vaults", "makes a vault", only=lambda e: e.values_of(OciValues).vault is None
    )
    yield right(
        "manage keys",
        "makes the key that encrypts databases and secrets",
        only=lambda e: e.values_of(OciValues).key is None,
    )
    yield right(
        "manage secret-family",
        "makes the master password, the authority and the poolers' secret; reads the latter two",
    )
    yield right(
        "manage instances",
        "launches poolers, tells them in their metadata where databases are, stops, starts and "
        "terminates them",
    )
    yield right("read instance-images", "the image of a pooler", only=_launches)
    yield right("use volume-family", "the boot volume of a pooler", only=_launches)
    yield right(
        "read metrics",
        "CPU, memory and storage of databases, from which their sizes are decided",
    )
    yield from _of_service(environments)


def _launches(environment: Environment) -> bool:
    return environment.values_of(OciValues).pooler is PoolerTier.CREATE


def _of_service(environments: Sequence[Environment]) -> Iterator[Right]:
    """What is no right of the group: others that use the key."""
    yield Right(
        "the PostgreSQL service encrypts databases with the key; its name as a principal is not "
        "on Oracle's pages, this one is from the OCIDs of its systems",
        tuple(
            f"Allow any-user to use keys in {place} where all "
            f"{{request.principal.type = 'postgresqldbsystem'{', ' if key else ''}{key}}}"
            for place, key in map(_key, environments)
        ),
    )
    yield Right(
        "the volumes below the databases are encrypted with the key",
        tuple(
            f"Allow service blockstorage to use keys in {place}{' where ' if key else ''}{key}"
            for place, key in map(_key, environments)
        ),
    )


def _key(environment: Environment) -> tuple[str, str]:
    """Where an environment's key is, and the condition that it is that one."""
    if environment.values_of(OciValues).key is None:
        return f"compartment {environment.compartment}", ""
    return "tenancy", f"target.key.id = '{environment.values_of(OciValues).key}'"


def _of_poolers(fleet: Fleet, environments: Sequence[Environment]) -> Right:
    return Right(
        "a pooler reads its certificate, and the password with which it makes roles; never the "
        "authority's key (the dynamic groups are below)",
        tuple(_reading(fleet, environment) for environment in environments),
    )


def _reading(fleet: Fleet, environment: Environment) -> str:
    owner = Owner(fleet.name, environment.name)
    names = (owner.name(key) for key in (ADMIN_PASSWORD, POOLER))
    condition = ", ".join(f"target.secret.name = '{name}'" for name in names)
    return (
        f"Allow dynamic-group {_pooler_group(fleet, environment)} to read secret-bundles "
        f"in compartment {environment.compartment} where any {{{condition}}}"
    )


def _pooler_group(fleet: Fleet, environment: Environment) -> str:
    return Owner(fleet.name, environment.name).name("poolers")


def _place(parent: str | None) -> str:
    is_root = parent is None or parent.startswith(_TENANCY)
    return _ROOT if is_root else f"compartment id {parent}"


def _part(title: str, rights: Iterable[Right]) -> Iterator[str]:
    yield from ("", f"## {title}")
    yield from _paragraphs(rights)


def _paragraphs(rights: Iterable[Right]) -> Iterator[str]:
    for right in rights:
        if right.statements:
            yield from ("", *right.lines())


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH))
