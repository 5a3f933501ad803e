# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated switch's configuration: what it takes, how it rewrites it, what it refuses, what changes nothing.

The oracle of meaning is tests.lab.evaluate, which shares no parser with the switch.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.lab.evaluate import evaluate_acl
from tests.lab.iosxe import modes
from tests.lab.iosxe.cli import Cli
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.device import Device
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec
from tests.lab.iosxe.verdicts import decide

PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{n}", f"port {n}", 10) for n in range(1, 9))
HOSTS = (HostSpec("02:1a:10:00:00:11", "10.10.0.11", "GigabitEthernet1/0/1", 10),)


def switch(**more: Any) -> Device:
    return Device(DeviceSpec("acc1", "127.10.78.1", interfaces=PORTS, hosts=HOSTS, **more))


def entries(device: Device, name: str = "T") -> list[str]:
    """The list as show ip access-lists prints it, without the title."""
    return [line.strip() for line in device.config.lists[name].show_lines()[1:]]


def typed(device: Device, *lines: str) -> list[str]:
    return apply_lines(device, list(lines))


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("permit tcp 10.0.0.1 0.0.0.0 any eq 80", "permit tcp host 10.0.0.1 any eq www"),
        ("permit ip 1.2.3.4 255.255.255.255 0.0.0.0 255.255.255.255", "permit ip any any"),
        ("permit ip 10.1.2.3 0.0.0.255 any", "permit ip 10.1.2.0 0.0.0.255 any"),
        ("permit ip 10.1.2.3 0.0.255.0 any", "permit ip 10.1.0.3 0.0.255.0 any"),
        ("permit 6 any any eq 443", "permit tcp any any eq 443"),
        ("permit 17 any eq 68 any eq 67", "permit udp any eq bootpc any eq bootps"),
        ("deny 1 any any 8", "deny icmp any any echo"),
        ("deny icmp any any 3 4", "deny icmp any any packet-too-big"),
        ("deny icmp any any 10 66", "deny icmp any any 10 66"),
        ("permit 112 any any", "permit 112 any any"),
        ("permit tcp any any eq 22 443 80", "permit tcp any any eq 22 443 www"),
        ("permit tcp any any eq 514", "permit tcp any any eq cmd"),
        ("permit udp any any eq 514", "permit udp any any eq syslog"),
        ("permit tcp any any range 80 80", "permit tcp any any eq www"),
        ("permit tcp any any log established", "permit tcp any any established log"),
        ("permit tcp any any match-all +ack -fin log", "permit tcp any any match-all +ack -fin log"),
        ("permit ip any any log fragments", "permit ip any any fragments log"),
        ("perm tcp an host 10.0.0.1 eq dom est", "permit tcp any host 10.0.0.1 eq domain established"),
        ("permit tcp host 10.0.0.1 gt 1023 any lt 1024", "permit tcp host 10.0.0.1 gt 1023 any lt 1024"),
    ],
)
def test_entries_are_rewritten_as_the_device_does(line: str, stored: str) -> None:
    device = switch()
    assert typed(device, "ip access-list extended T", line) == ["", ""]
    assert entries(device) == [f"10 {stored}"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("permit ip any any eq 80", "eq"),
        ("permit icmp any any eq 80", "eq"),
        ("permit tcp any any eq 70000", "70000"),
        ("permit tcp any any eq nosuchport", "nosuchport"),
        ("permit tcp any any range 90 80", "80"),
        ("permit tcp any any gt 65535", "65535"),
        ("permit tcp any any foo", "foo"),
        ("permit udp any any established", "established"),
        ("permit tcp any any eq 80 fragments", "fragments"),
        ("permit ip 10.0.0.300 0.0.0.255 any", "10.0.0.300"),
        ("permit ip 10.0.0.0 0.0.0 any", "0.0.0"),
        ("permit ip 10.0.0.0/24 any", "10.0.0.0/24"),
        ("permit ip host any any", "any"),
        ("permit 256 any any", "256"),
        ("permit nosuch any any", "nosuch"),
        ("permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11", "11"),
        ("permit ip any any ipv6", "ipv6"),
        ("permit object-group G any any", "object-group"),
        ("0 permit ip any any", "0"),
    ],
)
def test_a_refused_entry_changes_nothing_and_the_caret_points_at_the_word(line: str, word: str) -> None:
    device = switch()
    typed(device, "ip access-list extended T", "permit udp any any eq 53")
    before, lines = device.config.body(), device.counters.config_changes
    output = typed(device, "ip access-list extended T", line)[1]
    caret, message = output.splitlines()[:2]
    assert message == "% Invalid input detected at '^' marker."
    typed_line = f"acc1(config-ext-nacl)#{line}"
    assert typed_line[caret.index("^") :].split(None, 1)[0] == word
    assert device.config.body() == before
    assert device.counters.config_changes == lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("permit tcp any", "% Incomplete command.\n\n"),
        ("permit", "% Incomplete command.\n\n"),
        ("10", "% Incomplete command.\n\n"),
        ("permit tcp any any eq net", '% Ambiguous command:  "permit tcp any any eq net"\n'),
        ("10 permit ip any any", "% Duplicate sequence number\n"),
        ("remark seen before", "% Duplicate remark statement\n"),
    ],
)
def test_other_refusals(line: str, message: str) -> None:
    device = switch()
    typed(device, "ip access-list extended T", "10 permit tcp any any eq 22", "remark seen before")
    before = device.config.body()
    if "net" in line:  # only UDP has several names that begin so
        line, message = line.replace("tcp", "udp"), message.replace("tcp", "udp")
    assert typed(device, "ip access-list extended T", line)[1] == message
    assert device.config.body() == before


def test_sequence_numbers_insert_append_remove_and_resequence() -> None:
    device = switch()
    typed(
        device,
        "ip access-list extended T",
        "permit tcp any any eq 1",
        "permit tcp any any eq 2",
        "15 permit tcp any any eq 3",
        "permit tcp any any eq 4",
        "40 permit tcp any any eq 5",
    )
    assert entries(device) == [
        "10 permit tcp any any eq 1",
        "15 permit tcp any any eq 3",
        "20 permit tcp any any eq 2",
        "30 permit tcp any any eq 4",
        "40 permit tcp any any eq 5",
    ]
    typed(device, "ip access-list extended T", "no 15", "no permit tcp any any eq 4", "no 40 permit tcp any any eq 9")
    assert entries(device) == ["10 permit tcp any any eq 1", "20 permit tcp any any eq 2", "40 permit tcp any any eq 5"]
    typed(device, "ip access-list resequence T 100 5")
    assert [line.split()[0] for line in entries(device)] == ["100", "105", "110"]


def test_repeated_entries_and_attachments_change_nothing() -> None:
    device = switch()
    first = ["ip access-list extended T", "permit tcp any any eq 80", "interface Gi1/0/1", "ip access-group T in"]
    typed(device, *first)
    changes, body = device.counters.config_changes, device.config.body()
    outputs = typed(device, *first, "ip access-list extended T", "99 permit 6 any any eq www")
    assert outputs == [""] * 6
    assert device.counters.config_changes == changes
    assert device.config.body() == body


def test_remarks_belong_to_the_next_entry_and_go_with_it() -> None:
    device = switch()
    typed(
        device,
        "ip access-list extended T",
        "remark r1",
        "remark r2",
        "permit ip host 10.0.0.1 any",
        "remark r1",
        "permit ip host 10.0.0.2 any",
        "remark loose end",
    )
    assert device.config.lists["T"].config_lines() == [
        "ip access-list extended T",
        " 10 remark r1",
        " 10 remark r2",
        " 10 permit ip host 10.0.0.1 any",
        " 20 remark r1",
        " 20 permit ip host 10.0.0.2 any",
        " 30 remark loose end",
    ]
    assert entries(device) == ["10 permit ip host 10.0.0.1 any", "20 permit ip host 10.0.0.2 any"]
    typed(device, "ip access-list extended T", "no 10", "no remark loose end")
    assert device.config.lists["T"].config_lines() == [
        "ip access-list extended T",
        " 20 remark r1",
        " 20 permit ip host 10.0.0.2 any",
    ]


def test_ipv6_role_based_and_standard_lists() -> None:
    device = switch()
    assert (
        typed(
            device,
            "ipv6 access-list B",
            "permit tcp any host 2001:db8::1 eq 179",
            "sequence 5 deny icmp any any nd-ns",
            "permit ipv6 2001:db8::5/64 any sequence 7",
            "permit ipv6 any any eq 5",
        )[:4]
        == [""] * 4
    )
    assert device.config.lists6["B"].config_lines() == [
        "ipv6 access-list B",
        " sequence 5 deny icmp any any nd-ns",
        " sequence 7 permit ipv6 2001:DB8::/64 any",
        " sequence 10 permit tcp any host 2001:DB8::1 eq bgp",
    ]
    assert device.config.lists6["B"].show_lines()[3] == "    permit tcp any host 2001:DB8::1 eq bgp sequence 10"
    outputs = typed(
        device,
        "ip access-list role-based R",
        "permit tcp dst eq 443",
        "permit tcp src eq 443 established",
        "permit tcp any any",
        "permit tcp dst eq 1 2",
        "permit icmp echo",
        "deny ip log",
    )
    assert [bool(output) for output in outputs] == [False, False, False, True, True, False, False]
    assert entries(device, "R") == [
        "10 permit tcp dst eq 443",
        "20 permit tcp src eq 443 established",
        "30 permit icmp echo",
        "40 deny ip log",
    ]
    typed(device, "ip access-list standard 10", "permit 10.1.0.0 0.0.255.255", "permit host 10.0.0.1")
    assert entries(device, "10") == ["10 permit 10.1.0.0, wildcard bits 0.0.255.255", "20 permit 10.0.0.1"]


def test_names_and_kinds() -> None:
    device = switch()
    assert typed(device, "ip access-list extended T", "ip access-list standard T")[1].startswith(
        "% A named Extended IP"
    )
    assert typed(device, "ip access-list extended 50")[0].startswith("% Invalid access list name")
    assert typed(device, "ip access-list extended 1abc")[0].startswith("% Invalid access list name")
    assert "'^' marker" in typed(device, "ip access-list extended " + "a" * 65)[0]
    assert "'^' marker" in typed(device, "access-list 101 permit ip any any")[0]
    assert list(device.config.lists) == ["T"]


def test_trustsec_lines() -> None:
    device = switch()
    lines = [
        "cts role-based permissions from 10 to 20 A B",
        "cts role-based permissions from unknown to 20 ipv4 A",
        "cts role-based permissions default ipv4 D",
        "cts role-based sgt-map 10.0.0.1 sgt 30",
        "cts role-based monitor permissions from 10 to 20 ipv4",
        "cts role-based enforcement vlan-list 20-22,30",
    ]
    assert typed(device, *lines) == [""] * 6
    text = device.config.body()
    for line in (
        "cts role-based permissions from 10 to 20 ipv4 A B",
        "cts role-based permissions from unknown to 20 ipv4 A",
        "cts role-based enforcement vlan-list 10,20-22,30",
        "cts role-based monitor permissions from 10 to 20 ipv4",
    ):
        assert f"\n{line}\n" in text
    assert typed(device, *lines) == [""] * 6
    assert device.config.body() == text
    typed(
        device,
        "no cts role-based permissions from 10 to 20 ipv4 B",
        "no cts role-based permissions default ipv4",
        "no cts role-based permissions from unknown to 20",
        "no cts role-based enforcement vlan-list 21",
    )
    assert device.config.cts.permissions == {(10, 20, 4): ["A"]}
    assert device.config.cts.defaults == {}
    assert device.config.cts.vlans == {10, 20, 22, 30}
    for bad in (
        "cts role-based permissions from 70000 to 1 A",
        "cts role-based permissions from 1 to 2",
        "cts role-based foo",
    ):
        assert typed(device, bad)[0].rstrip().splitlines()[-1].startswith("%")


def test_interface_settings_and_fall_back_to_global_commands() -> None:
    device = switch()
    outputs = typed(
        device,
        "interface gi1/0/2",
        "description pump two",
        "switchport access vlan 33",
        "ip access-group NEW in",
        "ip access-group NEWER in",
        "shutdown",
        "ip access-list extended NEWER",
        "interface range gi1/0/3 - 5",
        "ip access-group NEWER in",
        "line vty 0 15",
        "access-class NEWER in",
    )
    assert outputs == [""] * 11
    assert device.config.interfaces["GigabitEthernet1/0/2"].config_lines() == [
        "interface GigabitEthernet1/0/2",
        " description pump two",
        " switchport access vlan 33",
        " switchport mode access",
        " ip access-group NEWER in",
        " shutdown",
    ]
    assert [n for n, each in device.config.interfaces.items() if each.access_group("in") == "NEWER"] == [
        f"GigabitEthernet1/0/{number}" for number in (2, 3, 4, 5)
    ]
    assert "line vty 5 15\n transport input ssh\n access-class NEWER in\n" in device.config.body()
    assert "'^' marker" in typed(device, "interface GigabitEthernet9/0/1")[0]
    assert typed(device, "interface gi1/0/2", "no ip access-group OTHER in") == ["", ""]
    assert device.config.interfaces["GigabitEthernet1/0/2"].access_group("in") == "NEWER"
    typed(device, "interface gi1/0/2", "no ip access-group NEWER in")
    assert device.config.interfaces["GigabitEthernet1/0/2"].access_group("in") is None


ADDRESSES = [
    "any",
    "host 10.0.0.1",
    "10.0.0.0 0.0.0.255",
    "10.0.0.77 0.0.255.0",
    "0.0.0.0 255.255.255.255",
    "10.0.1.9 0.0.0.0",
]
PORT_WORDS = ["", "eq 80", "eq www 443", "neq 53", "gt 1000", "lt 100", "range 50 90", "eq domain"]


def random_ace(rng: random.Random) -> str:
    protocol = rng.choice(["ip", "tcp", "udp", "icmp", "6", "17", "1", "112"])
    words = [rng.choice(["permit", "deny"]), protocol]
    for _side in range(2):
        words.append(rng.choice(ADDRESSES))
        if protocol in ("tcp", "udp", "6", "17"):
            word = rng.choice(PORT_WORDS)
            words.append(word.replace("www", "ntp") if protocol in ("udp", "17") else word)
    if protocol in ("tcp", "6"):
        words.append(rng.choice(["", "", "established", "syn", "match-all +syn -ack"]))
    if protocol in ("icmp", "1"):
        words.append(rng.choice(["", "8", "echo-reply", "3 4", "unreachable"]))
    words.append(rng.choice(["", "", "log"]))
    return " ".join(word for word in words if word)


def random_packet(rng: random.Random) -> dict[str, Any]:
    return {
        "protocol": rng.choice([6, 17, 1, 112]),
        "source": rng.choice(["10.0.0.1", "10.0.0.77", "10.0.9.77", "10.0.1.9", "9.9.9.9"]),
        "destination": rng.choice(["10.0.0.1", "10.0.0.5", "10.0.1.9", "8.8.8.8"]),
        "source_port": rng.choice([53, 70, 80, 2000]),
        "destination_port": rng.choice([53, 80, 90, 443, 5000]),
        "tcp_flags": rng.choice([["syn"], ["syn", "ack"], ["ack"], ["rst"]]),
        "icmp_type": rng.choice([0, 3, 8]),
        "icmp_code": rng.choice([0, 4]),
        "fragment_offset": rng.choice([0, 0, 0, 100]),
    }


@pytest.mark.parametrize("seed", range(12))
def test_rewriting_keeps_the_meaning(seed: int) -> None:
    rng = random.Random(seed)
    device = switch()
    lines = [random_ace(rng) for _ in range(12)]
    assert typed(device, "ip access-list extended T", *lines) == [""] * 13
    stored = device.config.lists["T"].lines
    for _ in range(150):
        packet = random_packet(rng)
        # A repeated entry is dropped by the switch; it never changes the first match.
        assert evaluate_acl(lines, packet).permit == evaluate_acl(stored, packet).permit, (lines, packet)


def random_line(rng: random.Random) -> str:
    name, port = rng.choice("ABC"), rng.randint(1, 9)
    return rng.choice(
        [
            f"ip access-list extended {name}",
            f"no ip access-list extended {name}",
            random_ace(rng),
            random_ace(rng),
            f"{rng.choice([5, 10, 20, 35])} {random_ace(rng)}",
            f"no {rng.choice([5, 10, 20])}",
            f"no {random_ace(rng)}",
            f"remark note {port}",
            f"10 remark note {port}",
            f"no remark note {port}",
            f"ip access-list resequence {name} 10 {port}",
            f"interface gi1/0/{port}",
            f"ip access-group {name} in",
            f"no ip access-group {name} in",
            "shutdown",
            "no shutdown",
            f"description text {port}",
            f"switchport access vlan {port}",
            "line vty 0 4",
            f"access-class {name} in",
            f"no access-class {name} in",
            f"cts role-based permissions from {port} to 2 {name}",
            f"cts role-based sgt-map 10.0.0.{port} sgt 5",
            f"no cts role-based permissions from {port} to 2",
            "cts role-based monitor all",
            "no cts role-based monitor all",
            f"ip access-list role-based R{name}",
            "permit tcp dst eq 80",
            f"vlan {port + 20}",
            f"name V{port}",
            f"no vlan {port + 20}",
            "foo bar",
            "permit tcp any any eq",
            f"ipv6 access-list S{name}",
            "permit ipv6 any any",
            "archive",
            "path flash:x",
            "no archive",
            "hostname other",
            "ntp server 10.0.0.9",
            "no ntp server 10.0.0.9",
            "exit",
        ]
    )


@pytest.mark.one_python
@pytest.mark.parametrize("seed", range(8))
def test_a_line_counts_as_change_exactly_when_the_text_changes(seed: int) -> None:
    rng = random.Random(1000 + seed)
    device = switch()
    cli = Cli(device, "admin", privilege=15)
    cli.mode = modes.CONFIG
    for _ in range(250):
        before, changes = device.config.body(), device.counters.config_changes
        line = random_line(rng)
        output = cli.configure(line)
        if not cli.configuring:
            cli.mode = modes.CONFIG
        after = device.config.body()
        assert (device.counters.config_changes > changes) == (before != after), line
        if output:
            assert after == before, (line, output)
    text = device.config.body()
    device.replace_config(text)
    assert device.config.body() == text


def run(cli: Cli, line: str) -> str:
    return asyncio.run(cli.run(line))


def test_dump_and_restore_give_the_same_bytes() -> None:
    device = switch(
        initial_config="ip access-list extended T\n permit tcp any any eq 80\n"
        "interface Vlan10\n ip address 10.10.0.1 255.255.255.0\n"
    )
    cli = Cli(device, "admin", privilege=15)
    typed(
        device,
        "interface gi1/0/1",
        "ip access-group T in",
        "ip access-list extended T",
        "5 remark x",
        "5 deny udp any any",
        "vlan 99",
        "name n99",
    )
    run(cli, "write memory")
    typed(device, "ip access-list extended T", "no 5")
    packet = {
        "protocol": 6,
        "source": "10.10.0.11",
        "destination": "10.0.0.1",
        "source_port": 5,
        "destination_port": 80,
        "tcp_flags": ["syn"],
    }
    decide(device, {"interface": "GigabitEthernet1/0/1", "direction": "in", "packet": packet}, count=3)
    state, text, shown = device.dump(), device.running_text(), run(cli, "show ip access-lists")
    assert "(3 matches)" in shown
    typed(device, "no ip access-list extended T", "hostname changed")
    run(cli, "write memory")
    device.restore(state)
    assert device.running_text() == text
    assert run(cli, "show ip access-lists") == shown
    assert device.startup != device.config.body()
    assert " 5 remark x\n 5 deny udp any any\n" in device.startup


def test_running_config_header_counts_bytes_and_names_the_last_change() -> None:
    device = Device(DeviceSpec("acc1", "127.10.78.1", interfaces=PORTS), clock=lambda: 1795464062.0)
    assert "! No configuration change since last restart\n" in device.running_text()
    typed(device, "hostname x2")
    text = device.running_text()
    head, _, body = text.partition(" bytes\n")
    assert int(head.split()[-1]) == len(body)
    assert "! Last configuration change at 20:01:02 UTC Mon Nov 23 2026 by other-admin\n" in text


def test_filters_of_show_commands() -> None:
    device = switch()
    cli = Cli(device, "admin", privilege=15)
    typed(device, "ip access-list extended T", "permit ip any any", "interface gi1/0/1", "ip access-group T in")
    assert run(cli, "sh run | sec access-list") == "ip access-list extended T\n 10 permit ip any any\n"
    assert run(cli, "show running-config | include ^ ip access-group") == " ip access-group T in\n"
    assert run(cli, "show running-config | begin line vty 5").splitlines()[0] == "line vty 5 15"
    assert run(cli, "show running-config interface gi1/0/1").splitlines()[3:6] == [
        "!",
        "interface GigabitEthernet1/0/1",
        " description port 1",
    ]
    assert "'^' marker" in run(cli, "show running-config | nonsense x")
    assert run(cli, "show users | count vty") == "Number of lines which match regexp = 0\n"


def test_every_object_name_in_the_emulator_is_its_own() -> None:
    """The emulator is an independent check: it imports nothing from the collection."""
    folder = Path(__file__).resolve().parents[2] / "lab" / "iosxe"
    for file in folder.rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(from|import)\s", line):
                assert "ansible_collections" not in line, file
                assert "plugins" not in line, file


def test_acl_capacity_is_told_by_the_log_and_traffic_is_dropped() -> None:
    device = switch(acl_capacity=139, acl_used=129)
    packet = {
        "protocol": 17,
        "source": "10.10.0.11",
        "destination": "10.0.0.1",
        "source_port": 5,
        "destination_port": 3,
    }
    probe = {"interface": "GigabitEthernet1/0/1", "direction": "in", "packet": packet}
    typed(
        device,
        "ip access-list extended T",
        *(f"permit udp any any eq {n}" for n in range(1, 11)),
        "interface gi1/0/1",
        "ip access-group T in",
    )
    assert decide(device, probe).permit is True
    assert typed(device, "ip access-list extended T", "permit udp any any eq 11") == ["", ""]
    assert any("%ACL_ERRMSG-4-UNLOADED" in line and " T " in line for line in device.log or ())
    assert decide(device, probe).permit is False
    typed(device, "ip access-list extended T", "no permit udp any any eq 11")
    assert decide(device, probe).permit is True
    limited = switch(max_list_entries=2)
    outputs = typed(
        limited,
        "ip access-list extended T",
        "permit udp any any eq 1",
        "permit udp any any eq 2",
        "permit udp any any eq 3",
    )
    assert outputs[3].startswith("% Failed to add ace")


@pytest.mark.parametrize("address", ["10.0.0.300", "10.0.0", "::1"])
def test_addresses_are_checked(address: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ipaddress.IPv4Address(address)
    assert "'^' marker" in typed(switch(), "interface gi1/0/1", f"ip address {address} 255.255.255.0")[1]
