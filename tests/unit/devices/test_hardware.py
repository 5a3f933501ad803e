# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCAM tables of real switches against another project's reading of them, and the layouts of older images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.hardware import (
    CELLS,
    POLICIES,
    SECURITY,
    sgacl_resources,
    tcam_utilization,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lists import access_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.running import (
    attachments,
    blocks,
    vlan_numbers,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.system import (
    clock,
    members,
    uptime_seconds,
)

FOLDER = "device-outputs/cisco_iosxe/show_platform_hardware_fed_tcam_utilization"
OLD = """Switch#show platform tcam utilization

CAM Utilization for ASIC# 0                      Max            Used
                                             Masks/Values    Masks/values

 Unicast mac addresses:                        784/6272         12/26
 IPv4 policy based routing aces:                 0/0             0/0
 IPv4 qos aces:                                768/768         260/260
 IPv4 security aces:                          1024/1024         27/29

Note: Allocation of TCAM entries per feature uses
a complex algorithm. The above information is meant
to provide an abstract view of the current TCAM utilization
Switch#
"""
VALUES = """CAM Utilization for ASIC  [0]
 Table                                              Max Values        Used Values
 --------------------------------------------------------------------------------
 Unicast MAC addresses                               32768/1024      1223/21
 Security Access Control Entries                      5120            246
 Input Security Associations                           256              4
 SGT_DGT                                              8192/512          3/1
CAM Utilization for ASIC  [1]
 Table                                              Max Values        Used Values
 --------------------------------------------------------------------------------
 Security Access Control Entries                      5120            240
"""


def test_real_tables_are_read_whole_and_say_what_another_parser_says(corpora: Path) -> None:
    compared = 0
    files = sorted((corpora / FOLDER).glob("*.txt"))
    assert len(files) == 16
    for path in files:
        parsed = tcam_utilization(path.read_text())
        assert parsed.whole, (path.name, parsed.findings)
        expected = json.loads(path.with_suffix("").with_suffix(".expected.json").read_text())["expected"]
        for asic, table in expected.get("asic", {}).items():
            ours = {
                (each.name, each.direction): (each.limit, each.used)
                for each in parsed.entries
                if each.asic == int(asic) and each.kind == SECURITY
            }
            theirs = {
                (name, {"I": "in", "O": "out", "IO": "both"}[way]): (int(row["max"]), int(row["used"]))
                for name, entry in table["table"].items()
                if name.startswith("Security ACL")
                for way, row in entry["subtype"]["TCAM"]["dir"].items()
                if str(row.get("max") or "").isdigit()
            }
            # Another layout of theirs has the families in separate keys; ours is compared where both have one row.
            assert theirs.items() <= ours.items(), path.name
            compared += len(theirs)
    assert compared >= 15


def test_pools_by_slice_are_counted_slice_by_slice(corpora: Path) -> None:
    text = (corpora / FOLDER / "genie-cat9k-c9610-ShowPlatformFedActiveTcamUtilization-out2.txt").read_text()
    security = [each for each in tcam_utilization(text).entries if each.kind == SECURITY]
    assert [(each.direction, each.slice, each.used, each.limit) for each in security] == [
        ("in", 1, 4125, 4125 + 108598),
        ("out", 1, 36006, 36006 + 76921),
    ]


def test_resources_of_sgacls(corpora: Path) -> None:
    folder = corpora / "device-outputs/cisco_iosxe/show_platform_hardware_fed_sgacl_resource_usage"
    parsed = sgacl_resources((folder / "genie-out1.txt").read_text())
    assert parsed.whole
    found = [(each.asic, each.kind, each.limit, each.used) for each in parsed.entries if each.kind]
    assert found == [(0, CELLS, 8192, 2), (0, POLICIES, 256, 5), (1, CELLS, 8192, 2), (1, POLICIES, 256, 5)]


def test_older_images() -> None:
    old = tcam_utilization(OLD)
    assert old.whole
    assert [(e.kind, e.family, e.limit, e.used) for e in old.entries if e.kind] == [(SECURITY, "4", 1024, 29)]
    values = tcam_utilization(VALUES)
    assert values.whole
    assert [(e.asic, e.kind, e.limit, e.used) for e in values.entries if e.kind] == [
        (0, SECURITY, 5120, 246),
        (0, CELLS, 8192, 3),
        (1, SECURITY, 5120, 240),
    ]


@pytest.mark.parametrize(
    "text",
    [
        VALUES.replace("5120            246", "5120            2x6"),
        VALUES.replace(
            "Security Access Control Entries                      5120            240", "Security Access 12"
        ),
        OLD.replace("27/29", "27"),
        "CAM Utilization for ASIC  [0]\n",
        "",
    ],
)
def test_a_damaged_table_is_never_whole(text: str) -> None:
    assert not tcam_utilization(text).whole


def test_a_refused_command_is_no_empty_table() -> None:
    with pytest.raises(FindingError, match="SW1322"):
        tcam_utilization("show platform tcam utilization\n       ^\n% Invalid input detected at '^' marker.\n")


LIST_FOLDERS = (
    "cisco_ios/show_access-list",
    "cisco_ios/show_access-lists",
    "cisco_ios/show_ip_access-lists",
    "cisco_ios/show_ipv6_access-lists",
    "cisco_iosxe/show_access-lists",
    "cisco_iosxe/show_ip_access-lists",
    "cisco_iosxe/show_ipv6_access-list",
    "cisco_iosxe/show_ip_access-list_inbound",
)


def test_every_entry_of_real_lists_is_counted(corpora: Path) -> None:
    total = 0
    for folder in LIST_FOLDERS:
        for path in sorted((corpora / "device-outputs" / folder).glob("*.txt")):
            text = path.read_text()
            parsed = access_lists(text)
            assert parsed.whole, (path, parsed.findings)
            # Another count: lines with a verdict, whatever stands around it.
            lines = [line for line in text.splitlines() if re.search(r"(?:^|\s)(?:permit|deny|evaluate)\s", line)]
            assert sum(each.entries for each in parsed.entries) == len(lines), path
            total += len(lines)
    assert total > 500


def test_kinds_and_origins_of_lists() -> None:
    text = """Extended IP access list xACSACLx-IP-SW_pumps-598d0d01
    1 permit udp any eq bootpc any eq bootps
    2 deny ip any any
Extended IP access list Gi1/0/3#v4#33476254 (per-user)
    1 permit ip any any
Extended IP access list implicit_deny
    10 deny ip any any
Role-based IP access list SW_a__b-01 (downloaded)
    10 permit tcp dst eq 443
    20 deny ip
IPv6 access list SW_a6
    deny ipv6 any any sequence 10
IPv6 Role-based access list SW_a__b6-01 (downloaded)
    permit icmp sequence 10
"""
    parsed = access_lists(text)
    assert parsed.whole
    assert [(e.name, e.kind, e.family, e.entries, e.origin) for e in parsed.entries] == [
        ("xACSACLx-IP-SW_pumps-598d0d01", "extended", 4, 2, "downloaded"),
        ("Gi1/0/3#v4#33476254", "extended", 4, 1, "per-user"),
        ("implicit_deny", "extended", 4, 1, "system"),
        ("SW_a__b-01", "role-based", 4, 2, "downloaded"),
        ("SW_a6", "extended", 6, 1, "configured"),
        ("SW_a__b6-01", "role-based", 6, 1, "downloaded"),
    ]
    assert not access_lists("    10 permit ip any any\n").whole
    assert not access_lists(text + "something else\n").whole


CONFIGURATION = """Building configuration...

Current configuration : 4242 bytes
!
hostname sw1
banner motd ^C
interface GigabitEthernet9/9/9
 ip access-group NOT_A_LIST in
^C
crypto pki certificate chain TP
 certificate self-signed 01
  30820330 30820218
  \tquit
interface GigabitEthernet1/0/1
 ip access-group SW_a__a in
 ipv6 traffic-filter SIX out
!
interface Vlan10
 ip address 192.0.2.1 255.255.255.0
 ip access-group GATE out
end
sw1#
"""


def test_blocks_of_a_configuration() -> None:
    found = blocks(CONFIGURATION)
    assert [(each.interface, each.access_list, each.direction, each.family) for each in attachments(found)] == [
        ("GigabitEthernet1/0/1", "SW_a__a", "in", 4),
        ("GigabitEthernet1/0/1", "SIX", "out", 6),
        ("Vlan10", "GATE", "out", 4),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (CONFIGURATION.replace("end\n", ""), "SW1324"),
        ("\n".join(line.strip() for line in CONFIGURATION.splitlines()), "SW1324"),
        ("% Invalid input detected at '^' marker.", "SW1322"),
        ("", "SW1324"),
    ],
)
def test_a_configuration_that_is_not_whole_is_refused(text: str, code: str) -> None:
    with pytest.raises(FindingError, match=code):
        blocks(text)


def test_numbers_of_vlans() -> None:
    assert vlan_numbers("10-12,20") == (10, 11, 12, 20)
    for text in ("", "0", "12-10", "x", "4095"):
        with pytest.raises(ValueError, match=r"invalid literal|is no range"):
            vlan_numbers(text)


@pytest.mark.parametrize(
    ("text", "time", "mark"),
    [
        ("12:34:56.789 UTC Thu Nov 26 2026\n", "2026-11-26T12:34:56Z", ""),
        ("*00:01:02.003 UTC Mon Mar 1 1993\n", "1993-03-01T00:01:02Z", "*"),
        ("sw1#show clock\n.08:00:00.000 CET Thu Nov 26 2026\nsw1#", "", "."),
    ],
)
def test_clock(text: str, time: str, mark: str) -> None:
    parsed = clock(text)
    assert [(each.time, each.mark) for each in parsed.entries] == [(time, mark)]


def test_no_clock_is_a_finding() -> None:
    assert not clock("nothing\n").whole
    assert not clock("12:34:56.789 UTC Thu Foo 99 2026\n").whole


def test_members_and_uptime() -> None:
    text = """sw1 uptime is 1 year, 3 weeks
Switch Ports Model              SW Version        SW Image              Mode
------ ----- -----              ----------        ----------            ----
     1 41    C9300-48U          17.09.04a         CAT9K_IOSXE           INSTALL
*    2 41    C9300-48U          17.09.04a         CAT9K_IOSXE           INSTALL


Configuration register is 0x102
"""
    assert [(each.number, each.active) for each in members(text)] == [(1, False), (2, True)]
    assert uptime_seconds("1 year, 3 weeks, 1 minute") == 31_536_000 + 3 * 604_800 + 60
    assert uptime_seconds("") is None


def fields(entries: Any) -> list[tuple[Any, ...]]:
    return [(each.kind, each.direction, each.family, each.limit, each.used) for each in entries if each.kind]


def test_families_and_directions_of_regions() -> None:
    text = """CAM Utilization for ASIC  [0]
 Table                  Subtype      Dir      Max     Used    %Used       V4       V6     MPLS    Other
 Security ACL Ipv4      TCAM         I        7168       12    0.17%       12        0        0        0
 Security ACL Non Ipv4  TCAM         O        8192       29    0.35%        0       24        0        5
 CTS Cell Matrix/VPN
 Label                  EM           O       32768        7    0.00%        0        0        0        0
"""
    assert fields(tcam_utilization(text).entries) == [
        (SECURITY, "in", "4", 7168, 12),
        (SECURITY, "out", "other", 8192, 29),
        (CELLS, "out", "any", 32768, 7),
    ]
