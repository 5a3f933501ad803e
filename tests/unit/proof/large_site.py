"""A large site as generated values: segments of twenty devices over subnets of sixty-two, six rules each, and its history."""

from __future__ import annotations

import ipaddress
import random

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Guardrail,
    Member,
    NetworkSet,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Workflow,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation


def large_site(segments: int, devices: int = 20, rules_each: int = 6, matrix: int = 30, seed: int = 1) -> Site:
    """Return a site: every segment at the firewall, every second one with a DACL, ``matrix`` of them in the matrix."""
    choose = random.Random(seed)
    names = [f"segment_{number:03d}" for number in range(segments)]
    space = ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=26)
    subnets = [next(space) for _ in range(max(2, segments * devices // 50 + 1))]
    hosts = [str(host) for subnet in subnets for host in list(subnet.hosts())[:52]]
    choose.shuffle(hosts)
    services = {f"tcp-{n}": Service(f"tcp-{n}", (ServiceMatch(6, ((1000 + 7 * n, 1000 + 7 * n),)),)) for n in range(30)}
    services |= {
        f"udp-{n}": Service(f"udp-{n}", (ServiceMatch(17, ((3000 + 9 * n, 3000 + 9 * n + n % 3),)),)) for n in range(10)
    }
    members, made, assignments = {}, {}, {}
    for number, name in enumerate(names):
        own = [hosts.pop() for _ in range(devices)]
        members[name] = tuple(
            Member(f"02:00:00:{number // 256:02x}:{number % 256:02x}:{i:02x}", (a,)) for i, a in enumerate(own)
        )
        rules = tuple(
            Rule(
                f"{name}-{n}",
                name,
                "data-centers" if n == 0 else choose.choice(names),
                (choose.choice(sorted(services)),),
                "x",
                "manual",
            )
            for n in range(rules_each)
        )
        made[name] = Segment(name, "zone-000", 100 + number, "owner", "high", allow=rules)
        points = ["fw1"] + (["dacl"] if number % 2 else []) + (["matrix"] if number < matrix else [])
        assignments[name] = Assignment(name, "enforce", tuple(points))
    zones = {f"zone-{n:03d}": Zone(f"zone-{n:03d}", (str(subnet),), 2, "owner") for n, subnet in enumerate(subnets)}
    return Site(
        "large", "UTC", zones, (), services,
        {"data-centers": NetworkSet("data-centers", ("172.16.0.0/24", "172.16.4.0/28"))}, made,
        guardrails=tuple(
            Guardrail(f"g{n}", choose.choice(["never", "never", "always"]), choose.choice(names), choose.choice(names), ("tcp-1",), "x")
            for n in range(20)
        ),
        expectations=(),
        workflows=tuple(Workflow(f"w{n}", "w", "owner", "high", (f"{names[n]}-1",)) for n in range(min(10, segments))),
        points={
            "fw1": EnforcementPoint("fw1", "firewall", "nftables", "fw1", {}),
            "dacl": EnforcementPoint("dacl", "dacl", "ise", "ise1", {}),
            "matrix": EnforcementPoint("matrix", "sgacl", "ise", "ise1", {"tags": "inline"}),
        },
        assignments=assignments, members=members,
    )  # fmt: skip


def history(site: Site, count: int, seed: int = 2) -> list[SeenConversation]:
    """Return distinct conversations: half of them permitted by a rule, half between any two devices."""
    choose = random.Random(seed)
    rules = [rule for rule in site.rules() if rule.to in site.members]
    everyone = [member.addresses[0] for found in site.members.values() for member in found]
    found: dict[tuple[int, int, int, int], SeenConversation] = {}
    while len(found) < count:
        if len(found) % 2:
            rule = choose.choice(rules)
            match = site.services[rule.services[0]].matches[0]
            client, server = (
                choose.choice(site.members[rule.client]).addresses[0],
                choose.choice(site.members[rule.to]).addresses[0],
            )
            key = (
                int(ipaddress.ip_address(client)),
                int(ipaddress.ip_address(server)),
                match.protocol,
                match.ports[0][0],
            )
        else:
            pair = choose.sample(everyone, 2)
            key = (
                int(ipaddress.ip_address(pair[0])),
                int(ipaddress.ip_address(pair[1])),
                choose.choice([6, 17]),
                choose.randint(1, 5000),
            )
        if key[0] != key[1]:
            found[key] = SeenConversation(
                4, *key, client_port=49152, flows=3, answered=3, days=2, first_us=1, last_us=2
            )
    return list(found.values())
