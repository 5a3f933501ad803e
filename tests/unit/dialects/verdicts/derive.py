"""Derive permit and deny verdicts from the raw text of public access lists: ``derive.py CORPORA`` writes the YAML files beside it.

Shares nothing with the collection. It takes one packet at a time and walks the raw words of each line, with one small function for
each syntax form (address, port operator, message, flags, condition) and tables typed from the vendor's keyword lists. It refuses every
word that it does not expect, so no form is judged by accident. Packets stand at the edges of each line: first and last address, port
and code inside, the next one outside, a later fragment. Forms and a sample of the verdicts of each were checked by eye.
"""

from __future__ import annotations

import ipaddress
import random
import re
import sys
from collections import Counter
from pathlib import Path

import yaml

PROTOCOLS = {
    "ip": None,
    "ipv6": None,
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ahp": 51,
    "ospf": 89,
    "pim": 103,
}
PORTS = {
    "www": 80, "bgp": 179, "domain": 53, "bootpc": 68, "bootps": 67, "snmp": 161, "telnet": 23, "ftp": 21, "tacacs": 49,
    "isakmp": 500, "ntp": 123, "snmptrap": 162, "tftp": 69, "cmd": 514, "syslog": 514, "ssh": 22, "http": 80,
}  # fmt: skip
MESSAGES = {
    "echo": (8, None), "echo-reply": (0, None), "unreachable": (3, None), "administratively-prohibited": (3, 13), "redirect": (5, None),
    "ttl-exceeded": (11, 0), "port-unreachable": (3, 3), "parameter-problem": (12, None), "mask-request": (17, None),
    "packet-too-big": (3, 4), "time-exceeded": (11, None),
}  # fmt: skip
MESSAGES6 = {
    "mld-query": (130, None),
    "mld-report": (131, None),
    "mld-reduction": (132, None),
    "nd-ns": (135, None),
    "nd-na": (136, None),
}
FLAGS = {"ack": "A", "fin": "F", "psh": "P", "rst": "R", "syn": "S", "urg": "U"}
# File, list, platform kind, packets wanted for each line. The lists were picked by hand so that every form stands in some of them.
IOS = "device-outputs/cisco_ios/"
XE = "device-outputs/cisco_iosxe/"
BATFISH = "policy-corpora/batfish-configs/"
LISTS = {
    "cisco_ios": [
        (IOS + "show_ip_access-lists/ntc-969.txt", "99", "standard", 5),
        (IOS + "show_ip_access-lists/ntc-969.txt", "101", "extended", 5),
        (IOS + "show_ip_access-lists/ntc-969.txt", "sample", "extended", 1),
        (IOS + "show_ip_access-lists/ntc-969.txt", "stdacl", "standard", 3),
        (IOS + "show_ip_access-lists/ntc-969.txt", "ios_show_ip_acl", "extended", 3),
        (IOS + "show_ip_access-lists/ntc-969.txt", "ntc-templates", "extended", 4),
        (IOS + "show_ip_access-lists/ntc-969.txt", "mask-request", "extended", 4),
        (IOS + "show_ip_access-lists/ntc-969.txt", "Log_Tags_Test", "extended", 5),
        (IOS + "show_access-list/ntc-2.txt", "1", "standard", 4),
        (IOS + "show_access-list/ntc-3.txt", "150", "extended", 2),
        (IOS + "show_access-lists/genie-out_customer1.txt", "acl1", "extended", 4),
        (IOS + "show_access-lists/genie-out_customer3.txt", "acl1", "extended", 3),
        (IOS + "show_ipv6_access-lists/ntc-base.txt", "WAN_LOCAL", "ipv6", 5),
        (IOS + "show_ipv6_access-lists/ntc-base.txt", "WAN_ROUTEUR", "ipv6", 3),
        (IOS + "show_ipv6_access-lists/ntc-base.txt", "ACL3_IPv6", "ipv6", 3),
        (IOS + "show_running-config_partition_access-list/ntc-fixed.txt", "ios_partition_acl", "extended", 3),
        (IOS + "show_running-config_partition_access-list/ntc-fixed.txt", "97", "standard", 5),
        (IOS + "show_running-config_partition_access-list/ntc-fixed.txt", "199", "extended", 4),
        (IOS + "show_running-config_partition_access-list/ntc-fixed.txt", "101", "extended", 4),
        (IOS + "running-config/batfish-ios-object-group-network.txt", "acl_wildcard", "extended", 6),
        (IOS + "running-config/batfish-ios-object-group-service.txt", "acl_used", "extended", 8),
        (IOS + "running-config/batfish-ios-acl-portgroup.txt", "aclBase", "extended", 3),
        (BATFISH + "networks/example/live/configs/as2dept1.cfg", "RESTRICT_HOST_TRAFFIC_OUT", "extended", 4),
        (BATFISH + "networks/example/live/configs/as2dept1.cfg", "105", "extended", 2),
        (BATFISH + "networks/example/live/configs/as2core1.cfg", "blocktelnet", "extended", 5),
        (BATFISH + "networks/example/live/configs/as2border1.cfg", "INSIDE_TO_AS1", "extended", 4),
        (BATFISH + "grammar/cisco/testrigs/eigrp-distribute-list-wildcard/configs/sender", "DL_OUT", "standard", 5),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testDsmo.stdout.ref", "dsmo_acl", "extended", 5),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testFragments01.stdout.ref", "test-filter", "extended", 5),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testFragments02.stdout.ref", "test-filter", "extended", 5),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testIcmpCode.stdout.ref", "test-filter", "extended", 5),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testOptions.stdout.ref", "test-filter", "extended", 6),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testProtoInts.stdout.ref", "test-filter", "extended", 4),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testInet6.stdout.ref", "inet6_acl", "ipv6", 4),
        ("policy-corpora/aerleon-reference-outputs/cisco/CiscoTest.testIpv6IcmpTypes.stdout.ref", "inet6_acl", "ipv6", 4),
    ],
    "cisco_iosxe": [
        (XE + "show_access-lists/genie-out_3.txt", "IP-Adm-V4-Int-ACL-global", "extended", 10),
        (XE + "show_access-lists/genie-out_3.txt", "FQDN_ACL_WEBAUTH_REDIRECT", "extended", 5),
        (XE + "show_access-lists/genie-out_3.txt", "implicit_deny", "extended", 5),
        (XE + "show_access-lists/genie-out_3.txt", "implicit_permit", "extended", 5),
        (XE + "show_access-lists/genie-out_3.txt", "preauth_v4", "extended", 9),
        (XE + "show_access-lists/genie-out_3.txt", "xACSACLx-IP-CWA_PRE_AUTH-69692867", "extended", 9),
        (XE + "show_ip_access-list_inbound/genie-out_2.txt", "inbound", "extended", 10),
        (XE + "show_ip_access-lists/genie-ip_access_list_out.txt", "ACL_TEST", "extended", 5),
        (XE + "show_ip_access-lists/genie-ip_access_list_out_1.txt", "permit_icmp", "sgacl", 7),
        (XE + "show_ip_access-lists/genie-ip_access_list_out_2.txt", "icmp_echo-01", "sgacl", 7),
        (XE + "show_ip_access-lists/genie-out_customer.txt", "43", "standard", 9),
        (XE + "show_ipv6_access-list/genie-ipv6_access_list_out_1.txt", "v6_sgacl", "sgacl6", 6),
        (XE + "show_ipv6_access-list/genie-out_3.txt", "time_based", "ipv6", 8),
        (XE + "show_cts_rbacl/genie-out.txt", "TCP_51005-01", "rbacl", 8),
        (XE + "show_cts_rbacl/genie-out.txt", "TCP_51060-02", "rbacl", 8),
        (XE + "show_cts_rbacl/genie-out.txt", "TCP_51144-01", "rbacl", 8),
        (XE + "show_cts_rbacl/genie-out.txt", "TCP_51009-01", "rbacl", 8),
    ],
}  # fmt: skip


class Line:
    """The raw words of one entry, read form by form into plain tests on a packet."""

    def __init__(self, number: int, raw: str, kind: str, groups: dict[str, list[str]]) -> None:
        self.number = number
        self.forms: set[str] = set()
        self.maybe = False
        self.refused = " ssh " in raw  # words that IOS does not have: no device has this line, so it has no verdict
        self.fragments = False
        self.services: list[list[str]] | None = None
        self.protocol: int | None = None
        self.source = self.destination = ("any",)
        self.source_port = self.destination_port = self.message = self.flags = None
        self.v6 = kind in ("ipv6", "sgacl6")
        text = re.sub(r"\(tag = \S+\)|\(\d+ (?:estimate )?match(?:es)?\)", self._strip, raw)
        words = text.split()
        if words[0] == "access-list":
            words, _ = words[2:], self.forms.add("numbered")
        if words[0].isdigit():
            words, _ = words[1:], self.forms.add("number first")
        if "sequence" in words:
            words, _ = words[:-2], self.forms.add("sequence at the end")
        self.permit = {"permit": True, "deny": False}[words[0]]
        self.words = words[1:]
        self.groups = groups
        if kind == "standard":
            self._standard()
            return
        self._protocol()
        if kind in ("sgacl", "sgacl6", "rbacl"):
            if self.words[:2] == ["dst", "eq"]:
                self.destination_port, self.words = ("eq", [int(self.words[2])]), self.words[3:]
                self.forms.add("role-based dst eq")
        else:
            self.source = self._address("source")
            self.source_port = self._ports("source port")
            self.destination = self._address("destination")
            self.destination_port = self._ports("destination port")
        self._tail()

    def _strip(self, found: re.Match[str]) -> str:
        self.forms.add("log tag" if "tag" in found[0] else "counter")
        return ""

    def _standard(self) -> None:
        words = [word.rstrip(",") for word in self.words]
        if words[-1] == "log":
            words, _ = words[:-1], self.forms.add("log")
        if words == ["any"]:
            self.forms.add("standard any")
        elif len(words) == 1 or words[0] == "host":
            self.source = ("mask", number(words[-1]), 0)
            self.forms.add("standard host")
        else:
            self.source = ("mask", number(words[0]), number(words[-1]))
            self.forms.add("standard wildcard bits" if "bits" in words else "standard wildcard")
            self._odd(number(words[-1]))

    def _odd(self, wild: int) -> None:
        if wild & (wild + 1):
            self.forms.add("discontiguous wildcard")

    def _protocol(self) -> None:
        word = self.words.pop(0)
        if word == "object-group":
            name = self.words.pop(0)
            members = self.groups.get(name)
            self.forms.add("service group" if members else "service group without definition")
            if members:
                self.services = [member.split() for member in members]
            else:
                self.maybe = True
            return
        self.protocol = int(word) if word.isdigit() else PROTOCOLS[word]
        if word == "icmp" and self.v6:
            self.protocol = 58
        self.forms.add("protocol number" if word.isdigit() else f"protocol {word}")

    def _address(self, side: str) -> tuple:
        word = self.words.pop(0)
        if word == "any":
            return ("any",)
        if word == "object-group":
            name = self.words.pop(0)
            members = self.groups.get(name)
            self.forms.add(f"{side} group" if members else f"{side} group without definition")
            if not members:
                self.maybe = True
                return ("any",)
            (member,) = [item.split() for item in members]
            return ("mask", number(member[0]), number(member[1]) ^ 0xFFFFFFFF)
        self.forms.add(f"{side} {'host' if word == 'host' else 'prefix' if '/' in word else 'wildcard'}")
        if word == "host":
            return ("mask", number(self.words.pop(0)), 0)
        if "/" in word:
            network = ipaddress.ip_network(word, strict=False)
            return ("mask", int(network.network_address), int(network.hostmask))
        wild = number(self.words.pop(0))
        self._odd(wild)
        return ("mask", number(word), wild)

    def _ports(self, side: str) -> tuple | None:
        if not self.words or self.words[0] not in ("eq", "neq", "gt", "lt", "range", "portgroup"):
            return None
        operator = self.words.pop(0)
        if operator == "portgroup":
            self.words.pop(0)
            self.maybe = True
            self.forms.add("port group without definition")
            return None
        ports = []
        while self.words and (self.words[0].isdigit() or self.words[0] in PORTS):
            word = self.words.pop(0)
            ports.append(int(word) if word.isdigit() else PORTS[word])
        self.forms.add(f"{side} {operator}" + (" list" if operator in ("eq", "neq") and len(ports) > 1 else ""))
        return (operator, ports)

    def _tail(self) -> None:
        while self.words:
            word = self.words.pop(0)
            table = MESSAGES6 if self.v6 else MESSAGES
            if word in ("log", "log-input"):
                self.forms.add(word)
            elif word == "established":
                self.flags = ("any", [("A", True), ("R", True)])
                self.forms.add("established")
                if self.words[:1] == ["psh"]:
                    self.words.pop(0)
                    self.flags, self.maybe = ("any", [("A", True), ("R", True), ("P", True)]), True
                    self.forms.add("several flag words")
            elif word == "match-all":
                tests = []
                while self.words and self.words[0][0] in "+-":
                    sign = self.words.pop(0)
                    tests.append((FLAGS[sign[1:]], sign[0] == "+"))
                self.flags = ("all", tests)
                self.forms.add("match-all")
            elif word in ("time-range", "precedence", "tos"):
                self.words.pop(0)
                if self.words[:1] and self.words[0] in ("(active)", "(inactive)"):
                    self.forms.add("time-range " + self.words.pop(0))
                self.maybe = True
                self.forms.add(word)
            elif word in ("auth", "routing"):
                self.maybe = True
                self.forms.add("IPv6 header")
            elif word == "fragments":
                self.fragments = True
                self.forms.add("fragments")
            elif word in table and self.protocol in (1, 58):
                self.message = table[word]
                self.forms.add("ICMP name")
            elif word.isdigit() and self.protocol in (1, 58):
                code = int(self.words.pop(0)) if self.words and self.words[0].isdigit() else None
                self.message = (int(word), code)
                self.forms.add("ICMP number" if code is None else "ICMP number and code")
            else:
                raise ValueError(f"word {word!r} of line {self.number} is not expected")

    def decides(self, packet: dict) -> bool:
        """Return whether the packet may be decided by this line."""
        if not (inside(self.source, packet["source"]) and inside(self.destination, packet["destination"])):
            return False
        if self.services is not None:
            return any(self._service(member, packet) for member in self.services)
        if self.protocol is not None and packet["protocol"] != self.protocol:
            return False
        return self._layer4(packet, self.source_port, self.destination_port, self.message, self.flags)

    def _layer4(
        self, packet: dict, source: tuple | None, destination: tuple | None, message: tuple | None, flags: tuple | None
    ) -> bool:
        if self.fragments:
            return packet["later"]
        if packet["later"]:
            return self.permit or not (source or destination or message or flags)
        return (
            operated(source, packet["source_port"])
            and operated(destination, packet["destination_port"])
            and (message is None or (packet["message"][0] == message[0] and message[1] in (None, packet["message"][1])))
            and (
                flags is None
                or {"any": any, "all": all}[flags[0]]((f in packet["flags"]) == want for f, want in flags[1])
            )
        )

    def _service(self, member: list[str], packet: dict) -> bool:
        if packet["protocol"] != PROTOCOLS[member[0]]:
            return False
        rest = member[1:]
        if rest[:1] == ["eq"]:
            port = int(rest[1]) if rest[1].isdigit() else PORTS[rest[1]]
            return self._layer4(packet, None, ("eq", [port]), None, None)
        return self._layer4(packet, None, None, MESSAGES[rest[0]] if rest else None, None)


def number(word: str) -> int:
    """Return an address as a number."""
    return int(ipaddress.ip_address(word))


def inside(spec: tuple, address: int) -> bool:
    """Return whether an address differs from the value only in bits that the mask lets go."""
    return spec == ("any",) or (address ^ spec[1]) & ~spec[2] == 0


def operated(spec: tuple | None, port: int) -> bool:
    """Return whether an operator holds for a port."""
    if spec is None:
        return True
    operator, ports = spec
    if operator == "eq":
        return port in ports
    if operator == "neq":
        return port not in ports
    if operator == "gt":
        return port > ports[0]
    return port < ports[0] if operator == "lt" else ports[0] <= port <= ports[1]


def raw_lines(text: str, name: str, kind: str) -> tuple[list[tuple[int, str]], dict[str, list[str]]]:
    """Return the entry lines of a list with their numbers, and the members of the object groups of the text."""
    lines = text.split("\n")
    groups: dict[str, list[str]] = {}
    group = None
    found: list[tuple[int, str]] = []
    on = False
    for place, line in enumerate(lines, 1):
        words = line.split()
        if words[:1] == ["object-group"] and words[1] in ("network", "service"):
            group = groups.setdefault(words[2], [])
            continue
        if group is not None and line.startswith(" "):
            group.append(line.strip())
            continue
        group = None
        if kind == "rbacl":
            on = words[2:] == [name] if words[:2] == ["name", "="] else on
        elif re.match(r"\s*(?:(?:Extended|Standard|Role-based) IP|IPv6(?: Role-based)?) access list ", line):
            on = name in words[3:5]
        elif re.match(r"\s*FQDN |\s*IPv6 FQDN ", line):
            on = False
        elif words[:2] in (["ip", "access-list"], ["ipv6", "access-list"]):
            on = words[-1] == name
        elif words[:1] == ["access-list"]:
            on = False
            if words[1] == name and words[2] != "remark":
                found.append((place, line))
        elif words[:1] in (["!"], ["exit"], ["interface"]):
            on = False
        if on and re.match(r"\s*(?:\d+ )?(?:permit|deny)\b", line):
            found.append((place, line))
    return found, groups


def edges(choice: random.Random, spec: tuple, v6: bool) -> tuple[list[int], list[int]]:
    """Return addresses inside and outside of an address form."""
    base = number("2001:db8:77::1") if v6 else number("198.18.7.7")
    if spec == ("any",):
        return [base, base + 5], []
    value, wild = spec[1] & ~spec[2], spec[2]
    loose = [bit for bit in range(128 if v6 else 32) if wild >> bit & 1]
    tight = [bit for bit in range(128 if v6 else 32) if not wild >> bit & 1]
    some = sum(1 << bit for bit in loose if choice.random() < 0.5)
    return [value, value | wild, value | some], [value ^ 1 << choice.choice(tight), (value | some) ^ 1 << tight[0]]


def near(spec: tuple | None) -> tuple[list[int], list[int]]:
    """Return ports inside and outside of a port form."""
    if spec is None:
        return [40001, 1], []
    ports = spec[1]
    tried = sorted({p for port in ports for p in (port - 1, port, port + 1)} & set(range(65536)) | {0, 65535})
    return [p for p in tried if operated(spec, p)], [p for p in tried if not operated(spec, p)]


def packets(choice: random.Random, line: Line) -> list[dict]:
    """Return packets at the edges of a line: inside in every field, outside in one, later fragments."""
    sources, not_sources = edges(choice, line.source, line.v6)
    destinations, not_destinations = edges(choice, line.destination, line.v6)
    source_ports, not_source_ports = near(line.source_port)
    destination_ports, not_destination_ports = near(line.destination_port)
    kinds = [line.message or (8, 0), (3, 4), (11, 0), (0, 0), (3, 13)]
    if line.message and line.message[1] is not None:
        kinds += [(line.message[0], line.message[1] + 1)] * 2  # the same type with the next code
    messages = [(kind, choice.choice([0, 1, 4]) if code is None else code) for kind, code in kinds]
    protocols = [line.protocol if line.protocol is not None else choice.choice([6, 17, 47])]
    if line.services:
        member = choice.choice(line.services)
        protocols = [PROTOCOLS[member[0]]]
        if member[1:2] == ["eq"]:
            destination_ports = [int(member[2]) if member[2].isdigit() else PORTS[member[2]]]
            not_destination_ports = [destination_ports[0] + 1]
        elif member[1:]:
            messages[0] = (MESSAGES[member[1]][0], 0)
    flags = ["S", "A", "SA", "R", "AF", "PA", "F", "none"]
    sure = {
        "protocol": protocols, "source": sources, "destination": destinations, "source_port": source_ports,
        "destination_port": destination_ports, "message": messages[:1], "flags": flags, "later": [False],
    }  # fmt: skip
    other = {
        "protocol": [17 if protocols[0] == 6 else 6, 89], "source": not_sources, "destination": not_destinations,
        "source_port": not_source_ports, "destination_port": not_destination_ports, "message": messages[1:],
        "later": [True] * (4 if line.fragments else 1),
    }  # fmt: skip
    result = [{field: choice.choice(values) for field, values in sure.items()} for _ in range(3)]
    for field, values in other.items():
        for value in values:
            result.append({**{f: choice.choice(v) for f, v in sure.items()}, field: value})
    choice.shuffle(result)
    return result


def text_of(packet: dict, v6: bool) -> str:
    """Return a packet in the notation of ``tests/unit/dialects/meaning.py``."""
    names = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 47: "gre", 50: "esp", 2: "igmp", 89: "ospf", 103: "pim"}
    word = names.get(packet["protocol"], str(packet["protocol"]))
    address = ipaddress.IPv6Address if v6 else ipaddress.IPv4Address
    ends = [str(address(packet[side])) for side in ("source", "destination")]
    if packet["later"]:
        return f"{word} {ends[0]} {ends[1]} frag"
    if word in ("tcp", "udp"):
        mark = "#" if v6 else ":"
        ends = [f"{ends[0]}{mark}{packet['source_port']}", f"{ends[1]}{mark}{packet['destination_port']}"]
        return f"{word} {ends[0]} {ends[1]}" + (f" {packet['flags']}" if word == "tcp" else "")
    if word in ("icmp", "icmp6"):
        return f"{word} {ends[0]} {ends[1]} {packet['message'][0]}/{packet['message'][1]}"
    return f"{word} {ends[0]} {ends[1]}"


def verdicts(corpora: Path, path: str, name: str, kind: str, wanted: int, forms: Counter[str]) -> list[dict]:
    """Return the verdicts of one list."""
    choice = random.Random(f"{path} {name}")
    found, groups = raw_lines((corpora / path).read_text(), name, kind)
    lines = [Line(place, raw, kind, groups) for place, raw in found]
    if not lines:
        raise ValueError(f"{path}: no line of list {name}")
    v6 = kind in ("ipv6", "sgacl6")
    result: dict[str, dict] = {}
    for line in lines:
        new = 0
        rare = line.maybe or line.fragments or any(form.endswith(" list") for form in line.forms)
        for packet in packets(choice, line):
            if line.v6 and packet["protocol"] == 1:
                packet["protocol"] = 58
            text = text_of(packet, v6)
            if text in result or new == wanted + 4 * rare:
                continue
            decided = next((item for item in lines if item.decides(packet)), None)
            if decided is not None and decided.refused:
                continue
            new += 1
            if decided is None:
                permit: bool | str = kind in ("sgacl", "sgacl6", "rbacl")
                if v6 and kind == "ipv6" and packet["protocol"] == 58 and packet["message"][0] in (135, 136):
                    permit = True
                forms["implicit end"] += 1
                result[text] = {"packet": text, "verdict": "permit" if permit else "deny", "line": 0}
                continue
            forms.update(decided.forms | {"permit" if decided.permit else "deny"})
            verdict = "not modelled" if decided.maybe else "permit" if decided.permit else "deny"
            result[text] = {"packet": text, "verdict": verdict, "line": decided.number}
    decided_lines = {row["line"] for row in result.values()}
    rows = list(result.values())
    for line in lines:
        if line.number in decided_lines or line.refused:
            continue
        # Earlier lines take every packet of this one, so it is judged alone.
        for packet in packets(choice, line)[:6]:
            matches = line.decides(packet)
            rows.append(
                {
                    "packet": text_of(packet, v6),
                    "verdict": "in the line" if matches else "not in the line",
                    "line": line.number,
                }
            )
            forms.update(line.forms if matches else ())
    return rows


def main(corpora: Path) -> None:
    """Write one YAML file for each platform and print how often each form decided."""
    for platform, lists in LISTS.items():
        forms: Counter[str] = Counter()
        groups = [
            {"file": path, "list": name, "kind": kind, "packets": verdicts(corpora, path, name, kind, wanted, forms)}
            for path, name, kind, wanted in lists
        ]
        count = sum(len(group["packets"]) for group in groups)
        rows = [
            f"# {count} verdicts from the raw text of public access lists; how: derive.py in this folder. Line 0 is the implicit end.",
            "# Packets: tests/unit/dialects/meaning.py. 'not modelled': the line has a condition that no packet field holds.",
            "# 'in the line' and 'not in the line': of a line that decides nothing, since earlier lines take all its packets.",
            "forms: " + yaml.safe_dump(dict(sorted(forms.items())), default_flow_style=True, width=10**6).strip(),
            "lists:",
        ]
        for group in groups:
            rows += [
                f"  - file: {group['file']}",
                f"    list: {group['list']!r}",
                f"    kind: {group['kind']}",
                "    packets:",
            ]
            rows += [
                f"      - {{line: {p['line']}, verdict: {p['verdict']}, packet: '{p['packet']}'}}"
                for p in group["packets"]
            ]
        (Path(__file__).parent / f"{platform}.yaml").write_text("\n".join(rows) + "\n")
        print(platform, count)
        for form, times in sorted(forms.items()):
            print(f"  {times:4d} {form}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
