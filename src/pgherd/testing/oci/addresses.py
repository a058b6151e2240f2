"""IPv4 blocks: what a VCN and a subnet may have, and which addresses are free."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from pgherd.testing.oci.refusals import Refused, conflict, invalid


def block(text: str, where: str) -> IPv4Network:
    """A CIDR block without host bits."""
    try:
        return IPv4Network(text)
    except ValueError as problem:
        raise invalid(f"{where} {text!r} is no CIDR block: {problem}") from None


def of_vcn(blocks: Iterable[str]) -> None:
    """1..5 blocks of /16../30 that do not overlap."""
    found = [block(text, "cidrBlocks") for text in blocks]
    if not 1 <= len(found) <= 5:
        raise invalid(f"a VCN has 1..5 CIDR blocks, not {len(found)}")
    for each in found:
        if not 16 <= each.prefixlen <= 30:
            raise invalid(f"{each} must be /16../30")
    no_overlap(found)


def no_overlap(blocks: list[IPv4Network]) -> None:
    """Refuse blocks that share addresses."""
    for number, one in enumerate(blocks):
        for other in blocks[number + 1 :]:
            if one.overlaps(other):
                raise invalid(f"{one} overlaps {other}")


def of_subnet(text: str, vcn: Iterable[str], neighbours: Iterable[str]) -> IPv4Network:
    """Inside the VCN, and beside the subnets that are there."""
    found = block(text, "cidrBlock")
    if not any(found.subnet_of(IPv4Network(each)) for each in vcn):
        raise invalid(f"The requested CIDR {found} is not contained in the VCN")
    for each in neighbours:
        if found.overlaps(IPv4Network(each)):
            raise invalid(f"The requested CIDR {found} overlaps with subnet {each}")
    return found


def take(subnet: str, used: set[str], wanted: str | None) -> str:
    """The address asked for, or the next free one; OCI keeps the first two and the last."""
    network = IPv4Network(subnet)
    if wanted is not None:
        return _wanted(network, used, wanted)
    for number in range(2, network.num_addresses - 1):
        address = str(network[number])
        if address not in used:
            return address
    raise Refused(409, "IncorrectState", f"the subnet {subnet} has no free address")


def _wanted(network: IPv4Network, used: set[str], wanted: str) -> str:
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise invalid(f"{wanted!r} is no IPv4 address") from None
    kept = (network[0], network[1], network[-1])
    if address not in network or address in kept:
        raise invalid(f"{wanted} is not one of the addresses of {network} to be given")
    if wanted in used:
        raise conflict(f"{wanted} is already in use")
    return wanted
