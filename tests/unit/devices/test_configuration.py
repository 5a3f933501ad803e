# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept configurations: no secret stays, nothing volatile counts, what differs is named."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.configuration import (
    deviation,
    host_of,
    normalised,
    without_secrets,
)

TEXT = """Building configuration...

Current configuration : 4242 bytes
!
! Last configuration change at 08:00:00 UTC Thu Nov 26 2026 by netops
!
version 17.9
hostname sw1
enable secret 9 $9$S3CR3T
username netops privilege 15 secret 9 $9$S3CR3T
crypto pki certificate chain TP
 certificate self-signed 01
  30820330 30820218
  A0030201
  \tquit
radius server ise1
 address ipv4 192.0.2.10 auth-port 1812 acct-port 1813
 key 7 S3CR3T
ip access-list extended SW_pumps__a
 10 permit ip any any
ip access-list extended MGMT
 10 permit tcp any any eq 22
 20 deny ip any any
interface GigabitEthernet1/0/1
 description pump
 ip access-group SW_pumps__a in
cts role-based permissions from 10 to 20 ipv4 SW_a__b
ntp clock-period 36029
end
"""


@pytest.mark.parametrize(
    "line",
    [
        "enable secret 9 $9$S3CR3T",
        "enable password S3CR3T",
        "username a privilege 15 password 7 S3CR3T",
        " key 7 S3CR3T",
        " key S3CR3T",
        "radius-server key 7 S3CR3T",
        "radius-server host 192.0.2.1 auth-port 1812 acct-port 1813 key S3CR3T",
        "tacacs-server host 192.0.2.1 key 7 S3CR3T",
        " client 192.0.2.10 server-key 7 S3CR3T",
        "snmp-server community S3CR3T RO 10",
        "snmp-server host 192.0.2.1 version 2c S3CR3T",
        "snmp-server host 192.0.2.1 traps version 3 priv S3CR3T",
        " neighbor 192.0.2.2 password 7 S3CR3T",
        " ip ospf message-digest-key 1 md5 7 S3CR3T",
        " ip ospf authentication-key 7 S3CR3T",
        " standby 1 authentication md5 key-string 7 S3CR3T",
        " standby 1 authentication text S3CR3T",
        "ntp authentication-key 1 md5 S3CR3T 7",
        "crypto isakmp key S3CR3T address 192.0.2.3",
        " pre-shared-key local S3CR3T",
        " security wpa psk set-key ascii 0 S3CR3T",
        "vtp password S3CR3T",
        " pac key 7 S3CR3T",
        "cts credentials id sw1 password 7 S3CR3T",
        " key-string 7 S3CR3T",
    ],
)
def test_no_secret_stays(line: str) -> None:
    kept = without_secrets(line)
    assert "S3CR3T" not in kept and "<secret>" in kept


@pytest.mark.parametrize(
    "line", ["key chain KEYS", "aaa group server radius ISE", " tunnel key 5", "service password-encryption"]
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert without_secrets(line) == line


def test_what_is_kept() -> None:
    kept = normalised(TEXT, "sw1")
    assert host_of(kept) == "sw1" and "S3CR3T" not in kept
    lines = kept.splitlines()
    assert lines[0] == "! segwright configuration 1 of sw1" and lines[-1] == "end"
    for gone in ("SW_", "Current configuration", "Last configuration", "clock-period", "30820330"):
        assert gone not in kept
    assert "  sha256 " in kept and " 10 permit tcp any any eq 22" in lines
    # What changes by itself, and what this collection writes, is no deviation.
    later = (
        TEXT.replace("4242", "4300")
        .replace("08:00:00", "09:00:00")
        .replace("36029", "36030")
        .replace("$9$S3CR3T", "$9$NEW")
    )
    later = later.replace("SW_pumps__a", "SW_pumps__b").replace("SW_a__b", "SW_a__c")
    assert deviation(kept, normalised(later, "sw1")).equal


@pytest.mark.parametrize(
    ("old", "new", "added", "missing"),
    [
        (" description pump\n", "", (), ("interface GigabitEthernet1/0/1 | description pump",)),
        ("version 17.9\n", "version 17.9\nip http server\n", ("ip http server",), ()),
        (
            " 20 deny ip any any\n",
            " 20 permit ip any any\n",
            ("ip access-list extended MGMT | 20 permit ip any any",),
            ("ip access-list extended MGMT | 20 deny ip any any",),
        ),
        (
            "30820330",
            "30820331",
            1,
            1,
        ),
        (" key 7 S3CR3T\n", "", (), ("radius server ise1 | key 7 <secret>",)),
    ],
)
def test_what_differs_is_named(old: str, new: str, added: object, missing: object) -> None:
    found = deviation(normalised(TEXT, "sw1"), normalised(TEXT.replace(old, new, 1), "sw1"))
    for lines, wanted in ((found.added, added), (found.missing, missing)):
        assert (len(lines) if isinstance(wanted, int) else lines) == wanted


def test_order_counts_in_lists_without_numbers_and_not_between_blocks() -> None:
    first = "ip access-list extended A\n permit tcp any any\n deny ip any any\nhostname x\nend\n"
    swapped = "hostname x\nip access-list extended A\n deny ip any any\n permit tcp any any\nend\n"
    moved = "hostname x\nip access-list extended A\n permit tcp any any\n deny ip any any\nend\n"
    kept = normalised(first, "sw1")
    assert not deviation(kept, normalised(swapped, "sw1")).equal
    assert deviation(kept, normalised(moved, "sw1")).equal


@pytest.mark.parametrize("text", [TEXT.replace("end\n", ""), "", "% Invalid input detected at '^' marker."])
def test_half_a_configuration_is_refused(text: str) -> None:
    with pytest.raises(FindingError, match="SW132"):
        normalised(text, "sw1")


@pytest.mark.parametrize(
    "line",
    ["enable secret level 7 5 {0}", "enable password level 5 {0}", "snmp-server host 10.0.0.1 vrf Mgmt version 2c {0} udp-port 162",
     " standby 1 authentication {0}", " vrrp 1 authentication {0}", "  pre-shared-key address 10.0.0.2 key {0}",
     "  pre-shared-key address 10.0.0.0 255.255.255.0 key {0}", " path ftp://backup:{0}@10.0.0.1/$h", " authentication mode md5 key {0}",
     "event manager environment _mail_password {0}", "key config-key password-encrypt {0}"],
)  # fmt: skip
def test_secrets_that_stand_where_one_does_not_look(line: str) -> None:
    shown = without_secrets(line.format("Hidden9word"))
    assert "Hidden9word" not in shown and "<secret>" in shown
    assert without_secrets(" standby 1 authentication md5 key-chain K") == " standby 1 authentication md5 key-chain K"


def test_a_list_that_only_borrows_our_prefix_is_a_deviation() -> None:
    """What we build has a suffix; anything else of that name is somebody's, and nobody else answers for it."""
    mine = "ip access-list extended SW_x__a\n 10 deny ip any any\ninterface Vlan1\n ip access-group SW_x__a in\nend\n"
    theirs = mine.replace("SW_x__a", "SW_x").replace("deny", "permit")
    bare = normalised("interface Vlan1\nend\n", "sw1")
    assert deviation(bare, normalised(mine, "sw1")).equal
    assert len(deviation(bare, normalised(theirs, "sw1")).added) == 3
