# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own nftables table: one chain on the forward hook (facts/devices.md section 1.8), in one of two forms.

*Stateful*, chain ``sw_forward``: the list is about new connections, since replies pass by ``ct state established,related accept``,
which stands first. Connection tracking puts fragments together, so a layer-4 entry needs no rule for them.
*Stateless*, chain ``sw_stateless``: every packet is decided alone. A later fragment has no layer-4 header, yet the kernel compares
whatever bytes stand there (seen with nft 1.0.6 on Linux 6.18), so such fragments go to a chain ``sw_later`` of their own first,
which holds the entries without ports, flags and messages.
Only the forms written here are read back; any other rule, chain, set or map makes the list opaque. Compare lists by meaning: nft
reorders sets and prints names.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER, safe_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes, nft_json, nft_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import NotUnderstood
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_text import checked_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.ios import catches_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nft_rule import (
    LATER_CHAIN,
    STATELESS_CHAIN,
    TO_LATER,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes

CHAIN = "sw_forward"  # prefixed: "forward" and "fwd" are words of the language
# The kernel cuts prefixes at 127 characters.
LOG_LABEL_BYTES = 80
COMMENT_BYTES = 120
_PORT_WORDS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
_FLAG_MASK = "(fin | syn | rst | psh | ack | urg)"


def render(
    name: str,
    aces: Sequence[Ace],
    *,
    policy: str = "",
    replace: bool = True,
    counters: bool = True,
    stateful: bool = True,
) -> str:
    """Return a file for ``nft -f`` that makes the table ``inet NAME`` hold exactly this list, in one transaction.

    ``policy``: ``accept`` or ``drop``, what happens where no entry matches (default: drop, unless the last entry permits
    everything of both families). ``replace`` deletes an older table of the name first; no other table is touched. ``stateful``
    False writes the form without connection tracking. Raises ValueError for an unsafe name, FindingError SW1204 for what the
    form cannot say.
    """
    safe_name(name, IDENTIFIER)
    # A last entry of one family alone says nothing about the other, so the chain may not accept what is left.
    open_end = bool(aces) and aces[-1].permit and aces[-1].family == 0 and catches_all(aces[-1])
    policy = policy or ("accept" if open_end else "drop")
    if policy not in ("accept", "drop"):
        raise ValueError(f"unknown policy {policy!r}")
    head = [f"table inet {name}", f"delete table inet {name}"] if replace else []
    hook = f"type filter hook forward priority filter; policy {policy};"
    if stateful:
        tracked = ["ct state established,related accept"] + (["ct state invalid drop"] if policy == "drop" else [])
        chains = _chain(CHAIN, [hook, *tracked, *(line for line, _ace in lines(aces, counters))])
    else:
        later, whole = ([line for line, _ace in part] for part in _stateless(aces, counters))
        chains = [*_chain(LATER_CHAIN, later), *_chain(STATELESS_CHAIN, [hook, *TO_LATER, *whole])]
    return "\n".join([*head, f"table inet {name} {{", *chains, "}", ""])


def _chain(name: str, rules: Sequence[str]) -> list[str]:
    return [f"\tchain {name} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]


def lines(aces: Sequence[Ace], counters: bool = True, stateful: bool = True) -> list[tuple[str, Ace]]:
    """Return each rule with the entry it comes from. Sets carry several prefixes and ports, so most entries are one rule."""
    if stateful:
        return _rules(aces, counters, True)
    later, whole = _stateless(aces, counters)
    return [*later, *whole]


def _stateless(aces: Sequence[Ace], counters: bool) -> tuple[list[tuple[str, Ace]], list[tuple[str, Ace]]]:
    """Return the rules for later fragments, up to one that decides all of them, and those for other packets."""
    later: list[Ace] = []
    for ace in aces:
        if ace.fragments and ace.layer4:
            raise _cannot(ace, "a later fragment has no layer-4 header to look at")
        if not ace.layer4:
            later.append(dataclasses.replace(ace, fragments=False))
            if ace.family == 0 and catches_all(later[-1]):
                break
    return _rules(later, counters, False), _rules([ace for ace in aces if not ace.fragments], counters, False)


def _rules(aces: Sequence[Ace], counters: bool, stateful: bool) -> list[tuple[str, Ace]]:
    result = []
    for ace in aces:
        for matches in _variants(ace, stateful):
            words = list(matches)
            if ace.log:
                words.append(f'log prefix "{log_prefix(ace)}"')
            if counters:
                words.append("counter")
            words.append("accept" if ace.permit else "drop")
            comment = comment_text(ace.label)
            if comment:
                words.append(f'comment "{comment}"')
            result.append((" ".join(words), ace))
    return result


def log_prefix(ace: Ace) -> str:
    """Return the prefix of a rule's packets in the kernel's log, which says whether they were dropped, and for those by which entry.

    The label of an entry that accepts is left out: a word in it must not make a denial of what passed.
    """
    if ace.permit:
        return "segwright accept: "
    label = comment_text(ace.label)[:LOG_LABEL_BYTES].strip()
    return f"segwright drop {label}: " if label else "segwright drop: "


_UNFIT = re.compile(r'[^ -~]|["\\]')


def comment_text(label: str) -> str:
    """Return a label fit for an nft comment: printable ASCII without quotes and backslashes, at most 120 characters."""
    return _UNFIT.sub("_", label)[:COMMENT_BYTES].strip()


def _cannot(ace: Ace, reason: str) -> FindingError:
    return FindingError(codes.NOT_EXPRESSIBLE.at(f"entry {ace.label or ace.raw or 'without label'}: {reason}"))


def _variants(ace: Ace, stateful: bool) -> list[list[str]]:
    """Return the matches of each rule that the entry needs."""
    if not ace.plain:
        raise _cannot(ace, "the syntax has neither its conditions nor its groups")
    if ace.fragments:
        raise _cannot(ace, "connection tracking puts fragments together before the forward hook")
    if ace.family not in (0, 4, 6) or (ace.family == 0 and (ace.source or ace.destination or ace.protocol in (1, 58))):
        raise _cannot(ace, "it has no address family")
    head = _addresses(ace)
    if not head and ace.family:
        head = [f"meta nfproto ipv{ace.family}"]
    ports = [("sport", ace.source_ports), ("dport", ace.destination_ports)]
    if ace.source_ports is not None or ace.destination_ports is not None:
        word = _PORT_WORDS.get(-1 if ace.protocol is None else ace.protocol)
        if word is None:
            raise _cannot(ace, "its protocol has no ports")
        for side, values in ports:
            if values is not None:
                head.append(f"{word} {side} {_set([_range(low, high) for low, high in values.pairs], ace)}")
    elif ace.protocol in (1, 58) and ace.detail is None:
        # nft lists "meta nfproto ipv4 meta l4proto icmp" without the family, which would mean both when loaded again.
        # The same for IPv6, where a message type would leave later fragments out of a stateless list.
        if ace.family == 4:
            head.append(f"ip protocol {ace.protocol}")
        elif stateful:
            head.append("icmpv6 type 0-255" if ace.protocol == 58 else f"ip6 nexthdr {ace.protocol}")
        else:
            family = [] if head[0].startswith("ip6 ") else ["ip6 saddr ::/0"]
            head = [*family, *(match for match in head if not match.startswith("meta")), f"meta l4proto {ace.protocol}"]
    elif ace.protocol is not None and (ace.detail is None or ace.protocol == 6):
        head.append(f"meta l4proto {ace.protocol}")
    if ace.detail is None:
        return [head]
    if ace.protocol == 6:
        flags = [str(value) for low, high in ace.detail.pairs for value in range(low, min(high, 63) + 1)]
        return [[*head, f"tcp flags & {_FLAG_MASK} == {_set(flags, ace)}"]]
    if ace.protocol == (58 if ace.family == 6 else 1):
        return [head + match for match in _messages(ace)]
    raise _cannot(ace, "its protocol has neither flags nor messages")


def _messages(ace: Ace) -> list[list[str]]:
    if ace.detail is None:
        raise ValueError("an entry without messages has none to write")
    word = "icmpv6" if ace.family == 6 else "icmp"
    whole: list[str] = []
    result: list[list[str]] = []
    for kind in range(256):
        here = ace.detail.intersect(IntervalSet.of((kind << 8, kind << 8 | 255)))
        if here.size == 256:
            whole.append(str(kind))
        elif here:
            codes_here = _set([_range(low & 255, high & 255) for low, high in here.pairs], ace)
            result.append([f"{word} type {kind}", f"{word} code {codes_here}"])
    return ([[f"{word} type {_set(whole, ace)}"]] if whole else []) + result


def _addresses(ace: Ace) -> list[str]:
    word, width = ("ip6", 128) if ace.family == 6 else ("ip", 32)
    result = []
    for side, values in (("saddr", ace.source), ("daddr", ace.destination)):
        if values is None or (not values.masked and values.pairs[:1] == ((0, (1 << width) - 1),)):
            continue
        if not values or values.hull[1] >> width:
            raise _cannot(ace, "its addresses are empty or of the other family")
        masked = values.wildcard() if values.masked else _mask_of(values.pairs) if len(values.pairs) > 1 else None
        if masked is not None:  # a mask with holes: one comparison instead of up to 4,096 ranges
            wanted, mask = (_address(part, width) for part in (masked[0], ((1 << width) - 1) ^ masked[1]))
            result.append(f"{word} {side} & {mask} == {wanted}")
            continue
        if values.masked:
            raise _cannot(ace, "its addresses fall into more than 4,096 ranges that no mask says")
        result.append(f"{word} {side} {_set(_address_words(values.pairs, width), ace)}")
    return result


@lru_cache(maxsize=4096)  # the same addresses stand in every rule of a segment
def _address_words(pairs: tuple[tuple[int, int], ...], width: int) -> list[str]:
    texts = []
    for low, high in pairs:
        blocks = list(prefixes([(low, high)], width))
        first, last = (_address(value, width) for value in (low, high))
        if len(blocks) > 1:
            texts.append(f"{first}-{last}")
        else:
            texts.append(first if blocks[0][1] == width else f"{first}/{blocks[0][1]}")
    return texts


@lru_cache(maxsize=4096)
def _mask_of(pairs: tuple[tuple[int, int], ...]) -> tuple[int, int] | None:
    """Return the one address and mask that mean several ranges, None where there is none."""
    return IntervalSet(pairs).wildcard()


def _address(value: int, width: int) -> str:
    return str(ipaddress.IPv6Address(value) if width == 128 else ipaddress.IPv4Address(value))


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _set(values: list[str], ace: Ace) -> str:
    if not values:
        raise _cannot(ace, "it matches no packet")
    return values[0] if len(values) == 1 else "{ " + ", ".join(values) + " }"


def parse(text: str, name: str = "") -> list[ParsedAcl]:
    """Return the lists in our ruleset text, in ``nft -s list table inet NAME`` or in ``nft -j list table inet NAME``.

    ``name`` limits the result to one table. The list's ``attributes``: ``table``, ``chain``,
    ``policy``, ``stateful``. Raises FindingError
    SW1210 for text that is not a ruleset at all.
    """
    rows = checked_lines(text)
    try:
        if text.lstrip().startswith("{"):
            found = nft_json.read(_loaded(text))
        else:
            found = nft_text.read(rows)
    except NotUnderstood as error:
        raise FindingError(codes.FOREIGN_RULESET.at(f"not an nftables ruleset of this collection: {error}")) from error
    return [item for item in found if not name or item.name == name]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"not JSON: {error}") from error
