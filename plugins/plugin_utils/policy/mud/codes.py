# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of manufacturer usage descriptions (SW2801 to SW2839)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NOT_MUD = Code(
    "SW2801", "error", "a file is no MUD file", "give a file of RFC 8520 with ietf-mud:mud and its access lists"
)
BAD_VALUE = Code(
    "SW2802", "error", "a value of a MUD file cannot be used", "ask the maker for a file that follows RFC 8520"
)
LIST_MISSING = Code(
    "SW2803", "error", "a MUD file names an access list that it does not hold", "ask the maker for a complete file"
)
LIST_UNUSED = Code(
    "SW2804",
    "warning",
    "an access list of a MUD file belongs to no direction",
    "nothing of it is imported; ask the maker which direction it is for",
)
NOT_EXPRESSED = Code(
    "SW2805",
    "warning",
    "an entry of a MUD file demands what no rule can say",
    "the entry is not imported; write a rule by hand if the device needs it",
)
LAYER_2 = Code(
    "SW2806",
    "warning",
    "an entry of a MUD file is for a layer-2 protocol",
    "no access list for IP can permit or stop it; it works only inside one VLAN",
)
ONE_DIRECTION = Code(
    "SW2807",
    "info",
    "a conversation is declared in one direction only",
    "imported as a request without an answer",
)
TCP_ONE_DIRECTION = Code(
    "SW2808",
    "warning",
    "a TCP conversation is declared in one direction only",
    "imported as if its answer were declared; without it no connection can form",
)
ANSWER_ONLY = Code(
    "SW2809",
    "warning",
    "an answer is declared without its request",
    "not imported; write a rule if the peer sends this unasked",
)
PARTLY_ANSWERED = Code(
    "SW2810",
    "warning",
    "the two directions of a conversation have different ports",
    "only what both directions declare is imported",
)
DENIAL_CUTS = Code(
    "SW2811",
    "error",
    "an entry of a MUD file denies part of what a later one accepts",
    "a rule only permits; the later entry is not imported, write what remains by hand",
)
NOT_BOUND = Code(
    "SW2812",
    "warning",
    "a MUD file speaks of a peer that the site has not named",
    "say with bindings which segment or network set it is; until then its entries are not imported",
)
NO_CLIENT_SEGMENT = Code(
    "SW2813",
    "warning",
    "a MUD file lets peers open conversations that are no segment of the site",
    "a rule's client is a segment; make one for these peers, or leave the conversation denied",
)
BINDING_UNKNOWN = Code(
    "SW2814", "error", "a binding names something undefined", "name a segment or network set of the policy directory"
)
BINDING_UNUSED = Code(
    "SW2815", "info", "a binding is not used", "the file names no such peer; correct its spelling if it should"
)
NOT_SUPPORTED = Code(
    "SW2816",
    "info",
    "the maker no longer supports the device",
    "the file will not be updated; plan the device's replacement or tighter rules",
)
EXTENSION = Code(
    "SW2817",
    "info",
    "a MUD file has an extension that is not read",
    "what the extension says does not reach the policy",
)
ANY_PROTOCOL = Code(
    "SW2818",
    "warning",
    "an entry of a MUD file is for every protocol",
    "imported as TCP, UDP and ICMP on every port; narrow it to what the devices use",
)
EITHER_OPENS = Code(
    "SW2819",
    "info",
    "a MUD file does not say who opens a TCP connection",
    "imported so that the end without a fixed port opens; add a rule if the other end opens as well",
)
NOT_SIGNED_HERE = Code(
    "SW2820",
    "info",
    "the signature of a MUD file is not checked here",
    "verify it before (RFC 8520 section 13); an unsigned or unverified file is a claim",
)
EXPORT_NOT_EXPRESSED = Code(
    "SW2821",
    "warning",
    "a rule has no place in a MUD file",
    "the exported file permits less than the segment's rules; tell the maker what is left out",
)
TOO_LARGE = Code(
    "SW2822", "error", "a MUD file has too many entries", "a device's description has at most a few hundred entries"
)
WIDER = Code(
    "SW2823",
    "info",
    "a condition of a MUD file is left out because others imply it",
    "the rule may admit a little more than the file; compare the two",
)
NO_SEGMENT = Code(
    "SW2824", "error", "the segment to import into or export from is not defined", "name a segment of the policy"
)
OPENER_LOST = Code(
    "SW2825",
    "warning",
    "a MUD file cannot say who opens this",
    "the exported entry lets either end begin; for TCP the direction is kept",
)
NOT_DECLARED = Code(
    "SW2826",
    "warning",
    "the devices do what their maker does not declare",
    "ask the maker, or look at the device: a changed firmware, a misuse or an intruder looks like this",
)
DECLARED_DENIED = Code(
    "SW2827",
    "warning",
    "the policy denies what the maker declares and the devices do",
    "add the rule, or have its owner confirm that the device is fine without it",
)
NEVER_DECLARED = Code(
    "SW2828",
    "info",
    "the policy permits what the maker does not declare",
    "narrow the rule, unless the site needs it for reasons of its own",
)
DECLARED_NO_LONGER = Code(
    "SW2830",
    "warning",
    "a rule of an earlier MUD file is declared no longer, and stays",
    "look at the change, then remove the rule or give it another origin",
)
NOT_RENEWED = Code(
    "SW2831",
    "warning",
    "rules of an earlier MUD file could not be compared with the new one",
    "name every peer in bindings and import again",
)
NO_ADDRESSES = Code(
    "SW2829",
    "warning",
    "the segment has no devices with addresses, so nothing can be compared",
    "run propose to refresh members.lock.json",
)
