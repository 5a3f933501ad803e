# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages about denied packets, one parser for each family: Cisco IOS and IOS-XE access lists, NX-OS access lists, SGACLs, ASA, and the
kernel's packet log.

Forms are those of Cisco's system message guides (SEC, IPV6_ACL, FMANFP, RBM; ASA 106001 to 106100, 710003) and of the Linux kernel's
nf_log_syslog. Those of NX-OS (ACLLOG) are from Cisco's document 118907 on ACL logging of the Nexus 7000 and from messages that the public
parsers of Genie (Cisco) and NetWitness read. A parser returns a ``Deny``, or a reason why the line is none: ``permitted``, ``rate`` (some
were not logged), ``no_verdict`` (NX-OS says permit or deny only where it names the list) or ``unreadable``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.columns import NAMES
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.icmp import ICMP6_REPLIES, ICMP_REPLIES

PERMITTED, RATE, UNREADABLE, NO_VERDICT = "permitted", "rate_limited", "unreadable", "no_verdict"
ICMP, ICMP6 = 1, 58
# What a prefix of a log rule has to hold to mean that the packet was dropped; an import's option replaces it.
OWN_PREFIX = re.compile(r"\Asegwright (?P<what>drop|accept)(?: (?P<entry>[^:]{0,80}(?::[^:]{1,80})*))?:?\Z")
DENYING_PREFIX = r"(?i)den(y|ied)|drop|reject|block"
LARGEST_COUNT = 1 << 40
# Syslog messages have at most 8 KiB with any common daemon; further on nothing is looked for.
LOOKED_AT = 8192

ADDRESS = r"(?P<{0}>[0-9A-Fa-f:.]{{2,45}})"
SOURCE, TARGET = ADDRESS.format("source"), ADDRESS.format("target")
COUNT = r"(?P<count>[0-9]{1,12}) packets?"
HASH = r"(?:\s*\[(?P<tag>[^\]\s]{1,64})[^\]]*\])?"
IOS_TAG = re.compile(
    r"%(?P<tag>(?:SEC-[0-7]-IPACCESSLOG|IPV6_ACL-[0-7]-ACCESSLOG|FMANFP-[0-7]-IP(?:V6)?ACCESSLOG)(?P<form>DP|SP|RP|NP|RL|P|S)?): "
    # IOS-XE's forwarding plane says where it runs, and as what.
    r" ?(?:(?:Chassis [0-9]{1,2} )?[A-Z]{1,3}[0-9]{1,2}(?:/[0-9]{1,2}){0,2}: {1,3})?(?:[a-z_]{3,30}: {1,3})?(?P<rest>.{1,600})"
)
# Behind the protocol IOS-XE may say the sender's MAC or, in brackets, where it came in.
IOS_FROM = r"(?:(?:(?P<mac>[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})|\[(?P<where>[^\]]{0,80})\]) )?"
IOS_FLOW = re.compile(
    r"list (?P<list>\S{1,128}) (?P<verdict>denied|permitted) (?P<protocol>[A-Za-z0-9_-]{1,20}) "
    + IOS_FROM
    + SOURCE
    + r"(?:\((?P<sport>[0-9]{1,5})\))?"
    r"(?: ?\((?P<interface>[A-Za-z][^)]{0,80})\))? -> " + TARGET + r"(?:\((?P<dport>[0-9]{1,5})\))?"
    r"(?: \((?P<type>[0-9]{1,5})(?:/(?P<code>[0-9]{1,3}))?\))?, " + COUNT + HASH
)
IOS_SOURCE = re.compile(
    r"list (?P<list>\S{1,128}) (?P<verdict>denied|permitted) "
    + SOURCE
    + r"(?: \((?P<interface>[A-Za-z][^)]{0,80})\))?,? "
    + COUNT
    + HASH
)
NXOS_TAG = re.compile(
    r"%(?P<tag>ACLLOG-[0-7]-ACLLOG_(?P<form>NEW_FLOW|FLOW_INTERVAL|MAXFLOW_REACHED)): (?P<rest>.{1,800})"
)
# `Key: value` and, of the hits, `Key = value`; releases write out the words of the first keys or shorten them.
NXOS_PAIR = re.compile(r"(?:\A|, )(?P<key>[A-Za-z][A-Za-z -]{1,30}?)(?:: | ?= ?)(?P<value>[^,]{0,128})(?=, |\s*\Z)")
NXOS_SHORT = {"source": "src", "destination": "dst", "interface": "intf"}
NXOS_PROTOCOL = re.compile(r"\"?[^\"(]{0,30}\"?\s?\((?P<number>[0-9]{1,3})\)\Z")
# The number NX-OS gives where the entry says only IP; it stands for experiments (RFC 3692), which no list of devices names.
NXOS_ANY_IP = 253
SGACL_TAG = re.compile(r"%(?P<tag>[A-Z0-9_]{2,20}-[0-7]-SGACLHIT): (?P<rest>.{1,800})")
SGACL_PAIR = re.compile(r"([A-Za-z][A-Za-z_-]{1,30})='([^']{0,128})'")
SGACL_LIST = re.compile(
    r"list (?P<list>\S{1,128}) (?P<verdict>[Dd]enied|[Pp]ermitted) (?P<protocol>\S{1,20}) "
    + SOURCE
    + r"(?:\((?P<sport>[0-9]{1,5})\))? -> "
    + TARGET
    + r"(?:\((?P<dport>[0-9]{1,5})\))?(?: \((?P<type>[0-9]{1,3})/(?P<code>[0-9]{1,3})\))?,"
    r" SGT ?(?P<sgt>[0-9]{1,5}) DGT ?(?P<dgt>[0-9]{1,5})"
)
ASA_TAG = re.compile(r"%(?:ASA|FTD|PIX|FWSM)-(?:[a-z]+-)?[0-7]-(?P<number>[0-9]{6}): (?P<rest>.{1,800})")
ASA_END = (
    r"(?:(?P<{0}_interface>[A-Za-z0-9_.()-]{{1,48}}):)?(?P<{0}>[0-9A-Fa-f:.]{{2,45}})(?:/(?P<{0}_port>[0-9]{{1,5}}))?"
)
ASA_END += r"(?:\s*\((?!type )[^)]*\))?"
ASA_ON = r"on interface (?P<interface>\S+)"
ASA_FLAGS = r"flags .{0,60}? ?" + ASA_ON
ASA_FROM, ASA_TO = ASA_END.format("source"), ASA_END.format("target")
ASA_TYPE = r"\s*\(type (?P<type>[0-9]{1,3}), code (?P<code>[0-9]{1,3})\)"
ASA: dict[str, re.Pattern[str]] = {
    "106001": re.compile(rf"Inbound (?P<protocol>TCP) connection denied from {ASA_FROM} to {ASA_TO} {ASA_FLAGS}"),
    "106006": re.compile(rf"Deny inbound (?P<protocol>UDP) from {ASA_FROM} to {ASA_TO} {ASA_ON}"),
    "106007": re.compile(rf"Deny inbound (?P<protocol>UDP) from {ASA_FROM} to {ASA_TO} due to DNS"),
    "106010": re.compile(rf"Deny inbound (?:protocol )?(?P<protocol>\S+) src ?{ASA_FROM} dst ?{ASA_TO}(?:{ASA_TYPE})?"),
    "106014": re.compile(
        r"Deny inbound (?P<protocol>icmp) src (?P<source_interface>[^\s:]{1,48}): ?(?P<source>[0-9A-Fa-f:.]{2,45})(?:\s*\([^)]*\))? dst"
        rf" (?P<target_interface>[^\s:]{{1,48}}): ?(?P<target>[0-9A-Fa-f:.]{{2,45}})(?:\s*\([^)]*\))?{ASA_TYPE}"
    ),
    "106015": re.compile(rf"Deny (?P<protocol>TCP) \(no connection\) from {ASA_FROM} to {ASA_TO} {ASA_FLAGS}"),
    "106016": re.compile(rf"Deny (?P<protocol>IP) spoof from \(?{SOURCE}\)? to {TARGET} {ASA_ON}"),
    "106021": re.compile(rf"Deny (?P<protocol>\S+) reverse path check from {ASA_FROM} to {ASA_TO} {ASA_ON}"),
    "106023": re.compile(
        rf"Deny (?:protocol )?(?P<protocol>\S+) src {ASA_FROM} dst {ASA_TO}(?:{ASA_TYPE})?"
        rf" by access-group \"?(?P<list>[^\s\"]{{1,241}})\"?{HASH}"
    ),
    "106100": re.compile(
        r"access-list (?P<list>\S{1,241}) (?P<verdict>permitted|denied|est-allowed) (?P<protocol>\S{1,20})"
        r" (?P<source_interface>[^\s/]{1,48})/"
        rf"{SOURCE}\((?P<source_port>[0-9]{{1,5}})\)(?:\([^)]*\))? ?-> ?"
        rf"(?P<target_interface>[^\s/]{{1,48}})/{TARGET}\((?P<target_port>[0-9]{{1,5}})\)"
        rf"(?:\([^)]*\))? hit-cnt (?P<count>[0-9]{{1,12}}) \(?(?:first hit|[0-9]+-second interval)\)?{HASH}"
    ),
    "710003": re.compile(rf"(?P<protocol>TCP|UDP) access denied by ACL from {ASA_FROM} to {ASA_TO}"),
}  # fmt: skip
KERNEL = re.compile(r"(?P<prefix>.{0,200}?)\bIN=(?P<in>[^\s]{0,32}) OUT=(?P<out>[^\s]{0,32}) (?P<rest>.{1,1500})")
KERNEL_PAIR = re.compile(r"\b(SRC|DST|PROTO|SPT|DPT|TYPE|CODE)=([0-9A-Za-z:.]{1,45})")
KERNEL_HEAD = re.compile(r"\A.*?kernel: ?(?:\[ *[0-9]+\.[0-9]+\] ?)?")


@dataclass(frozen=True)
class Deny:
    """A denied packet or group of them as a row of ``kept.DENIES`` has it, without time, point and input."""

    platform: str
    message: str
    source: tuple[int, int]
    target: tuple[int, int] | None
    protocol: int
    source_port: int = 0
    target_port: int = 0
    packets: int = 1
    list: str = ""
    entry: str = ""
    interface: str = ""
    source_sgt: int = -1
    target_sgt: int = -1

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        made = dict(vars(self))
        for end in ("source", "target"):
            made[f"{end}_hi"], made[f"{end}_lo"] = made.pop(end) or (None, None)
        return made


def parse(line: str, denying: re.Pattern[str]) -> Deny | str | None:
    """Return the denial that a line is about, a reason, or None where the line is of no family that is read here."""
    if "%" in line:
        if "ACCESSLOG" in line:
            found = IOS_TAG.search(line)
            if found:
                return _guarded(_ios, found)
        if "SGACLHIT" in line:
            found = SGACL_TAG.search(line)
            if found:
                return _guarded(_sgacl, found)
        if "ACLLOG_" in line:
            found = NXOS_TAG.search(line)
            if found:
                return _guarded(_nxos, found)
        found = ASA_TAG.search(line)
        if found:
            return _guarded(_asa, found) if found["number"] in ASA else None
    if " OUT=" in line and "SRC=" in line:
        found = KERNEL.search(line, 0, LOOKED_AT)
        if found:
            return _kernel(found, denying)
    return None


def _guarded(parser: Any, found: re.Match[str]) -> Deny | str | None:
    try:
        return parser(found)
    except (ValueError, KeyError, TypeError):
        return UNREADABLE


def _protocol(text: str, where: tuple[int, int]) -> int:
    lowered = text.lower()
    number = int(lowered) if lowered.isdigit() else NAMES.get(lowered, 0 if lowered in ("ip", "ipv6", "ip6") else -1)
    if not 0 <= number <= 255:
        raise ValueError(text)
    return ICMP6 if number == ICMP and where[0] != address.V4_HI else number


def _count(text: str | None) -> int:
    return min(int(text or 1), LARGEST_COUNT)


def _port(text: str | None) -> int:
    value = int(text or 0)
    if value > 65535:
        raise ValueError(value)
    return value


def _ends(protocol: int, source_port: int, target_port: int, kind: str | None, code: str | None) -> tuple[int, int]:
    """Return (source port, target port); ICMP as in connections: type * 256 + code of the request at the end it is sent to."""
    if protocol not in (ICMP, ICMP6):
        return source_port, target_port
    if kind is None:
        return 0, 0
    number, detail = int(kind), int(code or 0)
    if number > 255 or detail > 255:
        raise ValueError(kind)
    request = (ICMP_REPLIES if protocol == ICMP else ICMP6_REPLIES).get(number)
    return (0, number * 256 + detail) if request is None else (request * 256 + detail, 0)


def _ios(found: re.Match[str]) -> Deny | str:
    if found["form"] == "RL":
        return RATE
    text = found["rest"]
    flow = IOS_FLOW.match(text)
    match = flow or IOS_SOURCE.match(text)
    if match is None:
        return UNREADABLE
    if match["verdict"] == "permitted":
        return PERMITTED
    source = address.columns_of(match["source"])
    name, slash, sequence = match["list"].rpartition("/")
    # An IPv6 list is named with the sequence of its entry.
    listed, entry = (name, sequence) if slash and sequence.isdigit() else (match["list"], match["tag"] or "")
    common: dict[str, Any] = {
        "list": listed,
        "entry": entry,
        "interface": match["interface"] or "",
        "packets": _count(match["count"]),
    }
    if flow is None:
        return Deny("ios", found["tag"], source, None, 0, **common)
    protocol = _protocol(flow["protocol"], source)
    kind, code = flow["type"], flow["code"]
    if kind is not None and int(kind) > 255 and found["tag"].startswith("FMANFP"):
        # The forwarding plane gives type * 256 + code in one number.
        kind, code = str(int(kind) // 256), str(int(kind) % 256)
    ports = _ends(protocol, _port(flow["sport"]), _port(flow["dport"]), kind, code)
    common["interface"] = common["interface"] or flow["where"] or flow["mac"] or ""
    return Deny("ios", found["tag"], source, address.columns_of(flow["target"]), protocol, *ports, **common)


def _nxos(found: re.Match[str]) -> Deny | str:
    if found["form"] == "MAXFLOW_REACHED":
        return RATE
    values: dict[str, str] = {}
    for match in NXOS_PAIR.finditer(found["rest"]):
        words = match["key"].lower().replace("-", " ").split()
        values.setdefault(" ".join(NXOS_SHORT.get(word, word) for word in words), match["value"].strip())
    if not {"src ip", "dst ip", "protocol"} <= set(values):
        return UNREADABLE
    verdict = values.get("ace action", "").lower()
    if not verdict.startswith(("deny", "denied")):
        return NO_VERDICT if not verdict else PERMITTED if verdict.startswith("permit") else UNREADABLE
    told = NXOS_PROTOCOL.match(values["protocol"])
    source = address.columns_of(values["src ip"])
    protocol = _protocol(told["number"] if told else values["protocol"].strip('"'), source)
    protocol = 0 if protocol == NXOS_ANY_IP else protocol
    # It has no place for the type of ICMP, and says 0 for both ports.
    ports = _ends(protocol, _port(values.get("src port")), _port(values.get("dst port")), None, None)
    return Deny("nxos", found["tag"], source, address.columns_of(values["dst ip"]), protocol, *ports,
                packets=_count(values.get("hit count")), list=values.get("acl name", ""),
                interface=values.get("src intf", ""))  # fmt: skip


def _sgacl(found: re.Match[str]) -> Deny | str:
    listed = SGACL_LIST.match(found["rest"])
    if listed:
        if listed["verdict"].lower() == "permitted":
            return PERMITTED
        source = address.columns_of(listed["source"])
        protocol = _protocol(listed["protocol"], source)
        ports = _ends(protocol, _port(listed["sport"]), _port(listed["dport"]), listed["type"], listed["code"])
        return Deny("sgacl", found["tag"], source, address.columns_of(listed["target"]), protocol, *ports, list=listed["list"],
                    source_sgt=_port(listed["sgt"]), target_sgt=_port(listed["dgt"]))  # fmt: skip
    values = dict(SGACL_PAIR.findall(found["rest"]))
    if not {"action", "protocol", "src-ip", "dest-ip"} <= set(values):
        return UNREADABLE
    if values["action"].lower().startswith("permit"):
        return PERMITTED
    source = address.columns_of(values["src-ip"])
    protocol = _protocol(values["protocol"], source)
    # Of ICMP the two port fields hold type and code.
    first, second = values.get("src-port", "0"), values.get("dest-port", "0")
    ports = _ends(protocol, _port(first), _port(second), first, second)
    sgt, dgt = (_port(values[name]) if name in values else -1 for name in ("sgt", "dgt"))
    return Deny("sgacl", found["tag"], source, address.columns_of(values["dest-ip"]), protocol, *ports,
                packets=_count(values.get("logging_interval_hits")), list=values.get("sgacl_name", ""),
                interface=values.get("ingress_interface", ""), source_sgt=sgt, target_sgt=dgt)  # fmt: skip


def _asa(found: re.Match[str]) -> Deny | str:
    match = ASA[found["number"]].match(found["rest"])
    if match is None:
        return UNREADABLE
    values = match.groupdict()
    if values.get("verdict") in ("permitted", "est-allowed"):
        return PERMITTED
    source = address.columns_of(values["source"])
    protocol = _protocol(values["protocol"], source)
    kind, code = values.get("type"), values.get("code")
    source_port, target_port = _port(values.get("source_port")), _port(values.get("target_port"))
    if protocol in (ICMP, ICMP6) and kind is None and found["number"] == "106100":
        # There the source's port is the type, the target's the code (ASA) or the type (PIX).
        kind, code = str(source_port or target_port), str(target_port if source_port else 0)
    ports = _ends(protocol, source_port, target_port, kind, code)
    entry = (values.get("tag") or "").rstrip(",")
    entry = "" if entry in ("0x0", "0x00000000") else entry
    # The state table, not an entry, refused it.
    entry = "no connection" if found["number"] == "106015" else entry
    return Deny("asa", f"ASA-{found['number']}", source, address.columns_of(values["target"]), protocol, *ports,
                packets=_count(values.get("count")), list=values.get("list") or "", entry=entry,
                interface=values.get("interface") or values.get("source_interface") or "")  # fmt: skip


def _kernel(found: re.Match[str], denying: re.Pattern[str]) -> Deny | str | None:
    values: dict[str, str] = {}
    # An ICMP error quotes the packet it is about in brackets: only what stands before counts.
    for name, value in KERNEL_PAIR.findall(found["rest"].partition("[")[0]):
        values.setdefault(name, value)
    if "SRC" not in values or "DST" not in values:
        return None
    prefix = KERNEL_HEAD.sub("", found["prefix"]).strip()
    entry = ""
    if own := OWN_PREFIX.match(prefix):
        # What rendered rules write (dialects/nftables.py) says it in so many words.
        if own["what"] == "accept":
            return PERMITTED
        prefix, entry = "segwright", (own["entry"] or "").strip()
    elif not denying.search(prefix):
        return PERMITTED
    try:
        source = address.columns_of(values["SRC"])
        protocol = _protocol("ipv6-icmp" if values.get("PROTO") == "ICMPv6" else values.get("PROTO", "ip"), source)
        ports = _ends(
            protocol, _port(values.get("SPT")), _port(values.get("DPT")), values.get("TYPE"), values.get("CODE")
        )
        return Deny("nftables", "nf_log", source, address.columns_of(values["DST"]), protocol, *ports,
                    list=prefix[:128].rstrip(": "), entry=entry,
                    interface=found["in"] or found["out"])  # fmt: skip
    except ValueError:
        return UNREADABLE
