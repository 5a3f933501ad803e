"""A second opinion on NX-OS and ASA lines: reads raw words with plain string operations and shares no code with the collection.

It judged the verdicts of ``nxos.yaml`` and ``asa.yaml`` (``python judge.py CORPORA`` writes the parts of them that it makes) and knows only
the forms that stand in those files. Numbers of words are from the IANA registries, RFC 792 and the Cisco guides, typed
independently. It is slow and strict: a word that it does not know ends it with KeyError.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path

NUMBERS = {
    "bgp": 179, "chargen": 19, "cmd": 514, "daytime": 13, "discard": 9, "domain": 53, "drip": 3949, "echo": 7, "exec": 512,
    "finger": 79, "ftp": 21, "ftp-data": 20, "gopher": 70, "hostname": 101, "ident": 113, "irc": 194, "klogin": 543, "kshell": 544,
    "login": 513, "lpd": 515, "nntp": 119, "pim-auto-rp": 496, "pop2": 109, "pop3": 110, "smtp": 25, "sunrpc": 111, "tacacs": 49,
    "talk": 517, "telnet": 23, "time": 37, "uucp": 540, "whois": 43, "www": 80, "biff": 512, "bootpc": 68, "bootps": 67, "dnsix": 195,
    "isakmp": 500, "mobile-ip": 434, "nameserver": 42, "netbios-dgm": 138, "netbios-ns": 137, "netbios-ss": 139, "non500-isakmp": 4500,
    "ntp": 123, "rip": 520, "snmp": 161, "snmptrap": 162, "syslog": 514, "tftp": 69, "who": 513, "xdmcp": 177, "ssh": 22, "https": 443,
}  # fmt: skip
# RFC 792, RFC 1122 and RFC 1812 for the codes: (type, code); a code of -1 is every code.
MESSAGES = {
    "administratively-prohibited": (3, 13), "alternate-address": (6, -1), "conversion-error": (31, -1), "dod-host-prohibited": (3, 10),
    "dod-net-prohibited": (3, 9), "echo": (8, -1), "echo-reply": (0, -1), "general-parameter-problem": (12, 0), "host-isolated": (3, 8),
    "host-precedence-unreachable": (3, 14), "host-redirect": (5, 1), "host-tos-redirect": (5, 3), "host-tos-unreachable": (3, 12),
    "host-unknown": (3, 7), "host-unreachable": (3, 1), "information-reply": (16, -1), "information-request": (15, -1),
    "mask-reply": (18, -1), "mask-request": (17, -1), "mobile-redirect": (32, -1), "net-redirect": (5, 0), "net-tos-redirect": (5, 2),
    "net-tos-unreachable": (3, 11), "net-unreachable": (3, 0), "network-unknown": (3, 6), "no-room-for-option": (12, 2),
    "option-missing": (12, 1), "packet-too-big": (3, 4), "parameter-problem": (12, -1), "port-unreachable": (3, 3),
    "precedence-unreachable": (3, 15), "protocol-unreachable": (3, 2), "reassembly-timeout": (11, 1), "redirect": (5, -1),
    "router-advertisement": (9, -1), "router-solicitation": (10, -1), "source-quench": (4, -1), "source-route-failed": (3, 5),
    "time-exceeded": (11, -1), "timestamp-reply": (14, -1), "timestamp-request": (13, -1), "traceroute": (30, -1),
    "ttl-exceeded": (11, 0), "unreachable": (3, -1),
}  # fmt: skip
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "igmp": 2, "gre": 47, "esp": 50}
FLAGS = {"fin": "F", "syn": "S", "rst": "R", "psh": "P", "ack": "A", "urg": "U"}
OPEN = {
    "dscp",
    "precedence",
    "ttl",
    "packet-length",
    "http-method",
    "tcp-flags-mask",
    "tcp-option-length",
    "nve",
    "time-range",
}
V4 = re.compile(r"\d+\.\d+\.\d+\.\d+$")


def network(words: list[str], asa: bool) -> tuple[object, list[str]]:
    """Return (addresses, the words after them): None for any, a version for any4 and any6, a pair of integers, or "open"."""
    first = words[0]
    if first == "any":
        return None, words[1:]
    if first in ("any4", "any6"):
        return int(first[3]), words[1:]
    if first == "host":
        rest = words[2:]
        address = ipaddress.ip_address(words[1])
        if rest and rest[0].startswith("(") and asa:
            return ("open", int(address), int(address), address.version), rest[1:]
        return (int(address), int(address), address.version), rest
    if first == "range":
        return (int(ipaddress.ip_address(words[1])), int(ipaddress.ip_address(words[2])), 4), words[3:]
    if first == "fqdn":
        return "open", words[3 if words[2] == "(unresolved)" else 2 :]
    if "/" in first:
        block = ipaddress.ip_network(first, strict=False)
        return (int(block[0]), int(block[-1]), block.version), words[1:]
    if V4.match(first) and V4.match(words[1]):
        block = ipaddress.ip_network(f"{first}/{words[1]}", strict=False)  # knows netmask and hostmask
        return (int(block[0]), int(block[-1]), 4), words[2:]
    raise KeyError(first)


def ports(words: list[str]) -> tuple[set[int] | range | None, list[str]]:
    """Return the ports after an address, None for any, and the words after them."""
    if not words or words[0] not in ("eq", "gt", "lt", "neq", "range"):
        return None, words
    value = int(words[1]) if words[1].isdigit() else NUMBERS[words[1]]
    if words[0] == "eq":
        return {value}, words[2:]
    if words[0] == "gt":
        return range(value + 1, 65536), words[2:]
    if words[0] == "lt":
        return range(value), words[2:]
    if words[0] == "neq":
        return set(range(65536)) - {value}, words[2:]
    last = int(words[2]) if words[2].isdigit() else NUMBERS[words[2]]
    return range(value, last + 1), words[3:]


def packet(text: str) -> dict[str, object]:
    """Read a packet of the files: ``tcp 10.0.0.2:50000 10.0.0.1:443 SA``, ``icmp A B 8/0``, ``udp A B frag``."""
    words = text.split()
    ends = []
    for word in words[1:3]:
        address, mark, port = word.rpartition("#" if "::" in word or word.count(":") > 1 else ":")
        found = ipaddress.ip_address(address if mark else word)
        ends.append((int(found), int(port) if mark else 0, found.version))
    name = words[0]
    number = 58 if name == "icmp6" else PROTOCOLS[name] if name in PROTOCOLS else int(name)
    tail = words[3] if len(words) > 3 else ""
    message = tuple(map(int, tail.split("/"))) if "/" in tail else None
    return {
        "protocol": number, "version": ends[0][2], "ends": ends, "frag": tail == "frag", "message": message,
        "flags": tail if number == 6 and tail != "frag" else "",
    }  # fmt: skip


def inside(found: object, end: tuple[int, int, int]) -> bool | None:
    """Return whether an end of a packet lies in addresses; None: nobody knows."""
    if found is None:
        return True
    if found == "open":
        return None
    if isinstance(found, int):
        return end[2] == found
    if found[0] == "open":
        return None if end[2] == found[3] and found[1] <= end[0] <= found[2] else False
    return end[2] == found[2] and found[0] <= end[0] <= found[1]


def matches(line: str, text: str, dialect: str) -> bool | None:
    """Return whether a line from ``permit`` or ``deny`` on matches a packet; None where the line asks what no packet here says."""
    words = line.lower().split()
    permit = words[0] == "permit"
    sent = packet(text)
    family = 6 if dialect == "nxos6" else 4
    unknown = False
    if dialect in ("nxos", "nxos6") and sent["version"] != family:
        return False
    name = words[1]
    if name not in ("ip", "ipv6"):
        number = int(name) if name.isdigit() else 58 if name == "icmp" and family == 6 else PROTOCOLS[name]
        if sent["protocol"] != number:
            return False
    rest = words[2:]
    layer4 = False
    for end in sent["ends"]:
        found, rest = network(rest, dialect == "asa")
        here = inside(found, end)
        if here is False:
            return False
        unknown = unknown or here is None
        wanted, rest = ports(rest)
        if wanted is not None:
            layer4 = True
            if not sent["frag"] and end[1] not in wanted:
                return False
    fragments = established = False
    message = None
    while rest:
        word = rest.pop(0)
        if word in ("log", "informational", "interval", "300", "default", "disable", "alerts", "debugging") and (
            dialect == "asa" or word == "log"
        ):
            continue
        if word == "inactive":
            return False
        if word == "fragments":
            fragments = True
        elif word == "established":
            layer4 = established = True
        elif word in OPEN:
            unknown = True
            rest = rest[2 if word in ("nve", "packet-length") else 1 :]
            if word == "packet-length" and rest and rest[0].isdigit():
                rest.pop(0)
        elif name == "igmp":
            unknown = True
        elif name == "tcp" and word in FLAGS:
            layer4 = True
            if not sent["frag"] and FLAGS[word] not in sent["flags"]:
                return False
        elif name == "icmp":
            layer4 = True
            message = (
                MESSAGES[word]
                if word in MESSAGES
                else (int(word), int(rest.pop(0)) if rest and rest[0].isdigit() else -1)
            )
        else:
            raise KeyError(word)
    if fragments != sent["frag"] and fragments:
        return False
    if sent["frag"] and layer4:
        return (None if unknown else True) if permit and dialect != "asa" else False
    if established and not set("AR") & set(sent["flags"]):
        return False
    if message and not sent["frag"]:
        kind, code = sent["message"]
        if kind != message[0] or (message[1] >= 0 and code != message[1]):
            return False
    return None if unknown else True


def verdict(lines: list[tuple[int, str]], text: str, dialect: str) -> tuple[str, int]:
    """Return (permit, deny or open, the number of the deciding line, 0 for the end) of the first match."""
    outcomes: list[tuple[str, int]] = []
    for number, line in lines:
        found = matches(line, text, dialect)
        if found is False:
            continue
        outcomes.append((line.split()[0], number))
        if found:
            break
    else:
        outcomes.append(("deny", 0))
    if len({action for action, _number in outcomes}) > 1:
        return "open", -1
    return outcomes[-1][0], outcomes[-1][1] if len(outcomes) == 1 else -1


def sample(line: str, dialect: str, turn: int) -> str:
    """Return a packet inside a line: ``turn`` chooses among first, last and other addresses and ports."""
    words = line.lower().split()
    name = words[1]
    rest = words[2:]
    ends = []
    version = 6 if dialect == "nxos6" or "any6" in words or any(":" in word for word in words) else 4
    for side in range(2):
        found, rest = network(rest, dialect == "asa")
        if isinstance(found, tuple):
            found = found[1:] if found[0] == "open" else found
            low, high = found[0], found[1]
            value = (low, high, low + (high - low) // 3)[turn % 3]
        else:
            value = (
                (0x34140007 + turn if side else 0x2D210005 + turn)
                if version == 4
                else (0x20010DB8 << 96) + 77 + turn + side
            )
        wanted, rest = ports(rest)
        port = (
            40000 + turn if wanted is None else (min(wanted), max(wanted), sorted(wanted)[len(wanted) // 2])[turn % 3]
        )
        ends.append((str(ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)), port))
    mark = "#" if version == 6 else ":"
    if name in ("ip", "ipv6"):
        name = ("udp", "tcp", "47")[turn % 3]
    if name == "icmp":
        known = [word for word in rest if word in MESSAGES or word.isdigit()]
        kind, code = (8, 0)
        if known and known[0].isdigit():
            kind, code = int(known[0]), int(known[1]) if len(known) > 1 and known[1].isdigit() else turn
        elif known:
            kind, code = MESSAGES[known[0]]
            code = code if code >= 0 else turn
        return f"{'icmp6' if version == 6 else 'icmp'} {ends[0][0]} {ends[1][0]} {kind}/{code}"
    if name not in ("tcp", "udp"):
        return f"{name} {ends[0][0]} {ends[1][0]}" + (" frag" if "fragments" in rest else "")
    flags = [letter for word, letter in FLAGS.items() if word in rest]
    tail = (
        "" if name == "udp" else " " + (("A", "R", "SA")[turn % 3] if "established" in rest else "".join(flags) or "S")
    )
    return f"{name} {ends[0][0]}{mark}{ends[0][1]} {ends[1][0]}{mark}{ends[1][1]}{tail}"


def near_miss(text: str, turn: int) -> str:
    """Return a packet beside one: the next server port, the other transport, or another server."""
    words = text.split()
    if words[0] in ("tcp", "udp") and turn % 3 == 0:
        head, mark, port = re.match(r"(.*)([:#])(\d+)$", words[2]).groups()
        words[2] = f"{head}{mark}{int(port) + 1 if int(port) < 65535 else 1}"
    elif words[0] in ("tcp", "udp") and turn % 3 == 1:
        words = ["udp", *words[1:3]] if words[0] == "tcp" else ["tcp", *words[1:3], "S"]
    elif words[0].startswith("icmp"):
        kind, _slash, code = words[3].partition("/")
        words[3] = f"{(int(kind) + 1) % 256}/{code}"
    else:
        head, mark, port = (
            re.match(r"([^#]*?)((?:[:#]\d+)?)$", words[2]).groups() + ("",)
            if "#" in words[2] or words[2].count(":") < 2
            else (words[2], "", "")
        )
        words[2] = str(ipaddress.ip_address(head) + 1) + mark
    return " ".join(words)


def entries(path: Path, name: str, dialect: str) -> list[tuple[int, str]]:
    """Return (line number, text from the action on) of a list, cut out of the raw text by eye-checked rules for each kind of file."""
    result = []
    open_list = False
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if dialect == "asa":
            if words[:2] == ["access-list", name] and ("permit" in words or "deny" in words) and "remark" not in words:
                start = next(i for i, word in enumerate(words) if word in ("permit", "deny"))
                text = re.sub(r" \(hitcnt=\d+\)| \(inactive\)| 0x[0-9a-f]+$", "", " ".join(words[start:]))
                if (
                    "object" not in words and "object-group" not in words
                ):  # a heading: the lines below it say what it stands for
                    result.append((number, text))
            continue
        if len(words) in (3, 4) and words[0].lower() in ("ip", "ipv6", "mac") and words[1] in ("access", "access-list"):
            open_list = words[-1] == name and words[0].lower() != "mac"
        elif open_list and words and words[0].isdigit() and words[1] in ("permit", "deny"):
            result.append((number, re.sub(r" \[match=\d+\]", "", " ".join(words[1:]))))
        elif open_list and words and words[0] in ("permit", "deny"):
            result.append((number, " ".join(words)))
    return result


SOURCES = {
    "nxos": [
        ("policy-corpora/batfish-configs/vendor/cisco_nxos/grammar/testconfigs/nxos_ip_access_list", {
            "acl_icmp": "only", "acl_tcp_destination_ports_named": "only", "acl_udp_destination_ports_named": "only",
            "acl_tcp_flags": "only", "acl_tcp_established": "list", "acl_common_ip_options_log": "list",
            "acl_common_ip_options_dscp": "open", "acl_common_ip_options_precedence": "open", "acl_common_ip_options_ttl": "open3",
            "acl_common_ip_options_packet_length": "open", "acl_igmp": "open", "acl_tcp_http_method": "open", "acl_tcp_flags_mask": "open3",
            "acl_tcp_option_length": "open3", "acl_udp_vxlan": "open3",
        }),
        ("device-outputs/cisco_nxos/show_access-lists/ntc-2.txt", {"TEST-ACL": "list"}),
        ("device-outputs/cisco_nxos/show_access-lists/genie-out2.txt", {"NTP-ACL": "list"}),
        ("device-outputs/cisco_nxos/show_access-lists/genie-out1.txt", {"ipv4_acl": "list", "acl_name": "list", "test22": "list"}),
        ("policy-corpora/aerleon-samples/sample_cisconx.pol/rendered/sample_cisconx.nxacl", {"allowtointernet": "list"}),
        ("policy-corpora/aerleon-samples/sample_multitarget.pol/rendered/sample_multitarget.nxacl", {"edge-inbound": "list"}),
    ],
    "nxos6": [("device-outputs/cisco_nxos/show_access-lists/genie-out1.txt", {"ipv6_acl": "list", "ipv6_acl2": "list"})],
    "asa": [
        ("device-outputs/cisco_asa/show_access-list/ntc-update2.txt", {"NTC_Test-ACL": "list"}),
        ("device-outputs/cisco_asa/show_access-list/ntc-4.txt", {"test_acl": "list"}),
        ("device-outputs/cisco_asa/show_access-list/ntc-3.txt", {"third-acl": "list"}),
        ("device-outputs/cisco_asa/show_access-list/ntc-numeric.txt", {"acl-out": "list"}),
        ("device-outputs/cisco_asa/running-config/batfish-asa-filters.txt", {
            "FILTER_IN": "list", "FILTER_IN4": "list", "FILTER_OUT": "list",
        }),
        ("device-outputs/cisco_asa/running-config/batfish-asa-security-level-permit-tracing.txt", {
            "FILTER_OUT": "list", "FILTER_IN": "list",
        }),
        ("policy-corpora/batfish-configs/grammar/cisco_asa/testconfigs/aclAsa", {"acl": "list"}),
        ("policy-corpora/batfish-configs/grammar/cisco_asa/testconfigs/asa-filters-global", {"FILTER_GLOBAL": "list"}),
        ("policy-corpora/aerleon-samples/sample_multitarget.pol/rendered/sample_multitarget.asa", {"asa_in": "list", "asa_out": "list"}),
    ],
}  # fmt: skip


def judged(corpora: Path, dialects: tuple[str, ...]) -> list[str]:
    """Return the YAML lines of the lists that are judged here."""
    result = []
    for dialect in dialects:
        for path, names in SOURCES[dialect]:
            for name, how in names.items():
                result += [f"- file: {path}", f"  list: {name}", "  verdicts:"]
                lines = entries(corpora / path, name, dialect)
                told: set[tuple[str, int]] = set()
                for turn, (number, line) in enumerate(lines):
                    found = [sample(line, dialect, turn), near_miss(sample(line, dialect, turn), turn)]
                    if how.startswith("open"):
                        found = [sample(line, dialect, i) for i in range(3 if how == "open3" else 1)]
                    if how == "list" and len(lines) < 4:
                        found += [
                            sample(line, dialect, turn + 1),
                            sample(line, dialect, turn + 2),
                            near_miss(sample(line, dialect, turn + 1), turn + 2),
                        ]
                    for text in found:
                        only = number if how == "only" or how.startswith("open") else 0
                        action, place = verdict([(number, line)] if only else lines, text, dialect)
                        if (text, only) in told:
                            continue
                        told.add((text, only))
                        result.append(f"  - [{text}, {action}, {place}{f', {only}' if only else ''}]")
    return result


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for title, kinds in (("nxos", ("nxos", "nxos6")), ("asa", ("asa",))):
        print(f"# {title}")
        print("\n".join(judged(where, kinds)))
