# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a Cisco IOS, DACL or SGACL text as ``Ace`` (grammar: facts/devices.md section 1.1, facts/ise.md 3 and 4).

Strict: a word that is not known, or stands where it may not, raises ``NotUnderstood``. Nothing is skipped or guessed. What is
understood but not modelled becomes a condition of the entry. Written for speed: a running configuration has 60,000 lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import names
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_groups import Groups, Service
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_options import (
    Options,
    message,
    read_options,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_values import (
    NotUnderstood,
    Ports,
    host,
    parse_ipv4,
    parse_ipv6,
    prefix,
    read_ports,
    wildcard,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import PORTS

__all__ = [
    "Bound", "NotUnderstood", "parse_ace", "parse_aces", "parse_ipv4", "parse_ipv6", "parse_standard",
]  # fmt: skip

_NO_GROUPS = Groups()
_NO_OPTIONS = Options()
_UNKNOWN = -1
_GROUP_WORDS = ("object-group", "object", "addrgroup", "fqdn-group", "net-group")
Addresses = IntervalSet | None


@dataclass(frozen=True)
class Bound:
    """What stands beside an entry in its text and belongs to it."""

    remarks: tuple[str, ...] = ()
    sequence: int | None = None
    line: int = 0
    raw: str = ""
    matches: int | None = None
    estimate_matches: int | None = None


_NOTHING = Bound()


def parse_ace(words: Sequence[str], family: int, *, addresses: bool = True, bound: Bound = _NOTHING) -> Ace:
    """Return the entry that the words from ``permit`` or ``deny`` on make.

    ``family`` is 4, 6 or 0 (SGACL for both). ``addresses`` False reads the SGACL form (``src eq``, ``dst eq``). Raises
    NotUnderstood, also for ``neq`` with several ports, which is two entries. Object groups are conditions, since no text defines them
    here.
    """
    found = parse_aces(words, family, addresses, bound=bound)
    if len(found) > 1:
        raise NotUnderstood("neq with several ports: its meaning is not documented")
    return found[0]


def parse_aces(
    words: Sequence[str], family: int, addresses: bool = True, groups: Groups = _NO_GROUPS, bound: Bound = _NOTHING
) -> tuple[Ace, ...]:
    """Return the entries of one line: several where an object group names services of several protocols, or for ``neq`` with several ports.

    Arguments as in ``parse_ace``; ``bound`` is copied into each entry. Raises NotUnderstood.
    """
    low = [word.lower() for word in words]
    low += ("", "", "", "")  # so that a look ahead never leaves the list
    action = low[0]
    if action != "permit" and action != "deny":
        raise NotUnderstood(names.NOT_STATIC.get(action, f"{action!r} is not permit or deny"))
    word = low[1]
    table = names.PROTOCOLS if family != 6 else names.PROTOCOLS_IPV6
    protocol = table.get(word, _UNKNOWN)
    at = 2
    conditions: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    services: tuple[Service, ...] = ()
    if protocol == _UNKNOWN:
        if word == "object-group" or (addresses and groups.has_service(words[1] if word else "")):
            at = 3 if word == "object-group" else 2
            name = _name(words, at - 1)
            used = (("service", name),)
            services, conditions = groups.services(name, family)
            protocol = None
        else:
            protocol = _protocol_number(word, family)
    source: Addresses = None
    destination: Addresses = None
    source_ports: Ports = None
    destination_ports: Ports = None
    listed: tuple[str, ...] = ()
    if addresses:
        if low[at] == "any":
            at += 1
        elif low[at] in _GROUP_WORDS:
            source, more, used, at = _group(low, words, at, family, groups, used, "source")
            conditions += more
        else:
            source, at = _address(low, at, family)
        source_ports, more, at = read_ports(low, words, at, protocol)
        if more:
            conditions, listed = _port_condition("source", more[0], conditions, listed)
        if low[at] == "any":
            at += 1
        elif low[at] in _GROUP_WORDS:
            destination, more, used, at = _group(low, words, at, family, groups, used, "destination")
            conditions += more
        else:
            destination, at = _address(low, at, family)
        destination_ports, more, at = read_ports(low, words, at, protocol)
        if more:
            conditions, listed = _port_condition("destination", more[0], conditions, listed)
    else:
        source_ports, destination_ports, at = _sides(low, words, at, protocol)
    options = _NO_OPTIONS
    detail = None
    if low[at]:
        detail, at = message(low, at, protocol, family)
        if low[at]:
            options = read_options(low, words, at, protocol, family, detail)
            detail = options.detail
            conditions += options.conditions
            if options.fragments and (source_ports or destination_ports or detail or services):
                raise NotUnderstood("fragments with ports, flags or messages: later fragments have none")
    if len(conditions) > 1:
        conditions = tuple(sorted(set(conditions)))
    permit = action == "permit"
    if not services:
        ace = Ace(
            permit, protocol, family, source, destination, source_ports, destination_ports, detail, options.fragments,
            options.log, bound.remarks, bound.sequence, bound.line, bound.raw, conditions=conditions, object_groups=used,
            matches=bound.matches, estimate_matches=bound.estimate_matches,
        )  # fmt: skip
        return (ace, _listed(ace, listed)) if listed else (ace,)
    if detail is not None:
        raise NotUnderstood("flags or messages after an object group of services")
    return tuple(
        Ace(
            permit, service.protocol, family, source, destination, service.source_ports, service.destination_ports,
            service.detail, False, options.log, bound.remarks, bound.sequence, bound.line, bound.raw, conditions=conditions,
            object_groups=used, matches=bound.matches, estimate_matches=bound.estimate_matches,
        )
        for service in services
    )  # fmt: skip


def _port_condition(
    side: str, text: str, conditions: tuple[str, ...], listed: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the conditions of an entry, and of the entry after it, with what ``read_ports`` found on a side."""
    if text.startswith("neq "):
        return conditions, (*listed, f"{side} {text}")
    return (*conditions, f"{side} {text}"), listed


def _listed(ace: Ace, listed: tuple[str, ...]) -> Ace:
    """Return the entry that follows one with ``neq`` and several ports: what the list of ports decides, in whatever way, is a condition."""
    return replace(
        ace,
        source_ports=PORTS if any(text.startswith("source ") for text in listed) else ace.source_ports,
        destination_ports=PORTS if any(text.startswith("destination ") for text in listed) else ace.destination_ports,
        conditions=tuple(sorted({*ace.conditions, *listed})),
    )


def _name(words: Sequence[str], at: int) -> str:
    if at >= len(words):
        raise NotUnderstood("the line ends too early")
    return words[at]


def _protocol_number(word: str, family: int) -> int:
    if word.isdecimal() and word.isascii() and len(word) <= 3 and int(word) <= 255:
        return int(word)
    if not word:
        raise NotUnderstood("the line ends too early")
    if family == 0 and word == "ipv6":
        raise NotUnderstood("'ipv6' in a list for both families")
    if word in names.NOT_STATIC:
        raise NotUnderstood(names.NOT_STATIC[word])
    raise NotUnderstood(f"protocol {word!r} is not understood")


def _group(
    low: list[str],
    words: Sequence[str],
    at: int,
    family: int,
    groups: Groups,
    used: tuple[tuple[str, str], ...],
    side: str,
) -> tuple[Addresses, tuple[str, ...], tuple[tuple[str, str], ...], int]:
    """Return the addresses of an object group, the condition that stands for a group without definition, groups used, place."""
    word = low[at]
    name = _name(words, at + 1)
    if word == "addrgroup":
        return None, (f"{side} addrgroup {name}",), used, at + 2
    if word != "object-group":
        raise NotUnderstood(f"{word!r} is not an IOS word")
    found, conditions = groups.addresses(name, family)
    return found, tuple(f"{side} {text}" for text in conditions), (*used, (side, name)), at + 2


def _address(low: list[str], at: int, family: int) -> tuple[Addresses, int]:
    """Return the addresses and the place after them."""
    word = low[at]
    if word == "host":
        if low[at + 1] == "dynamic":
            raise NotUnderstood("a name that the device resolves: its addresses are not in the text")
        return host(low[at + 1], family), at + 2
    if not word:
        raise NotUnderstood("the line ends too early")
    if family == 6:
        return prefix(word), at + 1
    return wildcard(word, low[at + 1]), at + 2


def _sides(low: list[str], words: Sequence[str], at: int, protocol: int | None) -> tuple[Ports, Ports, int]:
    """Return the ports of a line without addresses, ``src`` and ``dst`` in either order."""
    found: dict[str, Ports] = {}
    while low[at] in ("src", "dst"):
        side = low[at]
        if side in found:
            raise NotUnderstood(f"{side!r} stands twice")
        ports, conditions, end = read_ports(low, words, at + 1, protocol)
        if ports is not None and conditions:
            raise NotUnderstood("neq with several ports: its meaning is not documented")
        if ports is None:
            raise NotUnderstood(f"an operator was expected, not {low[at + 1]!r}")
        found[side], at = ports, end
    return found.get("src"), found.get("dst"), at


def parse_standard(words: Sequence[str], bound: Bound = _NOTHING) -> Ace:
    """Return an entry of a standard list, which looks at the source only; NotUnderstood otherwise."""
    low = [word.lower() for word in words]
    log = len(low) > 1 and low[-1] == "log"
    low = [word.rstrip(",") for word in (low[:-1] if log else low)]
    rest = low[1:]
    if not low or low[0] not in ("permit", "deny"):
        raise NotUnderstood(f"{low[:1]} is not permit or deny")
    source: Addresses
    if rest == ["any"]:
        source = None
    elif len(rest) == 1 or (len(rest) == 2 and rest[0] == "host"):
        source = IntervalSet.single(parse_ipv4(rest[-1]))
    elif len(rest) == 2:
        source = wildcard(rest[0], rest[1])
    elif len(rest) == 4 and rest[1:3] == ["wildcard", "bits"]:
        source = wildcard(rest[0], rest[3])
    else:
        raise NotUnderstood("not an entry of a standard list")
    return Ace(
        permit=low[0] == "permit", source=source, log=log, remarks=bound.remarks, sequence=bound.sequence, line=bound.line,
        raw=bound.raw, matches=bound.matches, estimate_matches=bound.estimate_matches,
    )  # fmt: skip
