"""The walk and the packet sets are two implementations of one meaning: they agree on IPv4 and IPv6, ordinary and odd addresses."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import NetworkSet, Site, Zone
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import enforces, list_sets
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Evaluator
from tests.unit.proof.small_sites import PORTS, SUBNETS, random_world

ODD = {
    4: [
        "224.0.0.251",
        "239.1.1.1",
        "255.255.255.255",
        "169.254.3.3",
        "0.0.0.0",
        "127.0.0.1",
        "10.0.1.14",
        "192.0.2.9",
        "8.8.8.8",
    ],
    6: ["ff02::1", "ff0e::1", "fe80::5", "::1", "2001:db8:9::9", "2001:db8:0:1::e"],
}


def dual_stack(seed: int) -> tuple[Site, dict[int, list[str]]]:
    """A random site whose devices also have IPv6 addresses, one subnet for each zone, and a firewall with its own addresses."""
    site = random_world(seed).site()
    addresses: dict[int, list[str]] = {4: [], 6: []}
    members = {}
    for name, found in site.members.items():
        made = []
        for member in found:
            four = ipaddress.ip_address(member.addresses[0])
            third = int(four) >> 8 & 255
            six = f"2001:db8:0:{third}::{int(four) & 255:x}"
            addresses[4].append(str(four))
            addresses[6].append(six)
            made.append(replace(member, addresses=(str(four), six)))
        members[name] = tuple(made)
    zones = {
        name: Zone(name, (prefix, f"2001:db8:0:{number}::/64"), 2, "owner")
        for number, (name, prefix) in enumerate(SUBNETS.items(), 1)
    }
    networks = {**site.networks, "half": NetworkSet("half", (*site.networks["half"].prefixes, "2001:db8:0:1::/124"))}
    firewall = replace(
        site.points["fw1"], options={**site.points["fw1"].options, "addresses": ["10.0.1.14", "2001:db8:0:1::e"]}
    )
    site = replace(site, members=members, zones=zones, networks=networks, points={**site.points, "fw1": firewall})
    return site, {family: found + ODD[family] for family, found in addresses.items()}


def packet(choose: random.Random, family: int, addresses: list[str]) -> Packet:
    source, destination = choose.sample(addresses, 2)
    protocol = choose.choice([6, 17, 58 if family == 6 else 1, 47])
    detail = {
        6: choose.choice([2, 16, 18, 4, 0]),
        1: choose.choice([0, 3, 8, 11]) * 256,
        58: choose.choice([128, 129, 1]) * 256,
    }.get(protocol, 0)
    ports = [choose.choice(PORTS) if protocol in (6, 17) else 0 for _ in range(2)]
    ends = int(ipaddress.ip_address(destination)), int(ipaddress.ip_address(source))
    return Packet(protocol + (256 if family == 6 else 0), detail, 0, *ends, *ports)


def test_walk_and_sets_agree(full: bool) -> None:
    seen = {4: 0, 6: 0}
    for seed in range(200 if full else 20):
        site, addresses = dual_stack(seed)
        lists = compile_site(site).lists
        evaluator = Evaluator(site, lists)
        space = PacketSpace()
        sets = [list_sets(space, site, listing) for listing in lists]
        choose = random.Random(seed)
        for _ in range(150):
            family = choose.choice([4, 6])
            one = packet(choose, family, addresses[family])
            numbers = sorted(evaluator.seen_by(family, one.source, one.destination))
            assert numbers == [n for n, item in enumerate(sets) if one in item.sees], (seed, one.describe())
            for number in numbers:
                lookup = evaluator.lookup(number)
                entry = lookup.deciding(one)
                permit = entry.permit if entry else lookup.default_permit
                assert (permit or not enforces(lists[number])) == (one in sets[number].passes), (
                    seed,
                    lists[number].name,
                    one.describe(),
                )
                seen[family] += 1
    assert min(seen.values()) > 100, seen
