# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a list costs, and how much of a platform's limits it takes (facts/devices.md sections 4.1 and 4.2).

The limits are data, one file a platform class: ``platform_limits``. A range of ports takes an operator register, or falls into aligned
power-of-two blocks of hardware entries where there is none left; the count of hardware entries here is the expanded one,
the worst that can come. Lists of addresses and ports multiply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.nftables import comment_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.platform_limits import (
    COMPARED,
    PlatformLimits,
    names,
    platform_limits,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import render_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, prefixes
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import MaskedSet

WARN_SHARE = 0.8  # headroom for the old list beside the new one, and for what other features take
TCP, UDP = 6, 17
# What all lists of a device share, so that the list it replaces counts until it is gone.
SHARED = frozenset({"hardware_entries", "ipv6_hardware_entries", "tcp_operators", "udp_operators"})
# Beyond these an entry is expanded, which hardware_entries counts already: no error.
EXPANDS = frozenset({"operators", "ipv6_operators"})
# RFC 2865: header 20; RFC 3579: Message-Authenticator 18. A vendor attribute adds 8 bytes to "ip:inacl#N=" and the line.
_RADIUS_HEAD, _ATTRIBUTE_HEAD = 38, 8
_WHOLE = IntervalSet.of((0, 65535))

Register = tuple[int, int, str, str]  # family, protocol, side, operator with operands


def budget_names() -> tuple[str, ...]:
    """Return the names that ``check_budget`` takes."""
    return names()


@dataclass(frozen=True)
class Cost:
    """``entries``: lines; ``bytes``: of the text; ``line_bytes``: of the longest line; ``hardware_entries``: with every range
    in aligned blocks, IPv6 counted twice; ``compact_entries``: the same with a register for each range; ``tcp_operators``,
    ``udp_operators``: distinct registers for gt, lt, neq and range (``eq`` needs none); ``radius_packets``: at least so many
    answers of ISE carry the list (0: not a DACL)."""

    entries: int
    bytes: int
    hardware_entries: int
    tcp_operators: int
    udp_operators: int
    compact_entries: int = 0
    line_bytes: int = 0
    radius_packets: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Share:
    """One limit and what the list takes of it.

    ``used``: by this list; ``in_use``: by the device before it; ``free``: what is left; ``with_old``: used, in use and the old
    list together, as during a swap (0 where the limit is one of a single list).
    """

    figure: str
    meaning: str
    limit: int
    used: int
    in_use: int
    free: int
    with_old: int
    fits_with_old: bool
    confidence: str
    source: str


@dataclass(frozen=True)
class BudgetCheck:
    """A list held against a platform class."""

    limits: PlatformLimits
    cost: Cost
    shares: tuple[Share, ...]
    findings: tuple[Finding, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return name, title, note and figures as plain values."""
        return {
            "name": self.limits.name, "title": self.limits.title, "note": self.limits.note,
            "figures": [asdict(share) for share in self.shares],
        }  # fmt: skip


def hardware_blocks(ace: Ace, ipv6_factor: int = 2, registers_for_ranges: bool = False) -> int:
    """Return the hardware entries of one entry: addresses x ports x ports x messages, in aligned blocks.

    ``registers_for_ranges``: a range of ports is one entry, since an operator register compares it.
    """
    blocks = 1
    for ports in (ace.source_ports, ace.destination_ports):
        if ports is not None:
            blocks *= _operands(ports) if registers_for_ranges else sum(1 for _block in prefixes(ports.pairs, 16))
    width = 128 if ace.family == 6 else 32
    for addresses in (ace.source, ace.destination):
        if addresses is not None:
            blocks *= _address_blocks(addresses, width)
    if ace.detail is not None and ace.protocol != TCP:
        blocks *= sum(1 for _block in prefixes(ace.detail.pairs, 16))
    return blocks * (ipv6_factor if ace.family == 6 else 1)


def _address_blocks(addresses: IntervalSet, width: int) -> int:
    """Return the value and mask pairs of a set: one for a wildcard mask even with holes, since a TCAM compares any bits."""
    if isinstance(addresses, MaskedSet):
        return 1 if addresses.wildcard() is not None else sum(1 for _block in prefixes(addresses.within, width))
    if len(addresses.pairs) > 1 and addresses.wildcard() is not None:
        return 1
    return sum(1 for _block in prefixes(addresses.pairs, width))


def _operands(ports: IntervalSet) -> int:
    return 1 if _WHOLE.subtract(ports).size == 1 else len(ports.pairs)


def registers(ace: Ace, range_cost: int = 1) -> dict[Register, int]:
    """Return the operator registers of an entry with what each costs; the same operator, operand and side counts once."""
    found: dict[Register, int] = {}
    for side, ports in (("source", ace.source_ports), ("destination", ace.destination_ports)):
        if ports is not None and ace.protocol is not None:
            for text, cost in _operators(ports, range_cost):
                found[ace.family, ace.protocol, side, text] = cost
    return found


def _operators(ports: IntervalSet, range_cost: int) -> list[tuple[str, int]]:
    missing = _WHOLE.subtract(ports)
    if missing.size == 1 and len(ports.pairs) == 2:
        return [(f"neq {missing.pairs[0][0]}", 1)]
    found = []
    for low, high in ports.pairs:
        if low != high and (low, high) != (0, 65535):
            one_sided = low == 0 or high == 65535
            found.append((f"{low}-{high}", 1 if one_sided else range_cost))
    return found


def _registers_of(aces: Iterable[Ace], range_cost: int) -> dict[Register, int]:
    return {key: cost for ace in aces for key, cost in registers(ace, range_cost).items()}


def _count(found: dict[Register, int], protocol: int = -1, family: int = -1) -> int:
    """Return the registers of a protocol; TCP and UDP registers are not told apart by family."""
    distinct = {
        (number, side, text): cost
        for (version, number, side, text), cost in found.items()
        if protocol in (-1, number) and family in (-1, version)
    }
    return sum(distinct.values())


def cost_of(platform: str, aces: Sequence[Ace], range_cost: int = 1, ipv6_factor: int = 2) -> Cost:
    """Return what the entries cost when rendered for the platform, without an added end."""
    options: dict[str, Any] = {"end": ""}
    if platform == "nftables":  # only the stateless form has entries for later fragments
        options = {"stateful": not any(ace.fragments for ace in aces)}
    lines = [line for line, _ace in render_lines(platform, aces, **options)]
    found = _registers_of(aces, range_cost)
    sizes = [len(line.encode()) for line in lines]
    return Cost(
        entries=len(lines),
        bytes=max(0, sum(sizes) + len(sizes) - 1),
        hardware_entries=sum(hardware_blocks(ace, ipv6_factor) for ace in aces),
        tcp_operators=_count(found, TCP),
        udp_operators=_count(found, UDP),
        compact_entries=sum(hardware_blocks(ace, ipv6_factor, True) for ace in aces),
        line_bytes=max(sizes, default=0),
        radius_packets=_radius_packets(sizes) if platform == "dacl" else 0,
    )


def radius_packets(lines: Iterable[str]) -> int:
    """Return the least number of Access-Accept packets that carry a DACL with these lines."""
    return _radius_packets([len(line.encode()) for line in lines])


def _radius_packets(sizes: Sequence[int], packet: int = 4096) -> int:
    """Return the least number of Access-Accept packets for lines of these sizes (facts/devices.md section 1.4)."""
    packets, left = 0, 0
    for place, size in enumerate(sizes, 1):
        need = _ATTRIBUTE_HEAD + len(f"ip:inacl#{place}=") + size
        if need > left:
            packets, left = packets + 1, packet - _RADIUS_HEAD
        left -= need
    return packets


def check_budget(
    platform: str,
    aces: Sequence[Ace],
    name: str,
    *,
    list_name: str = "",
    old: Sequence[Ace] = (),
    in_use: int = 0,
    copies: int = 1,
) -> BudgetCheck:
    """Return what the list takes of a platform class.

    ``old``: the list that it replaces, which stays until the new one is in force; ``in_use``: hardware entries of everything
    else on the device (0: the class's figure for an idle one); ``copies``: how often the
    list is programmed, for a DACL the sessions on one ASIC. Findings: SW1209 above 80 percent of a limit (an error above it),
    SW1241 where old and new do not fit side by side, SW1242 for a class of another syntax. Raises FindingError SW1212 for a
    name that is not known.
    """
    limits = platform_limits(name)
    factor, range_cost = limits.value("ipv6_factor", 2), limits.value("range_cost", 1)
    cost = cost_of(platform, aces, range_cost, factor)
    new, before = (_figures(limits, part, copies) for part in (aces, old))
    new |= {"entries": cost.entries, "bytes": cost.bytes, "line_bytes": cost.line_bytes, "name_length": len(list_name)}
    new["comment_bytes"] = max((len(comment_text(ace.label)) for ace in aces), default=0)
    both = _count_both(limits, aces, old)
    shares = []
    for figure, limit in limits.limits.items():
        if figure not in COMPARED:
            continue
        base = (in_use or limits.value("idle_entries")) if figure.endswith("hardware_entries") else 0
        with_old = base + new[figure] + before[figure] if figure in SHARED else 0
        with_old = both.get(figure, with_old)
        shares.append(Share(
            figure, COMPARED[figure], limit.value, new[figure], base, limit.value - base - new[figure], with_old,
            with_old <= limit.value, limit.confidence, limit.source,
        ))  # fmt: skip
    findings = [finding for share in shares for finding in _findings(share, limits)]
    if platform not in limits.platforms:
        findings.append(codes.OTHER_BUDGET.at(f"{limits.name} takes {', '.join(limits.platforms)}, not {platform}"))
    return BudgetCheck(limits, cost, tuple(shares), tuple(findings))


def _figures(limits: PlatformLimits, aces: Sequence[Ace], copies: int) -> dict[str, int]:
    """Return the figures that count hardware, by the class's rules."""
    factor = limits.value("ipv6_factor", 2)
    apart = "ipv6_hardware_entries" in limits.limits
    four, six = (
        copies * sum(hardware_blocks(ace, factor) for ace in aces if (ace.family == 6) is ipv6)
        for ipv6 in (False, True)
    )
    found = _registers_of(aces, limits.value("range_cost", 1))
    ipv6 = _count(found, family=6)
    return {
        "hardware_entries": four if apart else four + six,
        "ipv6_hardware_entries": six,
        "tcp_operators": _count(found, TCP),
        "udp_operators": _count(found, UDP),
        "operators": _count(found) - (ipv6 if "ipv6_operators" in limits.limits else 0),
        "ipv6_operators": ipv6,
    }


def _count_both(limits: PlatformLimits, aces: Sequence[Ace], old: Sequence[Ace]) -> dict[str, int]:
    """Return the registers of both lists together: an operator that stands in both counts once."""
    found = _registers_of([*aces, *old], limits.value("range_cost", 1))
    return {"tcp_operators": _count(found, TCP), "udp_operators": _count(found, UDP)}


def _findings(share: Share, limits: PlatformLimits) -> Iterable[Finding]:
    total = share.in_use + share.used
    words = share.figure.replace("_", " ")
    if total > WARN_SHARE * share.limit:
        before = f" with {share.in_use} in use" if share.in_use else ""
        text = f"{share.used} {words}{before} of {share.limit} in the budget {limits.name}"
        if share.figure in EXPANDS and total > share.limit:
            text += "; entries beyond it are expanded, which hardware entries count already"
        finding = codes.OVER_BUDGET.at(text)
        yield finding.with_severity("error") if total > share.limit and share.figure not in EXPANDS else finding
    if total <= share.limit < share.with_old:
        yield codes.NO_ROOM_TO_SWAP.at(
            f"{share.with_old} {words} of {share.limit} in the budget {limits.name} while old and new list stand side by side"
        )
