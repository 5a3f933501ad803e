"""The sides of a firewall against ipaddress, for every address of a small space."""

from __future__ import annotations

import ipaddress
import random

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import addresses_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.sides import OUTSIDE, sides_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import EnforcementPoint
from tests.unit.proof.small_sites import World

SITE = World({}, [], {}, {}, {}).site()


def point(subnets: list[str], addresses: list[str] | None = None) -> EnforcementPoint:
    return EnforcementPoint(
        "fw1", "firewall", "nftables", "fw1", {"subnets": subnets, **({"addresses": addresses} if addresses else {})}
    )


def expected_side(address: str, subnets: list[str], own: list[str]) -> str | None:
    """The most specific subnet by name, "" outside of all, None for the firewall's own addresses."""
    if address in own:
        return None
    holding = [ipaddress.ip_network(s) for s in subnets if ipaddress.ip_address(address) in ipaddress.ip_network(s)]
    return str(max(holding, key=lambda n: n.prefixlen)) if holding else ""


def test_sides_are_those_of_the_longest_prefix() -> None:
    choose = random.Random(3)
    space = [str(a) for a in ipaddress.ip_network("10.0.0.0/26")]
    for _ in range(60):
        subnets = sorted(
            {
                str(ipaddress.ip_network(f"10.0.0.{choose.randint(0, 63)}/{choose.randint(27, 31)}", strict=False))
                for _ in range(choose.randint(1, 4))
            }
        )
        own = choose.sample(space, choose.randint(0, 2))
        sides = sides_of(SITE, point(subnets, own), 4)
        names: dict[int, str] = {}
        for address in space:
            number = int(ipaddress.ip_address(address))
            found, want = sides.side_of(number), expected_side(address, subnets, own)
            if want is None or want == "":
                assert found == (None if want is None else OUTSIDE)
            else:
                assert names.setdefault(found, want) == want  # type: ignore[arg-type]
        for _ in range(20):
            clients, servers = choose.sample(space, choose.randint(1, 4)), choose.sample(space, choose.randint(1, 4))
            pairs = [(expected_side(c, subnets, own), expected_side(s, subnets, own)) for c in clients for s in servers]
            crossing = any(c is not None and s is not None and c != s for c, s in pairs)
            assert sides.separates(addresses_of(clients, 4), addresses_of(servers, 4)) == crossing, (
                subnets,
                own,
                clients,
                servers,
            )
            one = choose.choice([(c, s) for c in clients for s in servers])
            ends = [int(ipaddress.ip_address(a)) for a in one]
            want_one = [expected_side(a, subnets, own) for a in one]
            assert sides.crosses(*ends) == (None not in want_one and want_one[0] != want_one[1])


def test_what_is_delivered_locally_does_not_cross() -> None:
    sides = sides_of(SITE, point(["10.0.0.0/24", "10.0.1.0/24"]), 4)
    one = int(ipaddress.ip_address("10.0.0.5"))
    for address, surely, perhaps in (
        ("10.0.1.5", True, True), ("8.8.8.8", True, True), ("10.0.0.6", False, False), ("255.255.255.255", False, False),
        ("224.0.0.251", False, False), ("239.1.2.3", False, True), ("169.254.1.1", False, False),
    ):  # fmt: skip
        other = int(ipaddress.ip_address(address))
        assert (sides.crosses(one, other), sides.crosses(one, other, groups_too=True)) == (surely, perhaps), address
    six = sides_of(SITE, point(["2001:db8:1::/64", "2001:db8:2::/64"]), 6)
    first, second = int(ipaddress.ip_address("2001:db8:1::1")), int(ipaddress.ip_address("2001:db8:2::1"))
    assert six.crosses(first, second)
    assert not six.crosses(first, int(ipaddress.ip_address("fe80::1")))
