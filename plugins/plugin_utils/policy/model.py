# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents of a policy directory say, as frozen values with their place in the files.

Nothing here judges; the loader makes these values, the numbered rules check them, ``enforce`` compiles them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.situations import (
    ALL_OPEN,
    DAYS,
    EXCEPTION_KINDS,
    NONE_OPEN,
    NORMAL,
    POSTURE_KINDS,
    AccessException,
    Conditions,
    Posture,
    Situation,
    Suspension,
    Template,
    Window,
)

__all__ = [
    "ALL_OPEN",
    "ANY",
    "CRITICALITIES",
    "DAYS",
    "EXCEPTION_KINDS",
    "NEVER_DROPPED",
    "NONE_OPEN",
    "NORMAL",
    "ORIGINS",
    "POSTURE_KINDS",
    "STAGES",
    "AccessException",
    "Assignment",
    "Conditions",
    "Conduit",
    "EnforcementPoint",
    "Expectation",
    "Guardrail",
    "Member",
    "NetworkSet",
    "Posture",
    "ResolvedName",
    "Ring",
    "Rule",
    "Segment",
    "Service",
    "ServiceMatch",
    "Site",
    "Situation",
    "Suspension",
    "SwitchHardware",
    "Template",
    "Window",
    "Workflow",
    "Zone",
]

if TYPE_CHECKING:
    from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import Approvers, Calendar

STAGES = ("observe", "monitor", "enforce")
# What a wrong deny would do, worst first. The first two may hurt somebody: no flag silences an error about them.
CRITICALITIES = ("life_support", "process_critical", "high", "medium", "low")
NEVER_DROPPED = ("life_support", "process_critical")
ANY = "any"
# Where rules come from; the last three are made by the loader and by postures, never written in a segment file.
ORIGINS = ("learned", "manual", "mud", "template", "exception", "posture")


@dataclass(frozen=True)
class ServiceMatch:
    """One protocol and port set of a service. Ports are inclusive ranges of the server's (destination) side."""

    protocol: int
    ports: tuple[tuple[int, int], ...] = ()
    client_ports: tuple[tuple[int, int], ...] = ()
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True)
class Service:
    """A named protocol and port set. ``symmetric``: both ends use the same port (BACnet, NTP peers).

    ``ethertypes``: what it is below IP (1536 to 65535), which no list sees; ``matches`` are empty where it is nothing else.
    """

    name: str
    matches: tuple[ServiceMatch, ...]
    symmetric: bool = False
    description: str = ""
    location: Location = Location()
    ethertypes: tuple[int, ...] = ()


@dataclass(frozen=True)
class ResolvedName:
    """A host name with the addresses it had on a day (YYYY-MM-DD); lists use the addresses and never resolve."""

    name: str
    addresses: tuple[str, ...]
    resolved: str
    location: Location = Location()


@dataclass(frozen=True)
class NetworkSet:
    """A named set of addresses: ``prefixes`` in CIDR notation (IPv4 and IPv6) is all of it.

    ``ranges`` (FIRST-LAST, as written) and the addresses of ``names`` are in ``prefixes`` as well, exactly. ``allow``: what its
    addresses, which are no devices of the register, may open to segments.
    """

    name: str
    prefixes: tuple[str, ...]
    description: str = ""
    location: Location = Location()
    ranges: tuple[str, ...] = ()
    names: tuple[ResolvedName, ...] = ()
    owner: str = ""
    allow: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Zone:
    """IEC 62443 zone: segments of one security level (1 to 4) in known subnets."""

    name: str
    subnets: tuple[str, ...]
    security_level: int
    owner: str
    description: str = ""
    location: Location = Location()


@dataclass(frozen=True)
class Conduit:
    """The allowed path between two zones, in the direction of the opener.

    ``security_level_target`` is the SL-T of IEC 62443-3-2 (1 to 4), 0 where none is stated.
    """

    id: str
    client: str
    server: str
    owner: str
    description: str = ""
    location: Location = Location()
    security_level_target: int = 0


@dataclass(frozen=True)
class Rule:
    """One directed permission: devices of the client segment may open the services on ``to``.

    ``to`` names a segment or a network set. ``client`` is a segment, or a network set with rules of its own (``NetworkSet.allow``).
    ``evidence`` holds bands only; counts live in evidence/<segment>.json.
    ``devices`` are ids of the client segment's devices for which it holds, () for all of them.
    """

    id: str
    client: str
    to: str
    services: tuple[str, ...]
    reason: str
    origin: str
    owner: str = ""
    expires: str = ""
    ticket: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)
    location: Location = Location()
    conditions: Conditions | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A named set of devices with at most one SGT. ``members`` is the query over facts, as written.

    ``sgt_name``: the name that the security group has in ISE already, empty where it gets one of ours.
    """

    name: str
    zone: str
    sgt: int | None
    owner: str
    criticality: str
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)
    # Without a value of the class: __getattr__ must be asked where rules were left out, and no rules be taken for them.
    allow: tuple[Rule, ...] = field(default_factory=tuple)
    description: str = ""
    location: Location = Location()
    sgt_name: str = ""

    def __getattr__(self, name: str) -> Any:
        """Read the rules that ``kept_segments`` left as text; called only for what is absent."""
        make = self.__dict__.get("_make")
        if name != "allow" or make is None:
            raise AttributeError(name)
        self.__dict__["allow"] = make()
        return self.__dict__["allow"]


@dataclass(frozen=True)
class Guardrail:
    """A statement every compiled policy is proved against. ``must`` is ``always`` or ``never``.

    ``client`` and ``server`` name a segment, a zone (``zone:NAME``), a network set or ``any``; ``services`` names
    services or holds ``any``.
    """

    id: str
    must: str
    client: str
    server: str
    services: tuple[str, ...]
    reason: str
    owner: str = ""
    location: Location = Location()


@dataclass(frozen=True)
class Expectation:
    """A policy unit test written by a person. ``client`` and ``server`` are addresses, device ids or segment names."""

    id: str
    client: str
    server: str
    protocol: int
    port: int
    expect: str
    reason: str = ""
    client_port: int | None = None
    location: Location = Location()


@dataclass(frozen=True)
class Workflow:
    """A named use that must go on working. ``rules`` are rule ids that can never be dropped."""

    id: str
    name: str
    owner: str
    criticality: str
    rules: tuple[str, ...]
    location: Location = Location()


@dataclass(frozen=True)
class EnforcementPoint:
    """A place that filters.

    ``kind``: ``firewall`` (stateful, sees new connections between subnets), ``dacl`` (stateless, packets from the
    endpoint only), ``sgacl`` (stateless, one list per cell), ``port_acl`` (stateless, packets from the endpoint only),
    ``router_acl`` (stateless, packets routed from and to the subnets of routed interfaces).
    ``host`` is the inventory name of the device that is written to. ``options`` keeps kind-specific keys as written.
    """

    id: str
    kind: str
    platform: str
    host: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    location: Location = Location()


@dataclass(frozen=True)
class Assignment:
    """Which points enforce a segment, and at which stage."""

    segment: str
    stage: str
    points: tuple[str, ...]
    location: Location = Location()


@dataclass(frozen=True)
class CellStage:
    """The stage of one egress matrix cell, packets from ``source`` to ``destination``, in place of the weaker one of its segments."""

    source: str
    destination: str
    stage: str
    reason: str = ""
    location: Location = Location()

    @property
    def pair(self) -> tuple[str, str]:
        """Return source and destination."""
        return self.source, self.destination

    @property
    def name(self) -> str:
        """Return the cell as people say it."""
        return f"{self.source} to {self.destination}"


@dataclass(frozen=True)
class SwitchHardware:
    """A switch by its inventory name: platform class (dialects/limits), hardware entries in use for everything else (0: those of an idle
    switch), and the most sessions of one segment on one ASIC (0: the devices that the lock places there are counted).
    """

    host: str
    hardware: str
    in_use: int = 0
    sessions: int = 0
    location: Location = Location()


@dataclass(frozen=True)
class ExitCriteria:
    """What has to be so before the ring after this one begins.

    ``unseen_goes_on``: also where what is due was not seen since; ``refused``: so many refused packets of a known conversation are a
    sign of trouble; ``one_alarm_in``: in how many judgements of healthy devices there may be a false alarm.
    """

    unseen_goes_on: bool = False
    refused: int = 3
    one_alarm_in: int = 1000


@dataclass(frozen=True)
class Ring:
    """An ordered part of the rollout: what goes with it, and how long it is watched, in minutes.

    Empty ``segments``: all of them; empty ``targets`` (inventory names of what is written to): all of them. ``devices`` (MAC or name),
    ``ports`` (switch and interface) and ``places`` (ids of ``Place``) limit it to what is attached there; any of the three is enough.
    ``shared_lists``: downloadable lists that devices of later rings have in common with it are written with this ring. ``exit``: what has
    to be so before the next one begins.
    """

    id: str
    segments: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    hold_minutes: int = 0
    description: str = ""
    location: Location = Location()
    devices: tuple[str, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()
    places: tuple[str, ...] = ()
    shared_lists: bool = False
    exit: ExitCriteria = ExitCriteria()

    @property
    def limited(self) -> bool:
        """Return whether only some devices or ports go with it."""
        return bool(self.devices or self.ports or self.places)


@dataclass(frozen=True)
class Place:
    """A closet, a floor or a site: ``switches`` (inventory names) with all their ports, ``ports`` (switch and interface) of others,
    the ``places`` within it, and for wireless clients ``sites`` (site tags) and ``access_point_groups`` (policy tags)."""

    id: str
    switches: tuple[str, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()
    places: tuple[str, ...] = ()
    description: str = ""
    location: Location = Location()
    sites: tuple[str, ...] = ()
    access_point_groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A device in a segment as the committed lock has it: id (MAC, lower case, colons) and its addresses.

    ``switch`` and ``interface`` say where it is attached, empty where unknown. A wireless client has its controller as ``switch``, no
    interface, and ``site`` and ``access_point_group`` (site tag and policy tag of its access point).
    """

    device: str
    addresses: tuple[str, ...]
    name: str = ""
    switch: str = ""
    interface: str = ""
    site: str = ""
    access_point_group: str = ""


def kept_of_members(site: Site) -> dict[Any, Any]:
    """Return what was found about a membership alone, by what it is; other situations with it take that over (``effective_site``)."""
    found: dict[Any, Any] = site.__dict__.setdefault("_of_members", {})
    return found


@dataclass(frozen=True)
class Site:
    """A whole policy directory. Mappings are keyed by name and ordered by it.

    ``as_of`` is the day for which it was loaded: it decides what has expired where a Situation names no day.
    ``paths`` is the key of enforcement.yml as written: what points and membership do not say about the way of a conversation
    (``enforce/paths.py``).
    """

    name: str
    time_zone: str
    zones: Mapping[str, Zone]
    conduits: tuple[Conduit, ...]
    services: Mapping[str, Service]
    networks: Mapping[str, NetworkSet]
    segments: Mapping[str, Segment]
    guardrails: tuple[Guardrail, ...]
    expectations: tuple[Expectation, ...]
    workflows: tuple[Workflow, ...]
    points: Mapping[str, EnforcementPoint]
    assignments: Mapping[str, Assignment]
    members: Mapping[str, tuple[Member, ...]]
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    learning: Mapping[str, Any] = field(default_factory=dict, hash=False)
    budgets: Mapping[str, Any] = field(default_factory=dict, hash=False)
    members_location: Location = Location()
    rings: tuple[Ring, ...] = ()
    location: Location = Location()
    defaults_location: Location = Location()
    exceptions: tuple[AccessException, ...] = ()
    postures: Mapping[str, Posture] = field(default_factory=dict, hash=False)
    templates: Mapping[str, Template] = field(default_factory=dict, hash=False)
    used_templates: frozenset[str] = frozenset()
    as_of: date | None = None
    switches: Mapping[str, SwitchHardware] = field(default_factory=dict, hash=False)
    paths: Mapping[str, Any] = field(default_factory=dict, hash=False)
    paths_location: Location = Location()
    approvers: Approvers | None = None
    calendar: Calendar | None = None
    promotion: Mapping[str, Any] = field(default_factory=dict, hash=False)
    places: Mapping[str, Place] = field(default_factory=dict, hash=False)
    cells: tuple[CellStage, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        """Return every rule of every segment, by segment name and position, and then those of network sets likewise."""
        found: tuple[Rule, ...] | None = self.__dict__.get("_rules")
        if found is None:
            own = (rule for name in sorted(self.segments) for rule in self.segments[name].allow)
            found = (*own, *(rule for name in sorted(self.networks) for rule in self.networks[name].allow))
            self.__dict__["_rules"] = found  # many ask, and a site does not change
        return found
