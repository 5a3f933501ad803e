# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register: who is who, since when and how sure, made of observations whatever their order.

The MAC is the identity. For each fact the latest word of each source stands; the surest one wins, where sureness halves with each month
that a word is older than the newest word about the device. What lost is kept beside it, and a disagreement of sources is a finding.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, sorted_findings
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import (
    ASSUMED,
    Claim,
    Interval,
    intervals_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    FactValue,
    Observation,
    normal_mac,
)

HALF_LIFE_DAYS = 30.0
DAY_US = 86_400_000_000
IDENTITY = ("endpoint_profile", "endpoint_group", "hostname", "sgt", "oui_vendor", "asset_type", "serial")
# Facts that say what a device is: what a source said before it changed its mind is kept, since the change is an event.
HISTORIC = ("endpoint_profile", "asset_type", "dhcp_class", "lldp_description", "mud_url")
MOST_EARLIER = 8
# Ends the source of a word that was said of an address and came to the device that held it then.
BY_ADDRESS = ":by-address"
PLACE = ("switch", "interface")
NUMBERS = {"sgt": (0, 65535), "vlan": (1, 4094)}
SURE = 0.5
SAME_TIME_US = 600_000_000
LONGEST_TEXT = 255
MOST_TEXTS = 1024


@dataclass(frozen=True, order=True, slots=True)
class Word:
    """What one source says of one fact, and when (microseconds since 1970 UTC)."""

    source: str
    value: FactValue
    time: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact's value, who says so, and what others say; ``earlier`` is what the same sources said before, newest first."""

    value: FactValue
    source: str
    time: int
    confidence: float
    others: tuple[Word, ...] = ()
    earlier: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """Return every source's word, the winner first."""
        return (Word(self.source, self.value, self.time, self.confidence), *self.others)


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its MAC in lower case with colons, facts by name, address intervals in order of address and time."""

    id: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    addresses: tuple[Interval, ...] = ()

    def value(self, name: str) -> FactValue | None:
        """Return a fact's value or None."""
        fact = self.facts.get(name)
        return fact.value if fact else None


@dataclass(frozen=True, slots=True)
class Host:
    """An address of which a source knows no MAC: its facts, and the devices that held it when they were said.

    Without a device it is nobody of whom segments could be made: it may be behind a router, or another device tomorrow.
    """

    address: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Register:
    """Devices by id, addresses without a MAC, and the conflicts found while they were put together."""

    devices: Mapping[str, Device] = field(default_factory=dict)
    conflicts: tuple[Finding, ...] = ()
    hosts: Mapping[str, Host] = field(default_factory=dict)

    @cached_property
    def _by_address(self) -> dict[str, list[Interval]]:
        made: dict[str, list[Interval]] = defaultdict(list)
        for device in self.devices.values():
            for interval in device.addresses:
                made[interval.address].append(interval)
        return made

    def device_of(self, address: str, micros: int) -> str | None:
        """Return the device that held an address at a moment, or None where nobody did or it is contested.

        Raises ValueError for text that is no address.
        """
        found = {
            each.device
            for each in self._by_address.get(normal_address(address), ())
            if each.covers(micros) and not each.contested
        }
        return found.pop() if len(found) == 1 else None

    def intervals(self) -> list[Interval]:
        """Return the intervals of all devices, in order."""
        return sorted(each for device in self.devices.values() for each in device.addresses)


def normal_address(text: str) -> str:
    """Return an address in its usual text, IPv4-mapped ones as IPv4; raises ValueError."""
    parsed = ipaddress.ip_address(text.strip().split("%", maxsplit=1)[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def merge(observations: Iterable[Observation]) -> Register:
    """Return the register that observations make; their order and repetitions do not matter.

    What is said of an address without a MAC comes to the device that held the address at that time, with the confidence of both
    multiplied, where exactly one did; it is kept as a host either way.
    """
    findings: list[Finding] = []
    words: dict[str, dict[str, list[Word]]] = defaultdict(lambda: defaultdict(list))
    claims: dict[str, set[Claim]] = defaultdict(set)
    said: dict[str, dict[str, list[Word]]] = defaultdict(lambda: defaultdict(list))
    for each in observations:
        try:
            mac = normal_mac(each.mac) if each.mac else ""
            if not mac and not each.addresses:
                raise ValueError("neither a MAC address nor an address")
            if not 0 < each.confidence <= 1:
                raise ValueError(f"confidence {each.confidence} is not above 0 and at most 1")
        except (ValueError, AttributeError, TypeError) as error:
            findings.append(codes.OBSERVATION_INVALID.at(f"{each.source or 'a source'}: {error}"))
            continue
        held_claims = [_claim(mac, each, claim, findings) for claim in each.addresses]
        if mac:
            _say(words[mac], each, mac, findings)
            for made in held_claims:
                if made is not None:
                    claims[made[0]].add(made[1])
        else:
            for address in sorted({made[0] for made in held_claims if made is not None}):
                _say(said[address], each, address, findings)
    held: dict[str, list[Interval]] = defaultdict(list)
    at_address: dict[str, list[Interval]] = {}
    for address in sorted(claims):
        made_intervals = intervals_of(address, claims[address])
        if address in said:
            at_address[address] = made_intervals
        for interval in made_intervals:
            held[interval.device].append(interval)
            if interval.contested:
                others = sorted({each.device for each in claims[address]} - {interval.device})
                text = f"{address} is claimed by {interval.device} and {', '.join(others)} at one time"
                findings.append(codes.ADDRESS_CONFLICT.at(text))
        del claims[address]
    hosts = _hosts(said, at_address, words)
    devices = {}
    for mac in sorted(words):
        facts = _facts(words.pop(mac))  # what is settled is let go of
        findings.extend(_conflicts(mac, facts))
        devices[mac] = Device(mac, facts, tuple(sorted(held.pop(mac, ()))))
    return Register(devices, tuple(sorted_findings(findings)), hosts)


def _say(own: dict[str, list[Word]], each: Observation, who: str, findings: list[Finding]) -> None:
    for name, value in each.facts.items():
        if value is None or value == "":
            continue
        checked = _checked(name, value)
        if checked is None:
            findings.append(codes.FACT_INVALID.at(f"{each.source} says {name} of {who} is {str(value)[:80]!r}"))
        else:
            own[name].append(Word(each.source, checked, each.time, each.confidence))


def _hosts(
    said: Mapping[str, dict[str, list[Word]]],
    intervals: Mapping[str, list[Interval]],
    words: dict[str, dict[str, list[Word]]],
) -> dict[str, Host]:
    """Return the hosts, and add to ``words`` what comes from them to devices."""
    hosts = {}
    for address in sorted(said):
        holders = set()
        sure = [each for each in intervals.get(address, ()) if not each.contested]
        for name, own in said[address].items():
            for word in own:
                interval = next((each for each in sure if each.covers(word.time)), None)
                if interval is None or interval.source.startswith(ASSUMED):
                    continue
                holders.add(interval.device)
                confidence = round(word.confidence * interval.confidence, 6)
                words[interval.device][name].append(Word(word.source + BY_ADDRESS, word.value, word.time, confidence))
        hosts[address] = Host(address, _facts(said[address]), tuple(sorted(holders)))
    return hosts


def observations_of(register: Register) -> Iterator[Observation]:
    """Yield observations that make the same register again: what is kept between two collections."""
    for device in register.devices.values():
        for name, fact in device.facts.items():
            for word in (*fact.words, *fact.earlier):
                if not word.source.endswith(BY_ADDRESS):
                    yield Observation(device.id, {name: word.value}, (), word.source, word.time, word.confidence)
        for each in device.addresses:
            if not each.source.startswith(ASSUMED):
                claim = AddressClaim(each.address, each.from_us, each.to_us - 1)
                yield Observation(device.id, {}, (claim,), each.source, each.to_us - 1, each.confidence)
        if not device.facts and not device.addresses:
            yield Observation(device.id)
    for host in register.hosts.values():
        for name, fact in host.facts.items():
            for word in (*fact.words, *fact.earlier):
                yield Observation("", {name: word.value}, (host.address,), word.source, word.time, word.confidence)


def _claim(
    mac: str, observation: Observation, claim: str | AddressClaim, findings: list[Finding]
) -> tuple[str, Claim] | None:
    made = claim if isinstance(claim, AddressClaim) else AddressClaim(claim)
    try:
        address = normal_address(made.address)
        parsed = ipaddress.ip_address(address)
        if parsed.is_unspecified or parsed.is_multicast or parsed.is_loopback or address == "255.255.255.255":
            raise ValueError(f"{address} is not the address of one device")
        since = observation.time if made.since is None else made.since
        until = max(since, observation.time) if made.until is None else made.until
        if until < since:
            raise ValueError(f"{address} is held until before it is held")
    except (ValueError, AttributeError) as error:
        findings.append(codes.ADDRESS_INVALID.at(f"{observation.source} about {mac}: {error}"))
        return None
    return address, Claim(since, until, mac, observation.source, observation.confidence)


def _checked(name: str, value: Any) -> FactValue | None:
    """Return the value in the form it is kept, or None where it cannot be one: it may reach files, pages and policies."""
    if not name.isidentifier() or len(name) > 64:
        return None
    if name in NUMBERS:
        low, high = NUMBERS[name]
        try:
            number = int(value)
        except (TypeError, ValueError):
            return None
        return number if low <= number <= high else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        texts = sorted({str(each) for each in value})
        return tuple(texts) if len(texts) <= MOST_TEXTS and all(_plain(each) for each in texts) else None
    return value if isinstance(value, str) and _plain(value) else None


def _plain(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TEXT and text.isprintable()


def _facts(own: Mapping[str, list[Word]]) -> dict[str, Fact]:
    newest = max((word.time for words in own.values() for word in words), default=0)
    made = {}
    for name in sorted(own):
        latest: dict[str, Word] = {}
        for word in own[name]:
            before = latest.get(word.source)
            if before is None or _recency(word) > _recency(before):
                latest[word.source] = word
        ranked = sorted(
            latest.values(), key=lambda word: (-_weight(word, newest), -word.time, word.source, str(word.value))
        )
        first = ranked[0]
        earlier = _earlier(own[name], latest) if name in HISTORIC and len(own[name]) > 1 else ()
        made[name] = Fact(first.value, first.source, first.time, first.confidence, tuple(ranked[1:]), earlier)
    return made


def _earlier(words: Iterable[Word], latest: Mapping[str, Word]) -> tuple[Word, ...]:
    """Return of each source the newest word for each value that it does not say any more, at most MOST_EARLIER of them.

    What is newest and what is first of an order does not depend on what was dropped before, so merging again changes nothing.
    """
    values: dict[tuple[str, str], Word] = {}
    for word in words:
        key = (word.source, str(word.value))
        before = values.get(key)
        if key[1] != str(latest[word.source].value) and (before is None or _recency(word) > _recency(before)):
            values[key] = word
    made: list[Word] = []
    for source in sorted(latest):
        own = sorted((word for word in values.values() if word.source == source), key=_recency, reverse=True)
        made += own[:MOST_EARLIER]
    return tuple(sorted(made, key=lambda word: (-word.time, word.source, str(word.value))))


def _recency(word: Word) -> tuple[int, float, str]:
    return word.time, word.confidence, str(word.value)


def _weight(word: Word, newest: int) -> float:
    return round(word.confidence * 0.5 ** ((newest - word.time) / DAY_US / HALF_LIFE_DAYS), 6)


def _conflicts(mac: str, facts: Mapping[str, Fact]) -> Iterator[Finding]:
    for name in IDENTITY:
        fact = facts.get(name)
        if fact is None or fact.confidence < SURE:
            continue
        for other in fact.others:
            if other.confidence >= SURE and not _alike(name, fact.value, other.value):
                text = f"{name} of {mac} is {fact.value!r} by {fact.source} and {other.value!r} by {other.source}"
                yield codes.FACT_CONFLICT.at(text)
    switch, interface = facts.get("switch"), facts.get("interface")
    if switch is None or interface is None:
        return
    places = {word.source: [word, None] for word in switch.words}
    for word in interface.words:
        if word.source in places:
            places[word.source][1] = word
    whole = [(a, b) for a, b in places.values() if a is not None and b is not None]
    for i, (one, port) in enumerate(whole):
        for other, other_port in whole[i + 1 :]:
            apart = (one.value, port.value) != (other.value, other_port.value)
            if apart and abs(one.time - other.time) <= SAME_TIME_US and abs(one.confidence - other.confidence) < 0.1:
                text = f"{mac} is at {one.value} {port.value} by {one.source} and at {other.value} {other_port.value} by {other.source}"
                yield codes.PLACE_CONFLICT.at(text)


def _alike(name: str, one: FactValue, other: FactValue) -> bool:
    if name == "hostname":
        # A short name and the same name with its domain are one.
        first, second = (str(each).lower().split(".", maxsplit=1)[0] for each in (one, other))
        return first == second
    return str(one).casefold() == str(other).casefold()
