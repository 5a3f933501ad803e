# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the import of access lists (SW2840 to SW2859)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NOT_UNDERSTOOD = Code(
    "SW2840",
    "error",
    "a line of an access list is not understood",
    "nothing of it is imported, and what follows it may be cut by it; read the line yourself",
)
CONDITION = Code(
    "SW2841",
    "warning",
    "an entry holds only under a condition that is not modelled",
    "it is not imported; write a rule with conditions by hand",
)
OTHER_SOURCE = Code(
    "SW2842",
    "info",
    "an entry is for addresses that are not the segment's",
    "import the list for the segment of those devices as well",
)
PARTLY_SOURCE = Code(
    "SW2843",
    "warning",
    "an entry is for some devices of the segment only",
    "it is not imported: a rule is for all devices of its segment; split the segment if this is meant",
)
BLANKET_ANSWER = Code(
    "SW2844",
    "info",
    "an entry passes answers without saying from which port to whom",
    "it is not imported: answers follow from the rules of those who open, with peer and port",
)
ANSWER_TO_UNKNOWN = Code(
    "SW2845",
    "warning",
    "an entry passes answers to addresses that are no segment",
    "whoever opens there needs a segment before a rule can permit it",
)
PERMIT_ALL = Code(
    "SW2846",
    "warning",
    "an entry permits everything that the entries before it leave",
    "it is not imported: the segment's rules end in a denial; watch what it carried before you enforce",
)
FLAGS = Code(
    "SW2847",
    "warning",
    "an entry looks at TCP flags that neither open nor answer",
    "it is not imported; no rule can say it",
)
CUT = Code(
    "SW2848",
    "info",
    "a denial cuts a part of a later permit",
    "the rules permit exactly what remains; the reason names both lines",
)
NOTHING_LEFT = Code(
    "SW2849",
    "info",
    "an entry decides no packet",
    "entries before it decide all of its packets; nothing is imported from it",
)
ANY_SERVICE = Code(
    "SW2850",
    "warning",
    "an entry permits every protocol",
    "imported as TCP, UDP and ICMP on every port; narrow it to what the devices use",
)
LIST_DIFFERS = Code(
    "SW2851",
    "warning",
    "the imported policy does not permit what the list permits",
    "the report lists the packets of both sides; decide for each whether it is meant",
)
TOO_MANY_PIECES = Code(
    "SW2852",
    "warning",
    "denials cut a permit into too many pieces",
    "it is not imported; write what is meant as a rule by hand",
)
NEEDS_PEER = Code(
    "SW2853", "error", "an import lacks an argument", "an SGACL needs segment and peer, the two ends of its cell"
)
