# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which syntaxes a pasted text shows by its headers, so that a wrong ``platform`` is said instead of a screen of lines not understood.

Only headers count, which stand in one syntax and no other; a text of entries alone shows nothing and is taken as what it is said to be.
"""

from __future__ import annotations

import re

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import codes

LINES = 2000  # headers of a list stand before its entries; a longer text has shown itself by then
_HEADERS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), frozenset(platforms.split()))
    for pattern, platforms in (
        (r"table (?:inet|ip|ip6|arp|bridge|netdev) \S+ ?\{?\Z", "nftables"),
        (r"\{ ?\"nftables\"", "nftables"),
        (r"access-list \S+ (?:line \d+ )?(?:extended|remark|webtype|ethertype)\b", "asa ios"),
        (r"access-list \S+ (?:line \d+ )?extended (?:permit|deny) ", "asa"),
        (r"ip access-list (?:extended|standard|resequence) \S+", "ios"),
        (r"(?:Extended|Standard) IP access list \S+", "ios"),
        (r"access-list \d+ (?:permit|deny|dynamic) ", "ios"),
        (r"ipv6 access-list \S+\Z", "ios ios_ipv6 nxos"),
        (r"IPv6 access list \S+", "ios ios_ipv6 nxos"),
        (r"ip access-list (?!extended |standard |role-based |resequence |persistent|log-update)\S+\Z", "nxos"),
        (r"IP access list \S+\Z", "nxos"),
        (r"(?:IPv6 )?Role-based (?:IP )?access list ", "sgacl ios"),
        (r"ip(?:v6)? access-list role-based \S+", "sgacl ios"),
        (r"RBACL ACEs:", "sgacl"),
    )
)
_PROMPT = re.compile(r"[\w.:/@()-]{1,64}[#>]")


def shown_platforms(text: str) -> list[frozenset[str]]:
    """Return, for each header in the text, the platforms that write it."""
    found = []
    for line in text[: 200 * LINES].splitlines()[:LINES]:
        row = line.strip()
        if not row or len(row) > 300 or _PROMPT.match(row):
            continue
        fitting = [platforms for pattern, platforms in _HEADERS if pattern.match(row)]
        if fitting:
            found.append(frozenset.intersection(*fitting))
    return found


def check_text(platform: str, text: str) -> None:
    """Raise FindingError SW1205 for an empty text, SW1243 where every header in it is of other platforms."""
    if not text.strip():
        raise FindingError(codes.NO_LIST.at("the text is empty"))
    shown = shown_platforms(text)
    if shown and not any(platform in platforms for platforms in shown):
        likely = sorted({name for platforms in shown for name in platforms})
        raise FindingError(
            codes.OTHER_PLATFORM.at(
                f"the text is no {platform} text: its headers are those of {' or '.join(likely)}",
                hint=f"set platform to {' or '.join(likely)}",
            )
        )
