"""Small random sites as plain values, and what facts/devices.md section 6 says about each packet on them.

The model below is read from the fact sheet, not from the compiler: it knows conversations, hosts and points, and no lists.
"""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Expectation,
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

SUBNETS = {"north": "10.0.1.0/28", "south": "10.0.2.0/28", "east": "10.0.3.0/28"}
OUTSIDE = "192.0.2.9"
# name: (symmetric, [(protocol, ports, client ports, ICMP type)])
SERVICES: dict[str, tuple[bool, list[tuple[int, list[tuple[int, int]], list[tuple[int, int]], int | None]]]] = {
    "web": (False, [(6, [(443, 443)], [], None)]),
    "ranges": (False, [(6, [(80, 80), (8000, 8010)], [], None), (17, [(5000, 5010)], [], None)]),
    "names": (False, [(17, [(53, 53)], [], None), (6, [(53, 53)], [], None)]),
    "bacnet": (True, [(17, [(47808, 47808)], [], None)]),
    "peers": (False, [(17, [(123, 123)], [(123, 123)], None)]),
    "pinned": (False, [(6, [(102, 102)], [(1024, 65535)], None)]),
    "ping": (False, [(1, [], [], 8)]),
    "messages": (False, [(1, [], [], None)]),
    "all-tcp": (False, [(6, [], [], None)]),
    "gre": (False, [(47, [], [], None)]),
}
PORTS = [53, 67, 68, 80, 81, 102, 123, 443, 1023, 1024, 5000, 5005, 5010, 5011, 7999, 8000, 8010, 8011, 47808, 49152]


@dataclass
class World:
    """One site in plain values. ``members``: segment -> [(address, switch, port)]; ``points``: name -> (kind, options)."""

    members: dict[str, list[tuple[str, str, str]]]
    rules: list[tuple[str, str, str, list[str]]]  # id, client segment, to, services
    networks: dict[str, list[str]]
    stages: dict[str, tuple[str, list[str]]]
    points: dict[str, tuple[str, dict[str, Any]]]
    dhcp: str = ""
    guardrails: list[tuple[str, str, str, list[str]]] = field(default_factory=list)  # must, client, server, services
    workflows: list[list[str]] = field(default_factory=list)
    criticality: dict[str, str] = field(default_factory=dict)
    expectations: list[Expectation] = field(default_factory=list)

    def site(self) -> Site:
        """Return the world as the policy model has it."""
        kinds = {"firewall": "nftables", "dacl": "ise", "sgacl": "ise", "port_acl": "ios"}
        hosts = {"firewall": "fw1", "dacl": "ise1", "sgacl": "ise1", "port_acl": "acc1"}
        services = {
            name: Service(
                name, tuple(ServiceMatch(p, tuple(ports), tuple(cports), kind) for p, ports, cports, kind in m), sym
            )
            for name, (sym, m) in SERVICES.items()
        }
        segments = {
            name: Segment(
                name,
                "north",
                100 + number,
                "owner-" + name,
                self.criticality.get(name, "medium"),
                allow=tuple(Rule(i, c, to, tuple(s), "because", "manual") for i, c, to, s in self.rules if c == name),
            )
            for number, name in enumerate(sorted(self.members))
        }
        return Site(
            name="small", time_zone="UTC",
            zones={name: Zone(name, (prefix,), 2, "owner") for name, prefix in SUBNETS.items()},
            conduits=(), services=services,
            networks={name: NetworkSet(name, tuple(prefixes)) for name, prefixes in self.networks.items()},
            segments=segments,
            guardrails=tuple(
                Guardrail(f"g{n}", must, client, server, tuple(s), "because")
                for n, (must, client, server, s) in enumerate(self.guardrails)
            ),
            expectations=tuple(self.expectations),
            workflows=tuple(Workflow(f"w{n}", f"w{n}", "owner", "high", tuple(r)) for n, r in enumerate(self.workflows)),
            points={
                name: EnforcementPoint(name, kind, kinds[kind], hosts[kind], options)
                for name, (kind, options) in self.points.items()
            },
            assignments={name: Assignment(name, stage, tuple(points)) for name, (stage, points) in self.stages.items()},
            members={
                name: tuple(
                    Member(f"02:00:00:00:{n:02x}:{i:02x}", (address,), f"{name}{i}", switch, port)
                    for i, (address, switch, port) in enumerate(found)
                )
                for n, (name, found) in enumerate(sorted(self.members.items()))
            },
            defaults={"bootstrap": {"dhcp_servers": self.dhcp}} if self.dhcp else {},
        )  # fmt: skip

    # --- the model

    def segment_of(self, address: str) -> str:
        for name, found in self.members.items():
            for held, _switch, _port in found:
                if held == address:
                    return name
        return ""

    def covers(self, to: str, address: str) -> bool:
        """Whether the server side of a rule takes in an address."""
        if to in self.members:
            return self.segment_of(address) == to
        prefixes = ["0.0.0.0/0"] if to == "any" else [SUBNETS[to[5:]]] if to.startswith("zone:") else self.networks[to]
        return any(lies_in(address, prefix) for prefix in prefixes)

    def touches(self, to: str, segment: str) -> bool:
        return any(self.covers(to, address) for address, _s, _p in self.members[segment])

    def permits(self, client: str, server: str, packet: dict[str, Any]) -> bool:
        """Whether a rule permits an opener between two addresses."""
        return any(
            self.segment_of(client) == rule_client
            and self.covers(to, server)
            and any(opens(s, packet) for s in services)
            for _id, rule_client, to, services in self.rules
        )

    def access(self, segment: str, packet: dict[str, Any], exact: bool = False) -> bool:
        """What a list on the ports of a segment does with a packet from one of its devices, at stage enforce.

        ``exact``: the list can name its devices (a port ACL), so that only those among a rule's addresses answer.
        """
        kind = packet.get("icmp_type")
        ports = (packet.get("source_port"), packet.get("destination_port"))
        if packet["protocol"] == 17 and ports == (68, 67):
            return True
        serves = bool(self.dhcp) and any(self.covers(self.dhcp, a) for a, _s, _p in self.members[segment])
        if packet["protocol"] == 17 and serves and ports in ((67, 68), (67, 67)):
            return True
        if packet["protocol"] == 1 and kind in (3, 11):
            return True
        peer = packet["destination"]
        for _id, client, to, services in self.rules:
            if client == segment and self.covers(to, peer) and any(opens(s, packet) for s in services):
                return True
            if (
                (self.covers(to, packet["source"]) if exact else self.touches(to, segment))
                and self.segment_of(peer) == client
                and any(answers(s, packet) for s in services)
            ):
                return True
        return False

    def cell(self, source: str, destination: str, packet: dict[str, Any]) -> bool:
        """What the cell of two groups does with a packet, at stage enforce. Groups, not hosts: any host of them counts."""
        concerned = False
        for _id, client, to, services in self.rules:
            if client == source and self.touches(to, destination):
                concerned = True
                if any(opens(s, packet) for s in services):
                    return True
            if client == destination and self.touches(to, source):
                concerned = True
                if any(answers(s, packet) for s in services):
                    return True
        return concerned and packet["protocol"] == 1 and packet["icmp_type"] in (3, 11)

    def crosses(self, source: str, destination: str) -> bool:
        return side(source) != side(destination)

    def firewall(self, point: str, packet: dict[str, Any]) -> bool:
        """What a stateful firewall does with a new connection's first packet that crosses it."""
        source, destination = packet["source"], packet["destination"]
        if self.permits(source, destination, packet):
            return True
        if (
            self.dhcp and packet["protocol"] == 17 and self.covers(self.dhcp, destination)
            and packet["source_port"] in (67, 68) and packet["destination_port"] == 67
        ):  # fmt: skip
            return True
        here = {name: stage for name, (stage, points) in self.stages.items() if point in points}
        ends = [here.get(self.segment_of(a), "") for a in (source, destination)]
        if "enforce" in ends:
            return False
        if "monitor" in ends or "observe" in ends or "enforce" not in here.values():
            return True
        return self.points[point][1].get("default") != "deny"

    def stops(self, packet: dict[str, Any], opener: bool, cautious: bool = False) -> list[str]:
        """The enforcing points that see a packet and stop it; ``cautious`` adds port lists of devices whose port is not known."""
        found = []
        source, destination = self.segment_of(packet["source"]), self.segment_of(packet["destination"])
        stage, points = self.stages.get(source, ("observe", []))
        their_stage, their_points = self.stages.get(destination, ("observe", []))
        place = next(((s, p) for a, s, p in self.members.get(source, []) if a == packet["source"]), ("", ""))
        for name in points:
            kind = self.points[name][0]
            here = (place[0] == "acc1" and place[1]) or (cautious and not place[0])
            if stage == "enforce" and (kind == "dacl" or (kind == "port_acl" and here)):
                if not self.access(source, packet, kind == "port_acl"):
                    found.append(name)
            if kind == "sgacl" and name in their_points and stage == their_stage == "enforce":
                if not self.cell(source, destination, packet):
                    found.append(name)
        for name, (kind, _options) in self.points.items():
            written = any(name in points and s != "observe" for s, points in self.stages.values())
            if opener and written and kind == "firewall" and self.crosses(packet["source"], packet["destination"]):
                if not self.firewall(name, packet):
                    found.append(name)
        return found

    def works(self, packet: dict[str, Any], cautious: bool = False) -> bool:
        """Whether a conversation with this opener works: opener and first answer pass everywhere."""
        answer = reply_to(packet)
        return not self.stops(packet, True, cautious) and not (answer and self.stops(answer, False, cautious))

    def blocked(self, packet: dict[str, Any]) -> bool:
        answer = reply_to(packet)
        return bool(self.stops(packet, True) or (packet["protocol"] == 6 and answer and self.stops(answer, False)))

    def addresses(self) -> list[str]:
        """Every member, one stranger in each subnet, one address elsewhere."""
        own = [a for found in self.members.values() for a, _s, _p in found]
        return [*own, *(str(ipaddress.ip_network(p)[14]) for p in SUBNETS.values()), OUTSIDE]


@cache
def lies_in(address: str, prefix: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


@cache
def side(address: str) -> str:
    return next((n for n, p in SUBNETS.items() if lies_in(address, p)), "outside")


def inside(value: int, ranges: list[tuple[int, int]]) -> bool:
    return not ranges or any(low <= value <= high for low, high in ranges)


def opens(service: str, packet: dict[str, Any]) -> bool:
    """Whether a packet's protocol and ports are those of the service, from client to server."""
    symmetric, matches = SERVICES[service]
    for protocol, ports, client_ports, kind in matches:
        if protocol != packet["protocol"]:
            continue
        if protocol == 1:
            if kind is None or packet["icmp_type"] == kind:
                return True
        elif protocol not in (6, 17) or (
            inside(packet["destination_port"], ports)
            and inside(packet["source_port"], client_ports or (ports if symmetric else []))
        ):
            return True
    return False


def answers(service: str, packet: dict[str, Any]) -> bool:
    """Whether a packet looks like the answer to a conversation of the service (section 6.1 and 6.2)."""
    symmetric, matches = SERVICES[service]
    for protocol, ports, client_ports, kind in matches:
        if protocol != packet["protocol"]:
            continue
        if protocol == 1:
            wanted = {8: {0}}.get(kind, set()) if kind is not None else {0, 14}
            if packet["icmp_type"] in wanted:
                return True
        elif protocol not in (6, 17):
            return True
        elif inside(packet["source_port"], ports) and inside(
            packet["destination_port"], client_ports or (ports if symmetric else [])
        ):
            if protocol == 17 or packet["tcp_flags"] & {"ack", "rst"}:
                return True
    return False


def reply_to(packet: dict[str, Any]) -> dict[str, Any] | None:
    made = {**packet, "source": packet["destination"], "destination": packet["source"]}
    if packet["protocol"] == 1:
        answer = {8: 0, 13: 14, 15: 16, 17: 18}.get(packet["icmp_type"])
        return None if answer is None else {**made, "icmp_type": answer, "icmp_code": 0}
    if packet["protocol"] in (6, 17):
        made |= {"source_port": packet["destination_port"], "destination_port": packet["source_port"]}
    if packet["protocol"] == 6:
        made["tcp_flags"] = {"syn", "ack"}
    return made


def random_packet(world: World, choose: random.Random, opener: bool = False) -> dict[str, Any]:
    """A packet between two addresses of the world, at the edges of its services."""
    source, destination = choose.sample(world.addresses(), 2)
    protocol = choose.choice([6, 6, 6, 17, 17, 17, 1, 47, 50])
    packet: dict[str, Any] = {"source": source, "destination": destination, "protocol": protocol}
    if protocol in (6, 17):
        packet |= {"source_port": choose.choice(PORTS), "destination_port": choose.choice(PORTS)}
    if protocol == 6:
        kinds = (
            [{"syn"}]
            if opener
            else [{"syn"}, {"syn", "ack"}, {"ack"}, {"rst"}, {"fin", "ack"}, set(), {"fin", "psh", "urg"}]
        )
        packet["tcp_flags"] = choose.choice(kinds)
    if protocol == 1:
        packet |= {"icmp_type": choose.choice([0, 3, 5, 8, 11, 13, 14]), "icmp_code": choose.choice([0, 0, 1, 4])}
    return packet


def as_dict(packet: Packet) -> dict[str, Any]:
    """The engine's whole packet in the form of this model."""
    number = packet.ip_protocol
    kind = ipaddress.IPv6Address if packet.is_ipv6 else ipaddress.IPv4Address
    ends = [str(kind(value)) for value in (packet.source, packet.destination)]
    if packet.fragment:
        return {"source": ends[0], "destination": ends[1], "protocol": number, "fragment_offset": 185}
    found: dict[str, Any] = {
        "source": ends[0], "destination": ends[1],
        "protocol": number, "source_port": packet.source_port, "destination_port": packet.destination_port,
    }  # fmt: skip
    if number == 6:
        found["tcp_flags"] = {name for name, bit in FLAG_BITS.items() if packet.detail & bit}
    if number == 1:
        found |= {"icmp_type": packet.detail >> 8, "icmp_code": packet.detail & 255}
    return found


FLAG_BITS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}


def as_packet(packet: dict[str, Any]) -> Packet:
    """The same packet in the engine's form."""
    protocol = packet["protocol"]
    detail = sum(FLAG_BITS[flag] for flag in packet.get("tcp_flags", ()))
    if protocol == 1:
        detail = packet["icmp_type"] * 256 + packet["icmp_code"]
    later = int(bool(packet.get("fragment_offset")))
    ends = [int(ipaddress.ip_address(packet[key])) for key in ("destination", "source")]
    if later:
        return Packet(protocol, 0, 1, ends[0], ends[1], 0, 0)
    return Packet(
        protocol, detail, 0, ends[0], ends[1], packet.get("destination_port", 0), packet.get("source_port", 0)
    )


def random_world(seed: int) -> World:
    """A site with three to five segments on three subnets, points of every kind, and stages mixed."""
    choose = random.Random(seed)
    names = [f"s{number}" for number in range(choose.randint(3, 5))]
    members: dict[str, list[tuple[str, str, str]]] = {}
    used = 0
    for name in names:
        found = []
        for _ in range(choose.randint(1, 3)):
            used += 1
            block = ipaddress.ip_network(choose.choice(list(SUBNETS.values())[: choose.choice([2, 3])]))
            switch = choose.choice(["acc1", "acc1", "acc2", ""])
            found.append((str(block[1 + used % 12]), switch, f"GigabitEthernet1/0/{used}" if switch else ""))
        members[name] = [item for n, item in enumerate(found) if item[0] not in [other[0] for other in found[:n]]]
    taken: set[str] = set()
    for name in names:
        members[name] = [item for item in members[name] if item[0] not in taken]
        taken |= {item[0] for item in members[name]}
    networks = {
        "half": ["10.0.1.0/29", "10.0.2.8/29"],
        "overlapping": ["10.0.1.4/30", "10.0.1.0/28", "192.0.2.0/24"],
        "leases": [choose.choice(members[choose.choice(names)])[0] + "/32"]
        if choose.random() < 0.7 and all(members.values())
        else ["10.0.2.13/32"],
    }
    rules = []
    for number in range(choose.randint(2, 7)):
        client = choose.choice(names)
        to = choose.choice([*names, *names, "half", "overlapping", "any"])
        rules.append((f"r{number}", client, to, choose.sample(sorted(SERVICES), choose.randint(1, 2))))
    points: dict[str, tuple[str, dict[str, Any]]] = {
        "fw1": ("firewall", {"default": choose.choice(["permit", "deny"]), "zones": list(SUBNETS)}),
        "dacl": ("dacl", {}),
        "acc1": ("port_acl", {}),
        "matrix": ("sgacl", {"tags": "inline"}),
    }
    stages = {}
    for name in names:
        if choose.random() < 0.9:
            chosen = choose.sample(sorted(points), choose.randint(1, 3))
            if "acc1" in chosen and not any(switch == "acc1" for _a, switch, _p in members[name]):
                chosen.remove("acc1")
            if chosen:
                stages[name] = (choose.choice(["observe", "monitor", "enforce", "enforce", "enforce"]), chosen)
    return World(members, rules, networks, stages, points, dhcp=choose.choice(["", "leases", "leases"]))
