# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a device type's traffic a policy learnt from other captures of the type covers; prints tables.

Real set-up captures (iot-sentinel), each by itself through the real import. Of each type with two captures or more each in turn is the
test, and the others are what was learnt. A conversation that the device opens counts once by end, protocol and port. The end is an address
of the local network, a group, or outside by the name that a DNS answer of the capture gave it, else by its address. What is missed has a
class:

``cloud address``: name and port, or only the port of an address without name, are known, the address is not; rules by name cover it.
``user``: another device of the local network, as a telephone with the maker's application.
``set-up only``: name or port came in no other set-up.

MUD profiles of UNSW stand beside what was seen of the same, or the same maker's, type: how much of it they declare.

    SEGWRIGHT_CORPORA=DIR python -m tests.corpora.device_types
"""

from __future__ import annotations

import ipaddress
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import names as flow_names
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.address import text_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from tests.conftest import corpora_directory

CAPTURE = re.compile(r"(.+)-Setup-[A-Z]-\d+-STA")
LOCAL, GROUP, OUTSIDE = "local", "group", "outside"
# Types of which UNSW has a profile, and whether it is of the very type or of another of the maker.
PROFILES = {
    "TP-LinkPlugHS100": ("tplinkplugMud.json", True),
    "TP-LinkPlugHS110": ("tplinkplugMud.json", True),
    "WeMoSwitch": ("wemomotionMud.json", False),
    "WeMoSwitch2": ("wemomotionMud.json", False),
    "WeMoInsightSwitch": ("wemomotionMud.json", False),
    "Withings": ("withingsbabymonitorMud.json", False),
}


@dataclass(frozen=True)
class Seen:
    """One conversation that a device opened: kind of the other end, its address, its name or empty text, protocol, port."""

    kind: str
    address: str
    name: str
    protocol: int
    port: int

    @property
    def by_name(self) -> tuple[str, str, int, int]:
        """Return what a rule by name would say: local ends and groups by their kind."""
        end = self.name or self.address if self.kind == OUTSIDE else self.address if self.kind == GROUP else LOCAL
        return self.kind, end, self.protocol, self.port


def captures(corpora: Path) -> dict[str, list[Path]]:
    """Return the captures of each device type, in order."""
    made: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((corpora / "flow-data" / "iot-sentinel").glob("*.pcap")):
        found = CAPTURE.match(path.stem)
        if found:
            made[found[1]].append(path)
    return dict(made)


def opened(path: Path) -> set[Seen]:
    """Return what the device of a capture opened: it is the unicast client with most conversations."""
    with tempfile.TemporaryDirectory() as folder:
        ingest([path], folder)
        rows = store.connections(folder).to_pylist()
        named = _names(Path(folder))
    clients = Counter(
        (row["client_hi"], row["client_lo"])
        for row in rows
        if not ipaddress.ip_address(text_of(row["client_hi"], row["client_lo"])).is_unspecified
    )
    if not clients:
        return set()
    device = {most for most, _count in clients.most_common(1)}
    made = set()
    for row in rows:
        if (row["client_hi"], row["client_lo"]) not in device:
            continue
        address = text_of(row["server_hi"], row["server_lo"])
        kind = (
            GROUP
            if row["class"] in ("multicast", "broadcast")
            else LOCAL
            if ipaddress.ip_address(address).is_private
            else OUTSIDE
        )
        made.add(Seen(kind, address, named.get(address, ""), row["protocol"], row["server_port"]))
    return made


def _names(folder: Path) -> dict[str, str]:
    made: dict[str, str] = {}
    for row in sorted(flow_names.intervals(folder).to_pylist(), key=lambda each: each["from_us"]):
        made.setdefault(text_of(row["address_hi"], row["address_lo"]), row["name"])
    return made


@dataclass
class Result:
    """Of one type: captures, conversations of all tests, covered by address and by name, misses by class."""

    kind: str
    captures: int
    conversations: int = 0
    by_address: int = 0
    by_name: int = 0
    missed: Counter[str] | None = None


def leave_one_out(kind: str, sets: Sequence[set[Seen]]) -> Result:
    """Return what a policy of the other captures covers of each."""
    made = Result(kind, len(sets), missed=Counter())
    assert made.missed is not None
    for place, test in enumerate(sets):
        learnt = {each for other, own in enumerate(sets) if other != place for each in own}
        names = {each.by_name for each in learnt}
        ports = {(each.protocol, each.port) for each in learnt if each.kind == OUTSIDE and not each.name}
        for each in test:
            made.conversations += 1
            made.by_address += each in learnt
            made.by_name += each.by_name in names
            if each in learnt:
                continue
            if each.by_name in names or (
                each.kind == OUTSIDE and not each.name and (each.protocol, each.port) in ports
            ):
                made.missed["user" if each.kind == LOCAL else "cloud address"] += 1
            else:
                made.missed["user" if each.kind == LOCAL else "set-up only"] += 1
    return made


def declared(path: Path) -> set[tuple[str, int, int]]:
    """Return (name or kind of end, protocol, port; 0 for any) of what a MUD profile lets a device open."""
    document = json.loads(path.read_text(encoding="utf-8"))
    lists = document["ietf-access-control-list:access-lists"]["acl"]
    wanted = {each["name"] for each in document["ietf-mud:mud"]["from-device-policy"]["access-lists"]["access-list"]}
    made = set()
    for each in lists:
        for entry in each["aces"]["ace"] if each["name"] in wanted else ():
            matches = entry["matches"]
            layer = matches.get("ipv4") or matches.get("ipv6") or {}
            end = layer.get("ietf-acldns:dst-dnsname") or (
                "local" if "ietf-mud:mud" in matches else layer.get("destination-ipv4-network", "")
            )
            ports = (matches.get("tcp") or matches.get("udp") or {}).get("destination-port") or {}
            made.add((str(end), int(layer.get("protocol", 0)), int(ports.get("port", 0))))
    return made


def against_profile(seen: set[Seen], profile: set[tuple[str, int, int]]) -> tuple[int, int, int]:
    """Return (conversations with a unicast end, declared with their end, declared by protocol and port at least)."""
    unicast = {each.by_name for each in seen if each.kind != GROUP}
    services = {(protocol, port) for _end, protocol, port in profile}
    with_end = sum(
        any(
            (protocol, port) == (of, at) and (end in (name, LOCAL) if kind == LOCAL else end == name)
            for end, of, at in profile
        )
        for kind, name, protocol, port in unicast
    )
    return len(unicast), with_end, sum((protocol, port) in services for _kind, _name, protocol, port in unicast)


def tables(corpora: Path) -> tuple[list[Result], list[dict[str, Any]]]:
    """Return the results of each type with two captures or more, and of each type beside its profile."""
    sets = {kind: [opened(path) for path in paths] for kind, paths in captures(corpora).items()}
    results = [leave_one_out(kind, own) for kind, own in sets.items() if len(own) > 1]
    profiles = []
    for kind, (name, same) in PROFILES.items():
        path = corpora / "policy-corpora" / "mud-unsw-via-nist" / name
        if kind in sets and path.is_file():
            count, with_end, by_service = against_profile(set().union(*sets[kind]), declared(path))
            profiles.append(
                {
                    "type": kind,
                    "profile": name,
                    "same": same,
                    "seen": count,
                    "declared": with_end,
                    "by_service": by_service,
                }
            )
    return results, profiles


def markdown(results: Sequence[Result], profiles: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return both tables as lines of Markdown."""
    lines = [
        "| type | captures | conversations tested | covered by address | covered by name | cloud address | user | set-up only |"
    ]
    lines.append("| --- |" + " --- |" * 7)
    total: Counter[str] = Counter()
    for each in results:
        missed = each.missed or Counter()
        counts = {"conversations": each.conversations, "by_address": each.by_address, "by_name": each.by_name, **missed}
        total.update(counts)
        lines.append(_line(each.kind, each.captures, Counter(counts)))
    lines.append(_line("all", sum(each.captures for each in results), total))
    lines += [
        "",
        "| type | profile | of the same type | unicast conversations seen | declared, end and service | declared, service |",
    ]
    lines.append("| --- |" + " --- |" * 5)
    for row in profiles:
        same = "yes" if row["same"] else "no, the maker's"
        lines.append(
            f"| {row['type']} | {row['profile']} | {same} | {row['seen']} | {row['declared']} | {row['by_service']} |"
        )
    return lines


def _line(kind: str, number: int, counts: Counter[str]) -> str:
    whole = max(1, counts["conversations"])
    shares = [f"{100 * counts[name] / whole:.0f} %" for name in ("by_address", "by_name")]
    missed = [str(counts[name]) for name in ("cloud address", "user", "set-up only")]
    return f"| {kind} | {number} | {counts['conversations']} | " + " | ".join([*shares, *missed]) + " |"


if __name__ == "__main__":
    print("\n".join(markdown(*tables(corpora_directory()))))
