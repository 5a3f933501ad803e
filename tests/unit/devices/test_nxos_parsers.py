# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP and MAC tables of NX-OS: every real output parses, or says which line does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import nxos


@pytest.mark.corpora
def test_real_arp_tables(corpora: Path) -> None:
    files = sorted((corpora / "device-outputs" / "cisco_nxos" / "show_ip_arp").glob("*.txt"))
    assert len(files) >= 3
    for file in files:
        text = file.read_text(encoding="utf-8")
        parsed = nxos.ip_arp(text)
        # Counted apart from the parser: rows that begin with an address and have a MAC.
        rows = re.findall(r"(?m)^\s*(\d+(?:\.\d+){3})\s+\S+\s+([0-9a-f]{4}(?:\.[0-9a-f]{4}){2})\s", text)
        # One output announces six rows and was cut down to one by its authors.
        assert all("are announced" in finding.message for finding in parsed.findings), (file.name, parsed.findings[:3])
        assert [each.address for each in parsed.entries] == [address for address, _mac in rows]


@pytest.mark.corpora
def test_real_mac_tables(corpora: Path) -> None:
    files = sorted((corpora / "device-outputs" / "cisco_nxos" / "show_mac_address-table").glob("*.txt"))
    for file in files:
        text = file.read_text(encoding="utf-8")
        parsed = nxos.mac_address_table(text)
        rows = re.findall(r"(?m)^.*?([0-9a-f]{4}(?:\.[0-9a-f]{4}){2})\s+(?:static|dynamic|secure)", text)
        told = len(parsed.entries) + len(parsed.findings)
        assert told == len(rows), (
            file.name,
            [finding.message for finding in parsed.findings][:3],
            len(parsed.entries),
            len(rows),
        )


def test_what_is_not_understood_is_said() -> None:
    text = "Address         Age       MAC Address     Interface\n10.0.0.1  00:10:42  fa16.3eff.0987  Vlan101 what\n"
    assert [finding.code for finding in nxos.ip_arp(text).findings] == ["SW1321"]
    cut = "IP ARP Table\nTotal number of entries: 2\n10.0.0.1        00:10:42  fa16.3eff.0987  Vlan101\n"
    assert "1 rows where 2 are announced" in nxos.ip_arp(cut).findings[0].message
    assert nxos.mac_address_table("* 10 aaaa.bbff.8888 dynamic 0 F F Frob1/1\n").findings


def test_the_switch_itself_is_no_device() -> None:
    text = (
        "G    -     0000.deff.6c9d   static   -         F      F    sup-eth1(R)\n"
        "*   10     aaaa.bbff.8888   dynamic  0         F      F    Eth1/2\n"
    )
    own, device = nxos.mac_address_table(text).entries
    assert (own.kind, own.ports, device.kind, device.ports, device.vlan) == (
        "self",
        (),
        "dynamic",
        ("Ethernet1/2",),
        10,
    )
