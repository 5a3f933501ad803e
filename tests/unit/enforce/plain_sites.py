"""Random sites of both address families with points of every kind, as plain values, and what their rules mean in a situation.

A situation says which windows are open and which postures are pulled; exceptions have their days. Nothing here knows the compiler, the
packet engine or the dialects: intent is read from rules and addresses, and which point sees a packet from facts/devices.md section 6.1.
"""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    AccessException,
    Assignment,
    Conditions,
    EnforcementPoint,
    Member,
    NetworkSet,
    Posture,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Situation,
    Window,
    Workflow,
    Zone,
)

ZONES = {
    "north": ("10.0.1.0/27", "2001:db8:1::/64"),
    "south": ("10.0.2.0/27", "2001:db8:2::/64"),
    "east": ("10.0.3.0/27", "2001:db8:3::/64"),
}
OUTSIDE = {4: "192.0.2.9", 6: "2001:db8:ffff::9"}
# name: symmetric, [(protocol, ports, client ports)]; ICMP: type in place of ports
SERVICES: dict[str, tuple[bool, list[tuple[int, tuple[int, int] | int | None, tuple[int, int] | None]]]] = {
    "web": (False, [(6, (443, 443), None)]),
    "ranges": (False, [(6, (8000, 8010), None), (17, (5000, 5003), None)]),
    "names": (False, [(17, (53, 53), None), (6, (53, 53), None)]),
    "bacnet": (True, [(17, (47808, 47808), None)]),
    "pinned": (False, [(6, (102, 102), (1024, 65535))]),
    "ping": (False, [(1, 8, None), (58, 128, None)]),
    "all-tcp": (False, [(6, None, None)]),
    "gre": (False, [(47, None, None)]),
}
PORTS = (53, 81, 102, 443, 1023, 1024, 4999, 5001, 5004, 7999, 8000, 8010, 8011, 47808, 49152)
ANSWERS = {8: 0, 128: 129}
TODAY = date(2026, 11, 23)


@dataclass(frozen=True)
class Device:
    """One device: its segment, addresses by family, switch and port."""

    name: str
    segment: str
    addresses: dict[int, str] = field(hash=False)
    switch: str
    port: str
    home: str = ""  # the segment it comes from where a posture has moved it

    @property
    def written(self) -> str:
        """The segment that the documents have it in."""
        return self.home or self.segment


@dataclass(frozen=True)
class PlainRule:
    """One rule or exception; ``devices`` and ``servers`` are names of devices of its two ends, () for all.

    ``windowed``: holds only while its window is open; ``posture``: only while that one is pulled; ``days``: first and last day of an
    exception.
    """

    id: str
    client: str
    to: str
    services: tuple[str, ...]
    devices: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    windowed: bool = False
    posture: str = ""
    days: tuple[date, date] | None = None


@dataclass(frozen=True)
class PlainPosture:
    """``kind``: isolate or relax. ``keeps`` are rules that go on; ``opens`` says that lists of the segment forward everything."""

    kind: str
    segment: str = ""
    device: str = ""
    keeps: tuple[str, ...] = ()
    opens: bool = False


@dataclass(frozen=True)
class PlainSituation:
    """Which windows are open (ids of rules, None for all) and which postures are pulled, in order."""

    opened: frozenset[str] | None = None
    pulled: tuple[str, ...] = ()

    def situation(self) -> Situation:
        """Return the same as the policy model has it."""
        made = Situation(postures=self.pulled)
        return made if self.opened is None else replace(made, open_windows=self.opened)


@dataclass
class PlainSite:
    """Everything that decides, in plain values. ``points``: name -> (kind, platform, options); ``stages``: segment -> (stage, points).

    ``extra``: how many addresses of no device a list on a port may add for a segment. ``away``: what is isolated, each with the rules that
    go on all the same; only ``in_force`` fills it.
    """

    devices: list[Device]
    rules: list[PlainRule]
    networks: dict[str, list[str]]
    points: dict[str, tuple[str, str, dict[str, Any]]]
    stages: dict[str, tuple[str, list[str]]]
    postures: dict[str, PlainPosture] = field(default_factory=dict)
    extra: int = 0
    away: list[tuple[frozenset[str], tuple[str, ...]]] = field(default_factory=list)

    @property
    def segments(self) -> list[str]:
        return sorted({device.segment for device in self.devices})

    def site(self) -> Site:
        """Return the same as the policy model has it."""
        services = {
            name: Service(
                name,
                tuple(
                    ServiceMatch(p, icmp_type=ports) if p in (1, 58) else
                    ServiceMatch(p, (ports,) if ports else (), (clients,) if clients else ())  # type: ignore[arg-type]
                    for p, ports, clients in matches
                ),
                symmetric,
            )
            for name, (symmetric, matches) in SERVICES.items()
        }  # fmt: skip
        ids = {device.name: f"02:00:00:00:00:{n:02x}" for n, device in enumerate(self.devices)}
        window = Window(("mon",), "08:00", "17:00")
        conditions = {
            r.id: Conditions((window,) if r.windowed else (), r.posture) if r.windowed or r.posture else None
            for r in self.rules
        }
        segments = {
            name: Segment(
                name, "north", 100 + n, "owner", "medium",
                allow=tuple(
                    Rule(
                        r.id, r.client, r.to, r.services, "x", "manual", devices=tuple(ids[d] for d in r.devices),
                        conditions=conditions[r.id],
                    )
                    for r in self.rules if r.client == name and r.days is None
                ),
            )
            for n, name in enumerate(self.segments)
        }  # fmt: skip
        return Site(
            name="plain", time_zone="UTC", zones={n: Zone(n, prefixes, 2, "owner") for n, prefixes in ZONES.items()},
            conduits=(), services=services,
            networks={
                n: NetworkSet(
                    n, tuple(p),
                    allow=tuple(
                        Rule(r.id, n, r.to, r.services, "x", "manual", conditions=conditions[r.id]) for r in self.rules if r.client == n
                    ),
                )
                for n, p in self.networks.items()
            },
            segments=segments,
            guardrails=(), expectations=(),
            workflows=tuple(  # half of what postures keep is named by a workflow
                Workflow(f"flow-{r.id}", "x", "owner", "medium", (r.id,)) for r in self.rules if r.id.endswith(("1", "3"))
            ),
            exceptions=tuple(
                AccessException(
                    r.id, "exception", "somebody", r.client, r.to, r.services, r.days[0].isoformat(), r.days[1].isoformat(), "T-1",
                    "owner", "x", r.devices or r.servers, conditions[r.id],
                )
                for r in self.rules if r.days is not None
            ),
            postures={
                name: Posture(
                    name, p.kind, "owner", "x", p.segment, p.device,
                    tuple(f"flow-{k}" if k.endswith(("1", "3")) else k for k in p.keeps), opens="all" if p.opens else "rules",
                    sgt=900 if p.device else None,
                )
                for name, p in self.postures.items()
            },
            budgets={"extra_traffic": {"addresses": self.extra}} if self.extra else {}, as_of=TODAY,
            points={n: EnforcementPoint(n, k, p, n, o) for n, (k, p, o) in self.points.items()},
            assignments={n: Assignment(n, stage, tuple(points)) for n, (stage, points) in self.stages.items()},
            members={
                name: tuple(
                    Member(ids[d.name], tuple(d.addresses.values()), d.name, d.switch, d.port)
                    for d in self.devices if d.segment == name
                )
                for name in self.segments
            },
        )  # fmt: skip

    def device_at(self, address: str) -> Device | None:
        return next((d for d in self.devices if address in d.addresses.values()), None)

    def covers(self, to: str, address: str) -> bool:
        """Whether the server side of a rule takes in an address."""
        device = self.device_at(address)
        if to in {each.written for each in self.devices}:
            return device is not None and device.written == to
        if to == "any":
            return True
        return any(within(address, prefix) for prefix in self.networks[to])

    def opened_by(self, rule: PlainRule, client: Device | None, address: str) -> bool:
        """Whether a rule is one of a sender's: a device, or an address of a network set."""
        if rule.client in self.networks:
            return client is None and any(within(address, prefix) for prefix in self.networks[rule.client])
        return (
            client is not None and rule.client == client.written and (not rule.devices or client.name in rule.devices)
        )

    def permitting(self, packet: dict[str, Any]) -> list[PlainRule]:
        """Return the rules that permit an opener."""
        client, server = self.device_at(packet["source"]), self.device_at(packet["destination"])
        cut = [keeps for gone, keeps in self.away if gone & {packet["source"], packet["destination"]}]
        return [
            r for r in self.rules
            if self.opened_by(r, client, packet["source"])
            and (not r.servers or (server is not None and server.name in r.servers))
            and self.covers(r.to, packet["destination"]) and any(opens(s, packet) for s in r.services)
            and all(r.id in keeps for keeps in cut)
        ]  # fmt: skip

    def in_force(self, now: PlainSituation) -> PlainSite:
        """Return the site as it is in a situation: rules that hold, what is isolated, stages and the segments of moved devices.

        Isolation goes before relaxation, and that before all rules (docs/policy/README.md).
        """
        rules = [
            r for r in self.rules
            if (r.days is None or r.days[0] <= TODAY <= r.days[1])
            and (not r.windowed or now.opened is None or r.id in now.opened)
            and (not r.posture or r.posture in now.pulled)
        ]  # fmt: skip
        devices, stages, away = list(self.devices), dict(self.stages), []
        pulled = [(name, self.postures[name]) for name in now.pulled]
        for _name, posture in pulled:
            if posture.kind == "relax" and posture.opens and stages.get(posture.segment, ("", []))[0] == "enforce":
                stages[posture.segment] = ("monitor", stages[posture.segment][1])
        for name, posture in pulled:
            if posture.kind != "isolate":
                continue
            gone = [d for d in devices if posture.device == d.name or posture.segment == d.segment]
            away.append((frozenset(a for d in gone for a in d.addresses.values()), posture.keeps))
            if posture.segment:
                if posture.segment in stages:
                    stages[posture.segment] = ("enforce", stages[posture.segment][1])
                continue
            moved = gone[0]
            devices[devices.index(moved)] = replace(moved, segment=name, home=moved.written)
            if moved.segment in stages:
                stages[name] = ("enforce", stages[moved.segment][1])
        return replace(self, devices=devices, rules=rules, stages=stages, away=away)


def within(address: str, prefix: str) -> bool:
    where, network = ipaddress.ip_address(address), ipaddress.ip_network(prefix)
    return where.version == network.version and where in network


def zone_of(address: str) -> str:
    return next((n for n, prefixes in ZONES.items() if any(within(address, p) for p in prefixes)), "outside")


def opens(service: str, packet: dict[str, Any]) -> bool:
    """Whether an opener has protocol and ports of a service."""
    symmetric, matches = SERVICES[service]
    for protocol, ports, clients in matches:
        if protocol != packet["protocol"]:
            continue
        if protocol in (1, 58):
            if packet["icmp_type"] == ports:
                return True
        elif protocol == 47 or (
            among(packet["destination_port"], ports)
            and among(packet["source_port"], clients or (ports if symmetric else None))
        ):
            return True
    return False


def among(value: int, span: Any) -> bool:
    return span is None or span[0] <= value <= span[1]


def answer_to(packet: dict[str, Any]) -> dict[str, Any]:
    """Return the first packet back."""
    made = {**packet, "source": packet["destination"], "destination": packet["source"]}
    if packet["protocol"] in (1, 58):
        return {**made, "icmp_type": ANSWERS[packet["icmp_type"]]}
    if "source_port" in packet:
        made |= {"source_port": packet["destination_port"], "destination_port": packet["source_port"]}
    if packet["protocol"] == 6:
        made["tcp_flags"] = {"syn", "ack"}
    return made


def later_fragment(packet: dict[str, Any]) -> dict[str, Any]:
    return {k: packet[k] for k in ("source", "destination", "protocol")} | {"fragment_offset": 185}


def random_plain_site(seed: int) -> PlainSite:
    """A site with three to five segments in three zones of both families."""
    choose = random.Random(seed)
    names = [f"s{n}" for n in range(choose.randint(3, 5))]
    devices = []
    used = dict.fromkeys(ZONES, 0)
    for name in names:
        home = choose.choice(list(ZONES))
        for _ in range(choose.randint(1, 4)):
            zone = home if choose.random() < 0.8 else choose.choice(list(ZONES))
            used[zone] += 1
            number = used[zone] + (0 if choose.random() < 0.7 else 8)
            addresses = {4: str(ipaddress.ip_network(ZONES[zone][0])[number])}
            if any(addresses[4] in d.addresses.values() for d in devices):
                continue
            if choose.random() < 0.5:
                addresses[6] = str(ipaddress.ip_network(ZONES[zone][1])[number])
            switch = choose.choice(["acc1", "acc1", "acc2"])
            devices.append(Device(f"d{len(devices)}", name, addresses, switch, f"Ethernet1/{len(devices) + 1}"))
    names = sorted({d.segment for d in devices})
    networks = {
        "half": ["10.0.1.0/29", "10.0.2.8/29", "2001:db8:1::/125"],
        "servers": ["10.0.3.0/28", "192.0.2.0/24", "2001:db8:3::/120", "2001:db8:ffff::/64"],
    }
    rules = []
    for number in range(choose.randint(3, 9)):
        client = choose.choice(names)
        own = [d.name for d in devices if d.segment == client]
        only = tuple(choose.sample(own, 1)) if choose.random() < 0.15 else ()
        to = choose.choice([*names, *names, "half", "servers", "any"])
        rules.append(
            PlainRule(f"r{number}", client, to, tuple(choose.sample(sorted(SERVICES), choose.randint(1, 2))), only)
        )
    gateways = [{"interface": f"Vlan{n}", "subnets": list(p)} for n, p in enumerate(ZONES.values(), 10)]
    points: dict[str, tuple[str, str, dict[str, Any]]] = {
        "fw1": (
            "firewall",
            choose.choice(["nftables", "asa"]),
            {"default": choose.choice(["permit", "deny"]), "zones": list(ZONES)},
        ),
        "ise1": ("dacl", "ise", {}),
        "ise2": ("sgacl", "ise", {"tags": "inline"}),
        "acc1": ("port_acl", choose.choice(["ios", "nxos"]), {}),
        "core1": ("router_acl", choose.choice(["ios", "nxos"]), {"gateways": gateways}),
    }
    stages = {}
    for name in names:
        chosen = choose.sample(sorted(points), choose.randint(1, 3))
        if "acc1" in chosen and not any(d.segment == name and d.switch == "acc1" for d in devices):
            chosen.remove("acc1")
        if chosen and choose.random() < 0.95:
            stages[name] = (choose.choice(["observe", "monitor", "enforce", "enforce", "enforce", "enforce"]), chosen)
    site = PlainSite(devices, rules, networks, points, stages)
    add_situations(site, random.Random(f"situations {seed}"))
    return site


def add_situations(site: PlainSite, choose: random.Random) -> None:
    """Give some rules windows and postures, and the site exceptions, postures and a budget for wider prefixes."""
    names = site.segments
    site.extra = choose.choice([0, 0, 4, 16])
    site.rules = [replace(r, windowed=True) if choose.random() < 0.2 else r for r in site.rules]
    for number in range(choose.randint(0, 3)):
        client, to = choose.choice(names), choose.choice([*names, *names, "half", "servers"])
        begins = TODAY + timedelta(days=choose.randint(-5, 2))
        made = PlainRule(
            f"e{number}", client, to, (choose.choice(sorted(SERVICES)),), windowed=choose.random() < 0.2,
            days=(begins, begins + timedelta(days=choose.randint(0, 6))),
        )  # fmt: skip
        ends = choose.choice(["", "devices", "servers"])
        some = [d.name for d in site.devices if d.segment == (client if ends == "devices" else to)]
        if client == to and ends and len(some) > 1:  # within one segment the named devices are both ends
            pair = tuple(choose.sample(some, 2))
            made = replace(made, devices=pair, servers=pair)
        elif client != to and ends and some:
            made = replace(made, **{ends: tuple(choose.sample(some, 1))})
        site.rules.append(made)
    more = random.Random(f"others {len(site.devices)} {len(site.rules)} {site.extra}")
    if more.random() < 0.5:  # addresses that are no devices open connections themselves
        site.networks["outsiders"] = ["192.0.2.8/30", "2001:db8:ffff::8/126"]
        for number in range(more.randint(1, 2)):
            services = (more.choice(sorted(SERVICES)),)
            site.rules.append(
                PlainRule(f"n{number}", "outsiders", more.choice(names), services, windowed=more.random() < 0.2)
            )
    site.points["ise2"][2]["ipv6"] = more.random() < 0.5
    kept = tuple(r.id for r in site.rules if choose.random() < 0.4)
    if choose.random() < 0.6:
        site.postures["alone"] = PlainPosture("isolate", device=choose.choice(site.devices).name, keeps=kept)
    if choose.random() < 0.5:
        site.postures["apart"] = PlainPosture(
            "isolate", segment=choose.choice(names), keeps=kept if choose.random() < 0.5 else ()
        )
    if choose.random() < 0.6:
        segment = choose.choice(names)
        site.postures["eased"] = PlainPosture("relax", segment=segment, opens=choose.random() < 0.3)
        site.rules.append(
            PlainRule("c0", segment, choose.choice(names), (choose.choice(sorted(SERVICES)),), posture="eased")
        )


def random_situation(site: PlainSite, choose: random.Random) -> PlainSituation:
    """Normal operation in one of three times, else some windows open and some postures pulled."""
    if choose.random() < 0.3:
        return PlainSituation()
    windowed = [r.id for r in site.rules if r.windowed]
    opened = choose.choice([None, frozenset(), frozenset(r for r in windowed if choose.random() < 0.5)])
    return PlainSituation(opened, tuple(name for name in sorted(site.postures) if choose.random() < 0.7))


def random_opener(site: PlainSite, choose: random.Random) -> dict[str, Any]:
    """A conversation's first packet: half of the time one that a rule is about."""
    family = choose.choice([4, 4, 6])
    everyone = [d.addresses[family] for d in site.devices if family in d.addresses]
    strangers = [
        OUTSIDE[family],
        *(str(ipaddress.ip_network(p[family // 4 - (family == 4)])[20]) for p in ZONES.values()),
        *(str(ipaddress.ip_network(p[family // 4 - (family == 4)])[choose.randint(1, 15)]) for p in ZONES.values()),
    ]
    if len(everyone) < 2:
        return random_opener(site, choose)
    source, destination = choose.sample(everyone, 2)
    if choose.random() < 0.15:
        destination = choose.choice(strangers)
    elif choose.random() < 0.1:
        source = choose.choice(strangers)
    protocol = choose.choice([6, 6, 6, 17, 17, 47, 58 if family == 6 else 1])
    port, client_port = choose.choice(PORTS), choose.choice([1023, 1024, 47808, 49152])
    if choose.random() < 0.5 and site.rules:
        rule = choose.choice(site.rules)
        clients = [d.addresses[family] for d in site.devices if d.written == rule.client and family in d.addresses]
        if rule.client in site.networks:
            clients = [OUTSIDE[family]]
        servers = [a for a in [*everyone, *strangers] if site.covers(rule.to, a)]
        if clients and servers:
            source, destination = choose.choice(clients), choose.choice(servers)
            if (
                site.extra and choose.random() < 0.2
            ):  # beside the server: a list on a port may name a prefix around both
                destination = str(ipaddress.ip_address(destination) + choose.choice([-2, -1, 1, 2]))
        matches = [
            m
            for m in SERVICES[choose.choice(rule.services)][1]
            if m[0] not in (1, 58) or m[0] == (58 if family == 6 else 1)
        ]
        if matches:
            protocol, ports, _clients = choose.choice(matches)
            port = ports[0] if isinstance(ports, tuple) else port
    packet: dict[str, Any] = {"source": source, "destination": destination, "protocol": protocol}
    if protocol in (1, 58):
        packet |= {"icmp_type": 8 if protocol == 1 else 128, "icmp_code": 0}
    elif protocol != 47:
        packet |= {"source_port": client_port, "destination_port": port}
    if protocol == 6:
        packet["tcp_flags"] = {"syn"}
    return packet if source != destination else random_opener(site, choose)
