"""Parsers of show output against real text: every row of the raw text, other projects' readings of it, and hand-written output."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import show
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import long_interface, mac_text

Parser = Callable[[str], Parsed[Any]]
TABLES: dict[str, Parser] = {
    "show_mac_address-table": show.mac_address_table,
    "show_mac_address-table_dynamic": show.mac_address_table,
    "show_mac-address-table": show.mac_address_table,
    "show_ip_arp": show.ip_arp,
    "show_arp": show.ip_arp,
    "show_device-tracking_database": show.device_tracking_database,
    "show_device-tracking_database_interface": show.device_tracking_database,
    "show_ip_dhcp_snooping_binding": show.ip_dhcp_snooping_binding,
    "show_access-session": show.access_session,
    "show_access-session_interface": show.access_session,
    "show_authentication_sessions": show.authentication_sessions,
}
DETAILS = (
    "show_access-session_details",
    "show_access-session_interface_details",
    "show_access-session_mac_details",
    "show_access-session_mac_details_method",
    "show_access-session_session-id_details",
    "show_access-session_method_dot1x_details",
    "show_authentication_sessions_interface",
    "show_authentication_sessions_interface_details",
    "show_authentication_sessions_method_details",
    "show_authentication_sessions_session-id",
)
# Output in which a line is another command's, or damaged: these lines must be findings, and nothing else may be.
KNOWN_FINDINGS = {
    ("show_access-session_details", "genie-out_10.txt"): 2,
    ("show_access-session_details", "genie-out_11.txt"): 2,
    ("show_access-session_details", "genie-out_12.txt"): 2,
    ("show_mac-address-table", "ntc-12.txt"): 1,
    ("show_lldp_neighbors_detail", "ntc-5.txt"): 2,
}
MAC_TOKEN = re.compile(
    r"(?<![\w.:])(?:[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}|(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(?![\w.:])"
)

PREFIX = re.compile(r"\A(?:ND|DH6|S)\s+\S+/\d+\s")  # a prefix in the binding table belongs to no device


def fixtures(corpora: Path, *folders: str) -> Iterator[tuple[str, Path]]:
    for platform in ("cisco_iosxe", "cisco_ios"):
        for folder in folders:
            for path in sorted((corpora / "device-outputs" / platform / folder).glob("*.txt")):
                yield folder, path


@pytest.mark.corpora
def test_every_row_of_every_table_is_an_entry_or_a_finding(corpora: Path) -> None:
    seen = 0
    for folder, path in fixtures(corpora, *TABLES):
        text = path.read_text()
        made = TABLES[folder](text)
        rows = [
            found[0]
            for found in (MAC_TOKEN.search(line) for line in text.splitlines() if not PREFIX.search(line))
            if found
        ]
        assert len(made.findings) == KNOWN_FINDINGS.get((folder, path.name), 0), path
        ours = Counter(each.mac for each in made.entries)
        theirs = Counter(mac_text(each) for each in rows)
        assert sum((theirs - ours).values()) == len(made.findings), path
        assert not ours - theirs, path
        seen += len(rows)
    assert seen > 1000


@pytest.mark.corpora
def test_details_and_neighbours_leave_no_line_behind(corpora: Path) -> None:
    blocks = 0
    for folder, path in fixtures(corpora, *DETAILS):
        text = path.read_text()
        made = show.access_session_details(text)
        assert len(made.findings) == KNOWN_FINDINGS.get((folder, path.name), 0), path
        raw = re.findall(r"^[ *]*MAC Address:\s*(\S+)", text, re.MULTILINE)
        assert [each.mac for each in made.entries] == ["" if mac == "Unknown" else mac_text(mac) for mac in raw], path
        acls = re.findall(r"ACS ACL: *([^\s*]+)", text)
        assert {name for each in made.entries for name in each.acs_acls} == set(acls), path
        tags = re.findall(r"SGT Value: *(\d+)", text)
        assert {each.sgt for each in made.entries} - {None} == {int(tag) for tag in tags}, path
        blocks += len(made.entries)
    for folder, path in fixtures(corpora, "show_lldp_neighbors_detail", "show_lldp_entry"):
        text = path.read_text()
        neighbours = show.lldp_neighbors_detail(text)
        assert len(neighbours.findings) == KNOWN_FINDINGS.get((folder, path.name), 0), path
        assert [each.chassis for each in neighbours.entries] == [
            each.strip() for each in re.findall(r"^ *Chassis id: (.+)$", text, re.MULTILINE)
        ], path
        names = [
            name.strip() for name in re.findall(r"^ *System Name(?:: (.*)| - not advertised)$", text, re.MULTILINE)
        ]
        assert [each.system_name for each in neighbours.entries] == names, path
        blocks += len(neighbours.entries)
    assert blocks > 80


@pytest.mark.corpora
def test_entries_are_what_ntc_templates_read(corpora: Path) -> None:
    compared = 0
    for folder, path in fixtures(corpora, *TABLES):
        expected = path.with_name(path.name.replace(".txt", ".expected.yaml"))
        if not expected.exists() or KNOWN_FINDINGS.get((folder, path.name)):
            continue
        theirs = yaml.safe_load(expected.read_text())["parsed_sample"]
        ours = TABLES[folder](path.read_text()).entries
        for row in theirs:
            made = comparable(folder, row)
            if made is not None:
                assert made in [comparable_entry(folder, each) for each in ours], (path, row)
                compared += 1
    assert compared > 150


def comparable(folder: str, row: dict[str, Any]) -> tuple[Any, ...] | None:
    if "mac" in folder:
        vlan = int(row["vlan_id"]) if str(row["vlan_id"]).isdigit() else None
        ports = tuple(
            long_interface(port) for each in row["destination_port"] for port in each.replace(",", " ").split()
        )
        return mac_text(row["destination_address"]), vlan, row["type"].lower(), ports
    if "arp" in folder:
        return row["ip_address"], mac_text(row["mac_address"]), long_interface(row["interface"])
    if "snooping" in folder:
        return mac_text(row["mac_address"]), row["ip_address"], int(row["vlan_id"]), row["interface"]
    if "session" in folder and MAC_TOKEN.match(row.get("mac_address", "")):
        return (
            long_interface(row["interface"]),
            mac_text(row["mac_address"]),
            row["method"],
            row["domain"],
            row["session"],
        )
    return None


def comparable_entry(folder: str, each: Any) -> tuple[Any, ...]:
    if "mac" in folder:
        return each.mac, each.vlan, each.kind, each.ports
    if "arp" in folder:
        return each.address, each.mac, each.interface
    if "snooping" in folder:
        return each.mac, each.address, each.vlan, each.interface
    return each.interface, each.mac, each.method, each.domain, each.session_id


@pytest.mark.corpora
def test_session_details_are_what_genie_reads(corpora: Path) -> None:
    compared = 0
    for _folder, path in fixtures(corpora, *DETAILS):
        expected = path.with_name(path.name.replace(".txt", ".expected.json"))
        if not expected.exists():
            continue
        ours = {
            (each.interface, each.mac): each
            for each in show.access_session_details(path.read_text()).entries
            if each.mac
        }
        for interface, value in json.loads(expected.read_text())["expected"].get("interfaces", {}).items():
            readings = value.get("mac_address", {})
            for mac, theirs in (readings if isinstance(readings, dict) else {readings: value}).items():
                if not MAC_TOKEN.fullmatch(mac):
                    continue
                own = ours[long_interface(interface.strip("*")), mac_text(mac)]
                assert own.values.get("Status") == theirs.get("status"), path
                assert own.values.get("Domain") == theirs.get("domain"), path
                # Where one device has two sessions their reading keeps the last; ours is checked against the raw text above.
                if (
                    len([key for key in ours if key[1] == mac_text(mac)]) == 1
                    and "common_session_id" in theirs
                    and "method_status" in theirs
                ):
                    methods = {name: each["state"] for name, each in theirs["method_status"].items()}
                    assert own.methods == methods or len(own.methods) > 1 or "Method" in methods, path
                compared += 1
    assert compared >= 20


DETAILS_BY_HAND = """
acc1#show access-session interface Gi1/0/4 details
Load for five secs: 3%/0%; one minute: 4%; five minutes: 4%
Time source is NTP, 13:51:25.306 EDT Wed Sep 11 2019
            Interface:  GigabitEthernet1/0/4
               IIF-ID:  0x1B2C3D4E
          MAC Address:  0200.5e10.0021
         IPv6 Address:  fe80::5eff:fe10:21, 2001:db8::21
         IPv4 Address:  192.0.2.21
            User-Name:  02-00-5E-10-00-21
               Status:  Authorized
               Domain:  DATA
       Oper host mode:  multi-auth
     Oper control dir:  both
      Session timeout:  N/A
    Common Session ID:  0A0A1DFE00000FB3000101FF
      Acct Session ID:  0x00000015
               Handle:  0x9e000020
       Current Policy:  POLICY_Gi1/0/4


Server Policies:
           Vlan Group:  Vlan: 110
              ACS ACL: xACSACLx-IP-sw_monitors_3f2a-65a1b2c3
            SGT Value:  21


Method status list:
       Method           State
        dot1x           Stopped
          mab           Authc Success

acc1#"""


def test_details_by_hand() -> None:
    made = show.access_session_details(DETAILS_BY_HAND.replace("\n", "\r\n"))
    assert made.whole
    (one,) = made.entries
    assert (one.interface, one.mac) == ("GigabitEthernet1/0/4", "02:00:5e:10:00:21")
    assert one.addresses == ("192.0.2.21", "fe80::5eff:fe10:21", "2001:db8::21")
    assert (one.sgt, one.vlan, one.acs_acls) == (21, 110, ("xACSACLx-IP-sw_monitors_3f2a-65a1b2c3",))
    assert one.methods == {"dot1x": "Stopped", "mab": "Authc Success"}
    assert one.authorized
    assert one.session_id == "0A0A1DFE00000FB3000101FF"
    older = show.access_session_details(DETAILS_BY_HAND.replace("SGT Value:  21", "SGT:  0015-0"))
    assert (older.entries[0].sgt, older.whole) == (21, True)
    quarrel = show.access_session_details(
        DETAILS_BY_HAND.replace("SGT Value:  21", "SGT Value:  21\n            SGT Value:  22")
    )
    assert quarrel.entries[0].sgt is None


@pytest.mark.parametrize("line", ["Quarantine State:  yes", "ACS ACL xACSACLx-IP-a-b", "what is this"])
def test_a_line_that_is_not_known_is_a_finding_with_its_number(line: str) -> None:
    text = DETAILS_BY_HAND.replace("Server Policies:", line + "\nServer Policies:")
    made = show.access_session_details(text)
    assert [(each.code, each.line) for each in made.findings] == [("SW1321", text.split("\n").index(line) + 1)]
    assert made.entries[0].sgt == 21


@pytest.mark.parametrize(
    "parser", [*dict.fromkeys(TABLES.values()), show.access_session_details, show.lldp_neighbors_detail, show.version]
)
@pytest.mark.parametrize(
    "refusal",
    [
        "                  ^\n% Invalid input detected at '^' marker.\n",
        "% Incomplete command.\n",
        "Command authorization failed.\n",
    ],
)
def test_a_refused_command_is_an_error_and_never_an_empty_table(parser: Parser, refusal: str) -> None:
    with pytest.raises(FindingError, match="SW1322"):
        parser("acc1#show something\n" + refusal + "acc1#")


def test_announced_rows_that_are_missing_are_a_finding() -> None:
    table = "Vlan    Mac Address       Type        Ports\n"
    table += " 10    0200.5e10.0011    DYNAMIC     Gi1/0/1\nTotal Mac Addresses for this criterion: 2\n"
    assert [each.code for each in show.mac_address_table(table).findings] == ["SW1324"]
    sessions = "Interface  MAC Address    Method  Domain  Status Fg  Session ID\n\nSession count = 1\n"
    assert [each.code for each in show.access_session(sessions).findings] == ["SW1324"]
    tracking = "Binding Table has 3 entries, 3 dynamic (limit 200000)\n"
    assert [each.code for each in show.device_tracking_database(tracking).findings] == ["SW1324"]


@pytest.mark.parametrize(
    "row",
    [
        " 10    0200.5e10.0011    DYNAMIC     Gi1/0/1 rogue",
        " 10    0200.5e10.0011    STRANGE     Gi1/0/1",
        " ten   0200.5e10.0011    DYNAMIC     Gi1/0/1",
        " 5000  0200.5e10.0011    DYNAMIC     Gi1/0/1",
    ],
)
def test_rows_that_are_not_understood_give_no_entry(row: str) -> None:
    made = show.mac_address_table("Vlan    Mac Address       Type        Ports\n" + row)
    assert not made.entries
    assert [each.code for each in made.findings] == ["SW1321"]


def test_incomplete_arp_rows_and_the_switch_itself() -> None:
    text = (
        "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n"
        "Internet  192.0.2.1               -   0200.5e00.0001  ARPA   Vlan10\n"
        "Internet  192.0.2.9               0   Incomplete      ARPA\n"
        "Internet  192.0.2.11             12   0200.5e10.0011  ARPA   Vlan10\n"
    )
    made = show.ip_arp(text)
    assert made.whole
    assert [(each.address, each.age_minutes) for each in made.entries] == [("192.0.2.1", None), ("192.0.2.11", 12)]


def test_version_of_xe_and_of_something_else() -> None:
    text = (
        "Cisco IOS XE Software, Version 17.09.04a\n"
        "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), Version 17.9.4a, RELEASE SOFTWARE (fc3)\n"
        "acc1 uptime is 1 week, 2 days, 3 hours, 4 minutes\n"
        'System image file is "flash:packages.conf"\n'
        "cisco C9300-48P (X86) processor with 1331521K/6147K bytes of memory.\n"
        "Processor board ID FOC00000AAA\nModel Number                       : C9300-48P\nSystem Serial Number               : FOC00000AAA\n"
    )
    (one,) = show.version(text).entries
    assert (one.hostname, one.software, one.model, one.serial, one.image) == (
        "acc1",
        "17.09.04a",
        "C9300-48P",
        "FOC00000AAA",
        "flash:packages.conf",
    )
    assert one.uptime.startswith("1 week")
    other = show.version("Arista vEOS\nHardware version: 1\n")
    assert not other.entries
    assert [each.code for each in other.findings] == ["SW1323"]


@pytest.mark.corpora
def test_damaged_output_never_raises_anything_else(corpora: Path, full: bool) -> None:
    rng = random.Random(2)
    parsers = {
        **TABLES,
        **dict.fromkeys(DETAILS, show.access_session_details),
        "show_lldp_neighbors_detail": show.lldp_neighbors_detail,
    }
    tried = 0
    for folder, path in fixtures(corpora, *parsers):
        text = path.read_text()
        for _round in range(20 if full else 2):
            data = list(text)
            for _flip in range(rng.choice((1, 5, 50))):
                data[rng.randrange(len(data))] = chr(
                    rng.choice((0, 9, 10, 13, 32, 58, 48, 65, 0x2028, rng.randrange(32, 0x3000)))
                )
            damaged = "".join(data)[: rng.randrange(1, len(data) + 1)]
            try:
                findings = parsers[folder](damaged).findings
            except FindingError as error:
                findings = error.findings
            assert all(each.code.startswith("SW13") for each in findings)
            tried += 1
    assert tried > 100
