# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wireless controller: its tables, what becomes of them, and the emulated one over SSH, lists and tags included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.wireless import (
    ap_tags,
    client_detail,
    client_summary,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_enforced import read_switch
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_facts import read_ios_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.wlc_facts import (
    observations_of,
    read_wireless,
    section_of,
)
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.provider import StaticProvider
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec

HOST = "127.10.84.10"
SUMMARY = """Number of Clients: 3

MAC Address    AP Name                                        Type ID   State             Protocol Method     Role
-------------------------------------------------------------------------------------------------------------------------
021a.1000.0011 ap-icu-1                                       WLAN 17   Run               11ac     MAB        Local
021a.1000.0012 ap-icu-2                                       WLAN 17   Webauth Pending   11n(2.4) Dot1x      Unknown
021a.1000.0013 ap-or-1                                        WLAN 19   Run               11ax(5)  MAB        Export Foreign

Number of Excluded Clients: 1

MAC Address    AP Name                          Type ID   State              Protocol Method
------------------------------------------------------------------------------------------------
021a.1000.0014 ap-or-1                        WLAN 19   Excluded           11ac     Dot1x
"""
DETAIL = """Client MAC Address : 021a.1000.0011
Client MAC Type : Locally Administered Address
Client IPv4 Address : 192.0.2.11
Client IPv6 Addresses : fe80::1, 2001:db8::11
Client Username : 02-1A-10-00-00-11
AP Name: ap-icu-1
Client State : Associated
Policy Profile : MEDICAL
Wireless LAN Network Name (SSID): medical
Mobility:
  Move Count                  : 4
  Mobility Role               : Local
  Mobility Roam Type          : L2
Policy Manager State: Run
Session Manager:
  Authorized         : TRUE
  Common Session ID: 0A0000010000004ACF25FC91
  Auth Method Status List
  \tMethod : MAB
  \t\tSM State        : TERMINATE
  Local Policies:
  \tService Template : wlan_svc_MEDICAL (priority 254)
  \t\tVLAN             : 10
  Server Policies:
  \t\tACS ACL          : xACSACLx-IP-SW_pumps-65e89aab
  \t\tOutput SGT       : 2724-02
  Resultant Policies:
  \t\tACS ACL          : xACSACLx-IP-SW_pumps-65e89aab
  \t\tOutput SGT       : 2724-02
  \t\tVLAN Name        : CLINICAL
  \t\tVLAN             : 10
DNS Snooped IPv4 Addresses : None
FlexConnect Data Switching : N/A
Device Classification Information:
  Device Type      : Un-Classified Device
  Device Name      : pump-7
"""
TAGS = """Number of APs: 2

AP Name                 AP Mac           Site Tag Name           Policy Tag Name         RF Tag Name   Misconfigured    Tag Source
-----------------------------------------------------------------------------------------------------------------------------
ap-icu-1                3c41.0fee.5094   icu                     MEDICAL_ICU             Standard      No               Static
ap-or-1                 3c41.0fee.5884   operating               MEDICAL_OR              Standard      No               Static
"""


def test_clients_are_read_whole_and_counted() -> None:
    parsed = client_summary(SUMMARY)
    assert parsed.whole
    assert [
        (each.mac[-2:], each.access_point, each.wlan, each.state, each.role, each.running) for each in parsed.entries
    ] == [
        ("11", "ap-icu-1", 17, "Run", "Local", True),
        ("12", "ap-icu-2", 17, "Webauth Pending", "Unknown", False),
        ("13", "ap-or-1", 19, "Run", "Export Foreign", True),
        ("14", "ap-or-1", 19, "Excluded", "", False),
    ]
    assert not client_summary(SUMMARY.replace("Clients: 3", "Clients: 4")).whole
    assert not client_summary(SUMMARY + "something\n").whole
    assert not client_summary("").whole


def test_lists_and_tags_of_a_client() -> None:
    parsed = client_detail(DETAIL)
    (client,) = parsed.entries
    assert parsed.whole and client.authorized and client.central
    assert client.addresses == ("192.0.2.11", "fe80::1", "2001:db8::11")
    assert client.acs_acls == ("xACSACLx-IP-SW_pumps-65e89aab",)
    assert (client.sgt, client.vlan, client.value("ssid"), client.value("moves")) == (0x2724, 10, "medical", "4")
    # Lines of its policies are judged: an unknown one may be a list.
    assert not client_detail(DETAIL.replace("ACS ACL  ", "NEW LIST ")).whole
    waiting = client_detail(DETAIL.replace("Policy Manager State: Run", "Policy Manager State: Webauth Pending"))
    assert not waiting.entries[0].authorized
    local = client_detail(DETAIL.replace("FlexConnect Data Switching : N/A", "FlexConnect Data Switching : Local"))
    assert not local.entries[0].central
    assert client_detail("\n").entries == () and not client_detail("\n").whole


def test_tags_of_access_points() -> None:
    parsed = ap_tags(TAGS)
    assert parsed.whole
    assert [(each.name, each.site_tag, each.policy_tag) for each in parsed.entries] == [
        ("ap-icu-1", "icu", "MEDICAL_ICU"),
        ("ap-or-1", "operating", "MEDICAL_OR"),
    ]
    assert not ap_tags(TAGS.replace("APs: 2", "APs: 3")).whole


def asked(answers: dict[str, str]) -> Any:
    def ask(text: str) -> str:
        if text in answers:
            return answers[text]
        raise FindingError(codes.SESSION_LOST.at(f"wlc1: during {text}"))

    return ask


ANSWERS = {
    "show wireless client summary": SUMMARY,
    "show ap tag summary": TAGS,
    "show wireless client mac-address 021a.1000.0011 detail": DETAIL,
    "show wireless client mac-address 021a.1000.0012 detail": "\n",
    "show wireless client mac-address 021a.1000.0013 detail": DETAIL.replace("0011", "0013").replace(
        "Mobility Role               : Local", "Mobility Role               : Export Foreign"
    ),
}


def test_a_client_that_left_is_no_fault_and_one_anchored_elsewhere_is_not_at_this_controller() -> None:
    reading = read_wireless("wlc1", asked(ANSWERS))
    assert reading.findings == () and len(reading.details) == 2
    facts = {each.mac[-2:]: each.facts for each in observations_of(reading, "wlc1", 1) if each.source == "wlc1:session"}
    assert facts["11"] == {
        "switch": "wlc1",
        "vlan": 10,
        "ssid": "medical",
        "access_point": "ap-icu-1",
        "access_point_group": "MEDICAL_ICU",
        "site": "icu",
        "sgt": 0x2724,
    }
    assert "switch" not in facts["13"]
    assert section_of(reading)["counts"] == {"clients": 4, "read": 2, "excluded": 1, "by_ssid": {"medical": 2}}


def test_what_cannot_be_read_is_said() -> None:
    lost = {**ANSWERS}
    del lost["show ap tag summary"]
    assert [each.code for each in read_wireless("wlc1", asked(lost)).findings] == [codes.COMMAND_FAILED.number]
    few = read_wireless("wlc1", asked(ANSWERS), most=1)
    assert len(few.details) == 1 and [each.code for each in few.findings] == [codes.FACTS_FAILED.number]


USER, PASSWORD, ENABLE = "netops", "lab-password", "lab-enable"
SESSIONS = [
    {
        "mac": "02:1a:10:00:00:11",
        "interface": "TenGigabitEthernet0/0/0",
        "vlan": 10,
        "ip": "192.0.2.11",
        "dacl": "IP-SW_pumps-65e89aab",
        "dacl_lines": ["permit udp any eq bootpc any eq bootps", "deny ip any any"],
        "sgt": 100,
        "device": "wlc1",
    },
    {
        "mac": "02:1a:10:00:00:12",
        "interface": "TenGigabitEthernet0/0/0",
        "vlan": 10,
        "ip": "192.0.2.12",
        "device": "wlc1",
    },
]
WIRELESS = {
    "access_points": {
        "ap-icu-1": {"mac": "3c:41:0f:ee:50:94", "site": "icu", "policy": "MEDICAL_ICU"},
        "ap-or-1": {"mac": "3c:41:0f:ee:58:84", "site": "operating", "policy": "MEDICAL_OR"},
    },
    "clients": {
        "02:1a:10:00:00:11": {"access_point": "ap-icu-1", "wlan": 17, "ssid": "medical", "moves": 3},
        "02:1a:10:00:00:12": {"access_point": "ap-or-1", "wlan": 17, "ssid": "medical", "switching": "Local"},
    },
}


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetSpec]:
    """An emulated wireless controller over SSH, and an access switch beside it that is none."""
    folder = tmp_path_factory.mktemp("wlc")
    ports = (InterfaceSpec("TenGigabitEthernet0/0/0", trunk=True),)
    hosts = tuple(HostSpec(each["mac"], each["ip"], "TenGigabitEthernet0/0/0", 10) for each in SESSIONS)
    spec = DeviceSpec("wlc1", HOST, 0, model="C9800-40-K9", interfaces=ports, hosts=hosts, extra={"wireless": WIRELESS})
    fleet = Fleet(
        [spec],
        folder / "host_key",
        {USER: PASSWORD},
        (HOST, 0),
        known_hosts_path=folder / "known_hosts",
        enable_secret=ENABLE,
        provider=StaticProvider(SESSIONS),
    )
    with FleetThread(fleet) as running:
        port = running.fleet.device("wlc1").port
        yield TargetSpec(
            "wlc1",
            "ios",
            HOST,
            port,
            USER,
            PASSWORD,
            ENABLE,
            known_hosts_file=str(folder / "known_hosts"),
        )


def test_the_controller_gives_clients_lists_tags_and_places(controller: TargetSpec) -> None:
    facts = read_ios_facts(controller)
    assert facts.software.startswith("C9800-40-K9")
    # It has no TCAM to tell of; everything else is read whole.
    assert {each.code for each in facts.findings} <= {"SW1372"}
    devices = merge(facts.observations).devices
    pump = {name: fact.value for name, fact in devices["02:1a:10:00:00:11"].facts.items()}
    assert {key: pump[key] for key in ("switch", "ssid", "access_point", "access_point_group", "site", "sgt")} == {
        "switch": "wlc1",
        "ssid": "medical",
        "access_point": "ap-icu-1",
        "access_point_group": "MEDICAL_ICU",
        "site": "icu",
        "sgt": 100,
    }
    clients = {each["mac"]: each for each in facts.switch["wireless"].value["clients"]}
    assert clients["02:1a:10:00:00:11"]["access_lists"] == ["xACSACLx-IP-SW_pumps-65e89aab"]
    assert (clients["02:1a:10:00:00:11"]["moves"], clients["02:1a:10:00:00:12"]["central"]) == (3, False)
    assert facts.switch["sessions"].value["sessions"][0]["interface"] == "ap-icu-1"
    names = {each["name"] for each in facts.switch["access_lists"].value["lists"]}
    assert "xACSACLx-IP-SW_pumps-65e89aab" in names


def test_verification_sees_what_its_clients_carry(controller: TargetSpec) -> None:
    shell = IosSession(controller)
    try:
        view = read_switch(shell, "wlc1", {"SW_pumps"}, ()).view
    finally:
        shell.close()
    session = view.sessions["02:1a:10:00:00:11"]
    assert session.authorized and session.sgt == 100
    assert [each.name for each in session.revisions] == ["SW_pumps"]
    assert view.texts["xACSACLx-IP-SW_pumps-65e89aab"] == "permit udp any eq bootpc any eq bootps\ndeny ip any any"
