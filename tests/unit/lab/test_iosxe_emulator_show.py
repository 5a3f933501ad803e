# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulated switch shows, and what it does with packets.

Oracles: the public ntc-templates (they raise on lines they do not know), the headings of real outputs in the corpora,
and tests.lab.evaluate.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.lab.iosxe.cli import Cli
from tests.lab.iosxe.control import apply_lines
from tests.lab.iosxe.device import Device
from tests.lab.iosxe.provider import StaticProvider
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec, NeighbourSpec
from tests.lab.iosxe.verdicts import decide, verdict_string

PORTS = (
    *(InterfaceSpec(f"GigabitEthernet1/0/{n}", f"room {n}", 10) for n in range(1, 5)),
    InterfaceSpec("GigabitEthernet1/0/5", "", 20, up=False),
    InterfaceSpec("TenGigabitEthernet1/1/1", "uplink", trunk=True),
)
PUMP, MONITOR = "02:1a:10:00:00:11", "02:1a:10:00:00:21"
HOSTS = (
    HostSpec(PUMP, "10.10.0.11", "GigabitEthernet1/0/1", 10),
    HostSpec(MONITOR, "10.10.0.21", "GigabitEthernet1/0/2", 10, dhcp=False, ipv6="fe80::21"),
)
NEIGHBOURS = (
    NeighbourSpec("TenGigabitEthernet1/1/1", "core1.example.net", "TenGigabitEthernet1/0/7", "10.0.0.1"),
    NeighbourSpec(
        "GigabitEthernet1/0/3",
        "SEP0011",
        "Port 1",
        "10.10.0.30",
        "Phone",
        "02:00:00:00:00:30",
        "B,T",
        "IP phone",
        "lldp",
        "Maker Inc",
        "M-77",
        "SN123",
    ),
)
DACL = ["permit udp any eq 68 any eq 67", "permit tcp any host 10.40.0.13 eq 1883", "deny ip any any"]
SESSIONS: list[dict[str, Any]] = [
    {
        "mac": PUMP,
        "ip": "10.10.0.11",
        "dacl": "#ACSACL#-IP-Pumps-6925a1b2",
        "dacl_lines": DACL,
        "sgt": 100,
        "sgt_name": "Pumps",
    },
    {"mac": MONITOR, "dacl": None, "sgt": 110, "method": "dot1x"},
]
MQTT = {"name": "Mqtt-01", "ip_version": "IPV4", "lines": ["permit tcp dst eq 1883", "permit icmp"]}
CELLS: list[dict[str, Any]] = [
    {"source": 110, "destination": 100, "status": "ENABLED", "default_rule": "DENY_IP", "sgacls": [MQTT]},
    {"source": 100, "destination": 110, "status": "MONITOR", "default_rule": "DENY_IP", "sgacls": []},
    {"source": 100, "destination": 200, "status": "ENABLED", "default_rule": "DENY_IP", "sgacls": []},
    {"source": "default", "destination": "default", "status": "ENABLED", "default_rule": "PERMIT_IP", "sgacls": []},
]
NAMES = {100: "Pumps", 110: "Patient Monitors"}
CONFIG = "interface Vlan10\n ip address 10.10.0.2 255.255.255.0\n"


def switch(provider: StaticProvider | None = None, **more: Any) -> Device:
    spec = DeviceSpec(
        "acc1",
        "127.10.78.1",
        interfaces=PORTS,
        hosts=HOSTS,
        neighbours=NEIGHBOURS,
        initial_config=more.pop("initial", CONFIG),
        **more,
    )
    return Device(spec, provider or StaticProvider(SESSIONS, CELLS, NAMES))


def show(device: Device, command: str) -> str:
    return asyncio.run(Cli(device, "admin", privilege=15).run(command))


def rows(device: Device, command: str) -> list[dict[str, Any]]:
    parse = pytest.importorskip("ntc_templates.parse").parse_output
    found: list[dict[str, Any]] = parse(platform="cisco_ios", command=command, data=show(device, command))
    return found


def tcp(source: str, destination: str, port: int, *flags: str, source_port: int = 40000) -> dict[str, Any]:
    return {
        "protocol": 6,
        "source": source,
        "destination": destination,
        "source_port": source_port,
        "destination_port": port,
        "tcp_flags": flags or ("syn",),
    }


# -- public parsers ------------------------------------------------------------------------------------------------------


def test_public_parsers_read_the_tables() -> None:
    device = switch()
    macs = rows(device, "show mac address-table")
    assert [(r["destination_address"], r["vlan_id"], r["destination_port"]) for r in macs if r["vlan_id"] != "All"] == [
        ("021a.1000.0011", "10", ["Gi1/0/1"]),
        ("021a.1000.0021", "10", ["Gi1/0/2"]),
    ]
    assert [(r["ip_address"], r["mac_address"], r["interface"]) for r in rows(device, "show ip arp")][1:] == [
        ("10.10.0.11", "021a.1000.0011", "Vlan10"),
        ("10.10.0.21", "021a.1000.0021", "Vlan10"),
    ]
    leases = rows(device, "show ip dhcp snooping binding")
    assert [(r["mac_address"], r["ip_address"], r["vlan_id"], r["interface"]) for r in leases] == [
        ("02:1A:10:00:00:11", "10.10.0.11", "10", "GigabitEthernet1/0/1")
    ]
    version = rows(device, "show version")[0]
    assert (version["hostname"], version["version"], version["running_image"]) == ("acc1", "17.9.4a", "packages.conf")
    assert version["hardware"] == ["C9300-48U"]
    ports = {r["port"]: r for r in rows(device, "show interfaces status")}
    assert (ports["Gi1/0/5"]["status"], ports["Te1/1/1"]["vlan_id"], ports["Gi1/0/1"]["name"]) == (
        "notconnect",
        "trunk",
        "room 1",
    )
    vlans = {r["vlan_id"]: r for r in rows(device, "show vlan")}
    assert vlans["10"]["interfaces"] == ["Gi1/0/1", "Gi1/0/2", "Gi1/0/3", "Gi1/0/4"]
    assert rows(device, "show inventory")[0]["pid"].strip() == "C9300-48U"


def test_public_parsers_read_neighbours() -> None:
    device = switch()
    lldp = {r["neighbor_name"]: r for r in rows(device, "show lldp neighbors detail")}
    assert lldp["core1.example.net"]["local_interface"] == "Te1/1/1"
    assert lldp["core1.example.net"]["neighbor_interface"] == "TenGigabitEthernet1/0/7"
    assert lldp["core1.example.net"]["mgmt_address"] == "10.0.0.1"
    phone = lldp["SEP0011"]
    assert (phone["serial"], phone["manufacturer"], phone["platform"]) == ("SN123", "Maker Inc", "M-77")
    cdp = rows(device, "show cdp neighbors detail")
    assert [(r["neighbor_name"], r["local_interface"], r["mgmt_address"]) for r in cdp] == [
        ("core1.example.net", "TenGigabitEthernet1/1/1", "10.0.0.1")
    ]


def test_public_parsers_read_sessions_lists_and_attachments() -> None:
    device = switch()
    apply_lines(
        device,
        [
            "ip access-list extended T",
            "permit tcp any host 10.0.0.1 eq 443",
            "interface gi1/0/3",
            "ip access-group T in",
            "interface Vlan10",
            "ip access-group T out",
        ],
    )
    sessions = rows(device, "show access-session")
    assert [(r["interface"], r["mac_address"], r["method"], r["status"]) for r in sessions[:2]] == [
        ("Gi1/0/1", "021a.1000.0011", "mab", "Auth"),
        ("Gi1/0/2", "021a.1000.0021", "dot1x", "Auth"),
    ]
    # The template refuses role-based lists, so give it one list only, as users of it do.
    parse = pytest.importorskip("ntc_templates.parse").parse_output
    found = parse(platform="cisco_ios", command="show ip access-lists", data=show(device, "show ip access-lists T"))
    assert [(r["acl_name"], r["line_num"], r["action"], r["dst_port"]) for r in found if r["line_num"]] == [
        ("T", "10", "permit", "443")
    ]
    attached = {r["interface"]: r for r in rows(device, "show ip interface")}
    assert attached["Vlan10"]["outgoing_acl"] == "T"
    assert attached["GigabitEthernet1/0/3"]["inbound_acl"] == "T"


HEADINGS = {
    "show mac address-table": ["Vlan    Mac Address       Type        Ports"],
    "show ip arp": ["Protocol  Address          Age (min)  Hardware Addr   Type   Interface"],
    "show access-session": ["Interface                MAC Address    Method  Domain  Status Fg  Session ID"],
    "show cts role-based counters": [
        "From    To      SW-Denied  HW-Denied  SW-Permitt HW-Permitt SW-Monitor HW-Monitor"
    ],
    "show cts role-based permissions": [
        "RBACL Monitor All for Dynamic Policies : FALSE",
        "IPv4 Role-based permissions default:",
    ],
    "show cts role-based sgt-map all": [
        "IP Address              SGT     Source",
        "Active IPv4-SGT Bindings Information",
    ],
    "show device-tracking database": [
        "    Network Layer Address                    Link Layer Address     Interface  vlan       prlvl      age        "
        "state      Time left",
    ],
    "show ip dhcp snooping binding": [
        "MacAddress          IpAddress        Lease(sec)  Type           VLAN  Interface"
    ],
    "show lldp neighbors detail": ["------------------------------------------------", "Management Addresses:"],
    "show cdp neighbors detail": ["-------------------------", "advertisement version: 2"],
    "show platform hardware fed switch active fwd-asic resource tcam utilization": [
        " Table                  Subtype      Dir      Max     Used    %Used       V4       V6     MPLS    Other"
    ],
    "show vlan brief": ["VLAN Name                             Status    Ports"],
    "show configuration lock": ["Parser Configure Lock"],
    "show access-session mac 021a.1000.0011 details": [
        "       Method           State",
        "       Oper host mode:  multi-auth",
        "Server Policies:",
    ],
}


@pytest.mark.parametrize("command", HEADINGS)
def test_headings_are_those_of_real_outputs(command: str, corpora: Path) -> None:
    real: set[str] = set()
    for platform in ("cisco_iosxe", "cisco_ios"):
        for file in (corpora / "device-outputs" / platform).rglob("*.txt"):
            real.update(line.rstrip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    shown = [line.rstrip() for line in show(switch(), command).splitlines()]
    for heading in HEADINGS[command]:
        assert heading in shown
        assert heading in real


# -- what the policy server gave -----------------------------------------------------------------------------------------


def test_downloaded_lists_tags_and_cells_are_shown() -> None:
    device = switch()
    details = show(device, "show access-session interface gi1/0/1 details")
    assert "              ACS ACL: xACSACLx-IP-Pumps-6925a1b2\n" in details
    assert "            SGT Value: 100\n" in details
    assert show(device, "show access-session mac 021a.1000.0011 details") == details
    assert show(device, "show authentication sessions interface GigabitEthernet1/0/1 details") == details
    lists = show(device, "show ip access-lists")
    assert (
        "Extended IP access list xACSACLx-IP-Pumps-6925a1b2\n    1 permit udp any eq bootpc any eq bootps\n"
        "    2 permit tcp any host 10.40.0.13 eq 1883\n    3 deny ip any any\n" in lists
    )
    assert (
        "Role-based IP access list Mqtt-01 (downloaded)\n    10 permit tcp dst eq 1883\n    20 permit icmp\n" in lists
    )
    assert "xACSACLx" not in show(device, "show running-config")
    permissions = show(device, "show cts role-based permissions")
    assert permissions.splitlines()[:6] == [
        "IPv4 Role-based permissions default:",
        "        Permit IP-00",
        "IPv4 Role-based permissions from group 110:Patient Monitors to group 100:Pumps:",
        "        Mqtt-01",
        "        Deny IP-00",
        "IPv4 Role-based permissions from group 100:Pumps to group 110:Patient Monitors (monitored):",
    ]
    assert "200" not in permissions  # no endpoint of group 200 is here, so the switch does not ask for its cells
    assert "10.10.0.11              100     LOCAL" in show(device, "show cts role-based sgt-map all")
    assert "    110-00:Patient Monitors\n" in show(device, "show cts environment-data")


def test_a_downloaded_cell_shadows_a_configured_one() -> None:
    provider = StaticProvider(SESSIONS, [], NAMES)
    device = switch(provider)
    apply_lines(
        device, ["ip access-list role-based LOCAL", "permit ip", "cts role-based permissions from 110 to 100 LOCAL"]
    )
    probe = {"source_sgt": 110, "destination_sgt": 100, "packet": tcp("10.10.0.21", "10.10.0.11", 22)}
    assert "(configured):\n        LOCAL\n" in show(device, "show cts role-based permissions from 110 to 100")
    assert decide(device, probe).permit is True
    provider.set(cells=CELLS)
    assert "(configured)" not in show(device, "show cts role-based permissions from 110 to 100")
    assert decide(device, probe).permit is False


def test_a_list_that_the_switch_does_not_take_leaves_the_session_unauthorized() -> None:
    provider = StaticProvider([{**SESSIONS[0], "dacl_lines": ["permit tcp any any eq", "deny ip any any"]}])
    device = switch(provider)
    assert "Status:  Unauthorized" in show(device, "show access-session interface gi1/0/1 details")
    probe = {"interface": "GigabitEthernet1/0/1", "direction": "in", "packet": tcp("10.10.0.11", "10.40.0.13", 1883)}
    assert decide(device, probe).permit is False
    provider.set([{**SESSIONS[0], "dacl_lines": ["remark kept by others", *DACL]}])
    assert decide(device, probe).permit is True


def test_injected_packets_raise_counters_and_clear_sets_them_back() -> None:
    device = switch()
    apply_lines(
        device,
        [
            "ip access-list extended T",
            "permit tcp any any eq 80",
            "deny ip any any",
            "interface gi1/0/3",
            "ip access-group T in",
        ],
    )
    port = {"interface": "GigabitEthernet1/0/3", "direction": "in"}
    decision = decide(device, {**port, "packet": tcp("10.10.0.99", "10.0.0.1", 80)}, count=12)
    assert (decision.permit, decision.list_name, decision.sequence) == (True, "T", 10)
    assert decide(device, {**port, "packet": tcp("10.10.0.99", "10.0.0.1", 81)}, count=1).sequence == 20
    assert show(device, "show ip access-lists T") == (
        "Extended IP access list T\n    10 permit tcp any any eq www (12 matches)\n    20 deny ip any any (1 match)\n"
    )
    endpoint = {"interface": "GigabitEthernet1/0/1", "direction": "in"}
    assert (
        decide(device, {**endpoint, "packet": tcp("10.10.0.11", "10.40.0.13", 1883)}, count=2).line
        == "permit tcp any host 10.40.0.13 eq 1883"
    )
    assert decide(device, {**endpoint, "packet": tcp("10.10.0.11", "10.40.0.13", 22)}, count=1).permit is False
    assert "2 permit tcp any host 10.40.0.13 eq 1883 (2 matches)" in show(device, "show ip access-lists")
    cell = {"source_sgt": 100, "destination_sgt": 110, "packet": tcp("10.10.0.11", "10.10.0.21", 22)}
    assert decide(device, cell, count=4).permit is True  # monitored
    assert "100     110     0          0          0          0          0          4" in show(
        device, "show cts role-based counters"
    )
    for command in ("clear ip access-list counters", "clear cts role-based counters"):
        assert show(device, command) == ""
    assert "match" not in show(device, "show ip access-lists")


def test_empty_and_missing_lists_permit_everything() -> None:
    device = switch(StaticProvider())
    probe = {"interface": "GigabitEthernet1/0/3", "direction": "in", "packet": tcp("10.10.0.99", "10.0.0.1", 80)}
    apply_lines(device, ["interface gi1/0/3", "ip access-group T in"])
    assert decide(device, probe).permit is True
    apply_lines(device, ["ip access-list extended T"])
    assert decide(device, probe).permit is True
    apply_lines(device, ["ip access-list extended T", "permit tcp any any eq 443"])
    assert decide(device, probe).permit is False
    apply_lines(device, ["no ip access-list extended T"])
    assert decide(device, probe).permit is True


def test_the_trace_shows_the_hole_of_delete_and_retype_and_none_for_a_swap() -> None:
    """facts/devices.md section 0 item 6: open window, then lock-out; section 5.1: build, swap, delete has neither."""
    wanted = {"interface": "GigabitEthernet1/0/3", "direction": "in", "packet": tcp("10.10.0.99", "10.0.0.1", 80)}
    forbidden = {**wanted, "packet": tcp("10.10.0.99", "10.0.0.1", 23)}

    def traced(*lines: str) -> list[str]:
        device = switch(StaticProvider())
        apply_lines(
            device,
            [
                "ip access-list extended T",
                "permit tcp any any eq 80",
                "deny ip any any",
                "interface gi1/0/3",
                "ip access-group T in",
            ],
        )
        device.probes = [wanted, forbidden]
        assert verdict_string(device, device.probes) == "PD"
        apply_lines(device, list(lines))
        return [record["verdicts"] for record in device.trace]

    careless = traced(
        "no ip access-list extended T",
        "ip access-list extended T",
        "permit udp any any eq 53",
        "permit tcp any any eq 80",
        "deny ip any any",
    )
    assert careless == ["PP", "PP", "DD", "PD", "PD"]
    swap = traced(
        "ip access-list extended T2",
        "permit udp any any eq 53",
        "permit tcp any any eq 80",
        "deny ip any any",
        "interface gi1/0/3",
        "ip access-group T2 in",
        "no ip access-list extended T",
    )
    assert set(swap) == {"PD"}
    assert len(swap) == 6  # entering the interface changes nothing, so it leaves no record


def test_management_packets_pass_the_interface_list_and_the_access_class() -> None:
    device = switch(StaticProvider(), controller="10.99.0.5", management_interface="Vlan10")
    packet = tcp("10.99.0.5", "10.10.0.2", 22)
    assert decide(device, {"management": True, "packet": packet}).permit is True
    apply_lines(
        device, ["ip access-list standard VTY", "permit 10.99.0.0 0.0.0.255", "line vty 0 15", "access-class VTY in"]
    )
    assert decide(device, {"management": True, "packet": packet}).permit is True
    assert decide(device, {"management": True, "packet": tcp("10.98.0.5", "10.10.0.2", 22)}).permit is False
    apply_lines(
        device, ["ip access-list extended SVI", "permit udp any any", "interface Vlan10", "ip access-group SVI in"]
    )
    assert decide(device, {"management": True, "packet": packet}).list_name == "SVI"
    assert decide(device, {"management": True, "packet": packet}).permit is False


def test_tcam_table_counts_what_is_attached() -> None:
    device = switch(StaticProvider())

    def used() -> int:
        output = show(device, "show platform hardware fed switch active fwd-asic resource tcam utilization")
        return int(next(line for line in output.splitlines() if line.startswith(" Security ACL")).split()[5])

    assert used() == 129
    apply_lines(device, ["ip access-list extended T", "permit tcp any any eq 1 2 3", "permit tcp any range 5 9 any"])
    assert used() == 129
    apply_lines(device, ["interface gi1/0/3", "ip access-group T in"])
    assert used() == 133
    apply_lines(device, ["interface gi1/0/4", "ip access-group T in"])  # the same list and direction shares its entries
    assert used() == 133
