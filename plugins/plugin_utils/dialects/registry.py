# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The syntaxes by name: text to lists, entries to text, and the proof that one undoes the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import (
    asa,
    codes,
    dacl,
    ios,
    nftables,
    nxos,
    sgacl,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace

PLATFORMS = ("dacl", "sgacl", "ios", "ios_ipv6", "nxos", "asa", "nftables")


def check_platform(platform: str) -> None:
    """Raise FindingError SW1201 for a name that is not known."""
    if platform not in PLATFORMS:
        raise FindingError(codes.UNKNOWN_PLATFORM.at(f"platform {platform!r} is not one of {', '.join(PLATFORMS)}"))


def parse(platform: str, text: str, **options: Any) -> list[ParsedAcl]:
    """Return the lists in a text of the platform. Never guesses: what is not understood is in ``opaque`` of its list.

    Options: ``family`` (sgacl: 4, 6 or 0 for both), ``name`` (dacl, sgacl). Raises FindingError SW1201, SW1207.
    """
    check_platform(platform)
    if platform == "dacl":
        return dacl.parse(text, **options)
    if platform == "sgacl":
        return sgacl.parse(text, **options)
    if platform == "nftables":
        return nftables.parse(text, **options)
    if platform == "nxos":
        return nxos.parse(text)
    if platform == "asa":
        return asa.parse(text)
    return ios.parse(text) if platform == "ios" else ios.parse_ipv6(text)


def parse_one(platform: str, text: str, name: str = "") -> ParsedAcl:
    """Return the one list in a text, or the one of that name; FindingError SW1205 for none, SW1206 for several.

    A list without a name (the content of an ISE object, entries alone) is the one meant, whatever ``name`` says.
    """
    found = parse(platform, text)
    shown = ", ".join(item.name for item in found[:10]) + (", ..." if len(found) > 10 else "")
    if name and any(item.name for item in found):
        named = [item for item in found if item.name == name]
        if not named:
            raise FindingError(codes.NO_LIST.at(f"no {platform} access list {name} in the text, which holds {shown}"))
        found = named
    if not found:
        raise FindingError(codes.NO_LIST.at(f"no {platform} access list{' ' + name if name else ''} in the text"))
    if len(found) > 1:
        raise FindingError(codes.SEVERAL_LISTS.at(f"{len(found)} lists in the text: {shown}"))
    return found[0]


def render(platform: str, name: str, aces: Sequence[Ace], **options: Any) -> str:
    """Return the text of a list. Options: see ``render`` of the dialect (``end``, ``remarks``, ``numbers``, ...).

    Raises FindingError SW1201, SW1204 (an entry cannot be said), SW1207, and ValueError for an unsafe name.
    """
    check_platform(platform)
    if platform == "dacl":
        return dacl.render(name, aces, **options)
    if platform == "sgacl":
        return sgacl.render(name, aces, **options)
    if platform == "nftables":
        return nftables.render(name, aces, **options)
    if platform == "nxos":
        return nxos.render(name, aces, **options)
    if platform == "asa":
        return asa.render(name, aces, **options)
    return ios.render(name, aces, 6 if platform == "ios_ipv6" else 4, **options)


def render_lines(platform: str, aces: Sequence[Ace], **options: Any) -> list[tuple[str, Ace]]:
    """Return each rendered line without number and header, with the entry (and so the rule) that it comes from."""
    check_platform(platform)
    if platform == "dacl":
        return dacl.lines(aces, **options)
    if platform == "sgacl":
        return sgacl.lines(aces, **options)
    if platform == "nftables":
        return nftables.lines(aces, **options)
    if platform == "nxos":
        return nxos.lines(aces, **options)
    if platform == "asa":
        return asa.lines(aces, **options)
    return ios.lines(aces, 6 if platform == "ios_ipv6" else 4, **options)


def round_trip(platform: str, text: str) -> bool:
    """Return whether every list in the text is understood whole and, written anew, reads back to the same meaning.

    The meaning is compared for all packets, not line by line. False where a line is opaque or there is no list.
    """
    found = parse(platform, text)
    return bool(found) and all(list_round_trip(platform, item) for item in found)


def list_round_trip(platform: str, source: ParsedAcl) -> bool:
    """Return whether one list is understood whole and its rendering has the same meaning."""
    if source.opaque:
        return False
    writer = {
        "extended": "ios",
        "standard": "ios",
        "ipv6": "ios_ipv6",
        "sgacl_ipv6": "sgacl",
        "nxos_ipv6": "nxos",
        "asa_standard": "asa",
        "asa_advanced": "asa",
    }.get(source.kind, source.kind)
    try:
        if writer == "nftables":
            text = nftables.render(
                source.name or "list",
                source.aces,
                policy="accept" if source.default_permit else "drop",
                stateful=source.attributes.get("stateful", True),
            )
            again = parse("nftables", text)
        elif writer == "sgacl":
            family = source.aces[0].family if source.aces else 0
            again = parse("sgacl", render("sgacl", "list", source.aces), family=family)
        elif writer == "dacl":
            again = parse("dacl", render("dacl", "list", source.aces, end=""))
        elif writer in ("ios", "ios_ipv6"):
            again = parse(writer, render(writer, "list", source.aces, end="", groups=True))
        else:
            again = parse(writer, render(writer, "list", source.aces, end=""))
    except FindingError:
        return False
    if len(again) != 1 or again[0].opaque:
        return False
    return compare(source.first_match(), again[0].first_match(), PacketSpace()).equal
