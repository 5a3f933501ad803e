"""An independent reader of the vendor-neutral policies of Aerleon and Capirca: filters of terms, as boxes of packets.

Reads ``.pol`` text and the definitions of ``naming.yaml``. Written from the policy language's documentation; no code of a dialect is
used. A keyword that is not listed here raises ``NotExpressibleError``, with the reason.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box, Entry, FirstMatchList

NUMBERS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "icmpv6": 58}
HIGH = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
WORDS = {"comment", "source-address", "destination-address", "address", "protocol", "source-port", "destination-port", "option",
         "action"}  # fmt: skip


class NotExpressibleError(Exception):
    """The term says something that an access list, or this reader, has no word for."""


@dataclass
class Filter:
    """The terms below one header: ``targets`` are (platform, words after it)."""

    targets: list[tuple[str, list[str]]] = field(default_factory=list)
    terms: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)


def filters_of(text: str, includes: Mapping[str, str]) -> list[Filter]:
    """Return the filters of a policy. ``includes``: file name to text."""
    text = re.sub(r"#include '([^']+)'", lambda found: includes[found[1]], text)
    text = "\n".join(line.split("#")[0] if '"' not in line else line for line in text.splitlines())
    found: list[Filter] = []
    for head, name, body in re.findall(r"(header|term)\s*([\w.-]*)\s*\{(.*?)\n\}", text, re.DOTALL):
        said: dict[str, list[str]] = {}
        rows: list[list[str]] = []
        for key, value in re.findall(r"([\w-]+)::\s*([^\n]*)", body):
            said.setdefault(key, []).extend(value.split())
            rows.append([key, *value.split()])
        if head == "header":
            targets = [(row[1], row[2:]) for row in rows if row[0] == "target"]
            found.append(Filter(targets))
        else:
            found[-1].terms.append((name, said))
    return found


class Definitions:
    """Named networks and services."""

    def __init__(self, text: str) -> None:
        self._value: dict[str, Any] = yaml.safe_load(text)

    def networks(self, name: str, family: int) -> list[tuple[int, int]]:
        """Return the ranges of a name in one family, names inside followed."""
        found = []
        for item in self._value["networks"][name]["values"]:
            if "name" in item:
                found += self.networks(item["name"], family)
            elif "address" in item:
                network = ipaddress.ip_network(item["address"], strict=False)
                if network.version == family:
                    found.append((int(network.network_address), int(network.broadcast_address)))
        return found

    def ports(self, name: str, protocol: str) -> list[tuple[int, int]]:
        """Return the ports of a service for one protocol."""
        found = []
        for item in self._value["services"][name]:
            if "name" in item:
                found += self.ports(item["name"], protocol)
            elif item["protocol"] == protocol:
                low, _dash, high = str(item["port"]).partition("-")
                found.append((int(low), int(high or low)))
        return found


def list_of(chosen: Filter, names: Definitions, family: int) -> FirstMatchList:
    """Return the filter in one family as a first-match list over whole packets; an implicit deny ends it."""
    entries = []
    for name, said in chosen.terms:
        boxes = tuple(_boxes(name, said, names, family))
        if boxes:
            entries.append(Entry(said["action"] == ["accept"], boxes, name))
    return FirstMatchList(tuple(entries))


def _boxes(name: str, said: dict[str, list[str]], names: Definitions, family: int) -> list[Box]:
    unknown = set(said) - WORDS
    if unknown or said.get("action") not in (["accept"], ["deny"]):
        raise NotExpressibleError(f"term {name}: {', '.join(sorted(unknown)) or said.get('action')}")
    options = said.get("option", [])
    if set(options) - {"tcp-established"}:
        raise NotExpressibleError(f"term {name}: option {options}")
    base = 256 if family == 6 else 0
    everywhere = IntervalSet.of((0, HIGH[family]))
    box = Box(IntervalSet.of((base, base + 255)), source=everywhere, destination=everywhere, fragment=IntervalSet.of(0))
    for key, side in (("source-address", "source"), ("destination-address", "destination")):
        if key in said:
            ranges = [pair for word in said[key] for pair in names.networks(word, family)]
            if not ranges:
                return []  # names of the other family only: the term says nothing here
            box = box.replace(**{side: IntervalSet.of(*ranges)})
    found = []
    for protocol in said.get("protocol", [""]):
        here = box if not protocol else box.replace(protocol=IntervalSet.of(base + NUMBERS[protocol]))
        for key, side in (("source-port", "source_port"), ("destination-port", "destination_port")):
            if key in said:
                ranges = [pair for word in said[key] for pair in names.ports(word, protocol)]
                here = here.replace(**{side: IntervalSet.of(*ranges)})
        if options:
            acknowledged = IntervalSet.of(*(flags for flags in range(64) if flags & 16 or flags & 4))
            here = here.replace(detail=acknowledged)
        found.append(here)
    return found
