# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which access lists a switch holds and how many entries each has: ``show access-lists``.

Counts only: what entries mean is for ``dialects``. A line that is neither a header nor an entry is a finding, since an entry that is not
counted would make a switch look emptier than it is (facts/devices.md sections 1.1 and 2.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import Remarks, lines_of

KINDS = {
    "extended": "extended",
    "standard": "standard",
    "role-based": "role-based",
    "fqdn": "fqdn",
    "reflexive": "reflexive",
    "": "extended",
}
_HEAD = re.compile(
    r"\A(?:(?P<kind>Extended|Standard|Role-based|FQDN|Reflexive) IP access list"
    r"|IPv6 (?P<kind6>Role-based |FQDN |Reflexive )?access list|(?P<mac>Extended MAC access list)"
    r") (?P<name>\S+)(?P<marks>(?: \([\w -]+\))*) *(?:in|out|access group)?:?\Z",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"\A(?:\d{1,10} +|Dynamic +)?(?:sequence \d+ )?(?:permit|deny|evaluate)\b", re.IGNORECASE)
_OTHER = re.compile(
    r"\A(?:\d{1,10} +)?remark\b|\Astatistics per-entry\b|\AReflexive |\ATimeout |\(time left \d+\)|\ACompiled ",
    re.IGNORECASE,
)
_SYSTEM = ("implicit_deny", "implicit_permit", "preauth_", "IP-Adm-", "meraki-", "auth-default-acl", "sl_def_acl")


@dataclass(frozen=True)
class ShownList:
    """A list on a switch: name, kind (extended, standard, role-based, fqdn, reflexive, mac), family (4, 6, 0 for MAC), number of entries.

    ``origin``: configured, downloaded (by RADIUS or TrustSec), per-user, or system (made by the software itself).
    """

    name: str
    kind: str
    family: int
    entries: int
    origin: str


def access_lists(text: str) -> Parsed[ShownList]:
    """Return the lists of ``show access-lists``, ``show ip access-lists`` or ``show ipv6 access-list``; a list that stands twice is
    kept twice. No list at all is no finding: a switch may have none."""
    remarks = Remarks("show access-lists")
    made: list[ShownList] = []
    for line in lines_of(text, remarks.command):
        content = " ".join(line.stripped.split())
        head = _HEAD.match(content)
        if head:
            made.append(_made(head))
        elif _ENTRY.match(content):
            if made:
                made[-1] = replace(made[-1], entries=made[-1].entries + 1)
            else:
                remarks.note(codes.OUTPUT_CUT, "an entry before the first list", line.number)
        elif not _OTHER.search(content):
            remarks.unknown(line)
    return Parsed(tuple(made), tuple(remarks.findings))


def _made(head: re.Match[str]) -> ShownList:
    name, marks = head["name"].rstrip(":"), head["marks"].casefold()
    kind = "mac" if head["mac"] else KINDS[(head["kind"] or head["kind6"] or "").strip().casefold()]
    family = 0 if kind == "mac" else 4 if head["kind"] else 6
    if "downloaded" in marks or name.startswith("xACSACLx-"):
        origin = "downloaded"
    elif "per-user" in marks or "#" in name:
        origin = "per-user"
    else:
        origin = "system" if name.startswith(_SYSTEM) else "configured"
    return ShownList(name, kind, family, 0, origin)
