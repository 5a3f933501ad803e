# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from switches: output as devices print it, sessions that fail, libssh's shell against a scripted channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.show import interfaces_description
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, libssh
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_facts import (
    is_infrastructure,
    read_ios_facts,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.libssh import LibsshShell
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

SPEC = TargetSpec("sw1", "ios", "192.0.2.1", 22, "netops", "hunter2-secret")
NOW = 1_795_000_000.0
NOW_US = int(NOW * 1_000_000)
INVALID = "                    ^\n% Invalid input detected at '^' marker.\n"

VERSION = """Cisco IOS XE Software, Version 17.09.04a
Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), Version 17.9.4a, RELEASE SOFTWARE (fc3)
sw1 uptime is 3 weeks, 2 days, 1 hour, 5 minutes
System image file is "flash:packages.conf"
Model Number                       : C9300-48U
System Serial Number               : FCW2233L0AA
"""
MAC_TABLE = """          Mac Address Table
-------------------------------------------

Vlan    Mac Address       Type        Ports
----    -----------       --------    -----
 All    0100.0ccc.cccc    STATIC      CPU
  10    021a.1000.0011    STATIC      Gi1/0/1
  10    021a.1000.0012    DYNAMIC     Gi1/0/2
  40    021a.4000.0013    DYNAMIC     Te1/1/1
  40    00de.adbe.ef01    DYNAMIC     Te1/1/1
Total Mac Addresses for this criterion: 5
"""
ARP = """Protocol  Address          Age (min)  Hardware Addr   Type   Interface
Internet  192.0.2.1               -   00de.adbe.0001  ARPA   Vlan10
Internet  192.0.2.11             12   021a.1000.0011  ARPA   Vlan10
"""
TRACKING = """Binding Table has 1 entries, 1 dynamic (limit 200000)
    Network Layer Address                    Link Layer Address     Interface  vlan       prlvl      age        state      Time left
DH4 192.0.2.11                               021a.1000.0011         Gi1/0/1    10         0024       108s       REACHABLE  132 s
"""
SESSIONS = """Interface                MAC Address    Method  Domain  Status Fg  Session ID
--------------------------------------------------------------------------------------------
Gi1/0/1                  021a.1000.0011 mab     DATA    Auth       0A0000010000004ACF25FC91

Session count = 1
"""
DETAILS = """            Interface:  GigabitEthernet1/0/1
               IIF-ID:  0x7FA6CB28
          MAC Address:  021a.1000.0011
         IPv6 Address:  Unknown
         IPv4 Address:  192.0.2.11
            User-Name:  02-1A-10-00-00-11
               Status:  Authorized
               Domain:  DATA
       Current Policy:  POLICY_ACCESS


Server Policies:
            SGT Value:  100


Method status list:
       Method           State
          mab           Authc Success
"""
LLDP = """------------------------------------------------
Local Intf: Te1/1/1
Chassis id: 00de.adbe.ef01
Port id: Te1/0/7
Port Description: to sw1
System Name: core1.example.net

System Description:
Cisco IOS Software

Time remaining: 101 seconds
System Capabilities: B,R
Enabled Capabilities: B,R
Management Addresses:
    IP: 192.0.2.254
Auto Negotiation - supported, enabled
Vlan ID: - not advertised


Total entries displayed: 1
"""
SNOOPING = """MacAddress          IpAddress        Lease(sec)  Type           VLAN  Interface
------------------  ---------------  ----------  -------------  ----  --------------------
02:1A:10:00:00:12   192.0.2.12       80123       dhcp-snooping   10    GigabitEthernet1/0/2
Total number of bindings: 1
"""
DESCRIPTIONS = """Interface                      Status         Protocol Description
Vl1                            admin down     down
Gi1/0/1                        up             up       pump1
Gi1/0/2                        up             up       room 4.112, bed 2
Te1/1/1                        up             up       core1
"""
LISTS = """Extended IP access list SW_pumps__a
    10 permit udp any eq bootpc any eq bootps
    20 deny ip any any
"""
RUNNING = """Building configuration...

Current configuration : 300 bytes
!
hostname sw1
interface GigabitEthernet1/0/1
 ip access-group SW_pumps__a in
end
"""
TCAM = """CAM Utilization for ASIC  [0]
 Table                  Subtype      Dir      Max     Used    %Used       V4       V6     MPLS    Other
 Security ACL           TCAM         IO       5120      131    2.56%       26       60        0       45
"""
TCAM_COMMAND = "show platform hardware fed switch active fwd-asic resource tcam utilization"
ANSWERS = {
    "show clock": "12:34:56.789 UTC Thu Nov 26 2026\n",
    "show access-lists": LISTS,
    "show running-config": RUNNING,
    TCAM_COMMAND: TCAM,
    "show version": VERSION,
    "show mac address-table": MAC_TABLE,
    "show ip arp": ARP,
    "show device-tracking database": TRACKING,
    "show access-session": SESSIONS,
    "show access-session details": DETAILS,
    "show lldp neighbors detail": LLDP,
    "show ip dhcp snooping binding": SNOOPING,
    "show interfaces description": DESCRIPTIONS,
}


class FakeShell:
    """Answers from a table; an exception as an answer is raised."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked, self.closed = answers, [], False

    def show(self, text: str, seconds: float = 60.0) -> str:
        self.asked.append(text)
        found = self.answers.get(text, INVALID)
        if isinstance(found, Exception):
            raise found
        return str(found)

    def close(self) -> None:
        self.closed = True


def read(answers: dict[str, Any], shells: list[FakeShell] | None = None) -> Any:
    opened = [] if shells is None else shells

    def opener(_spec: TargetSpec) -> FakeShell:
        opened.append(FakeShell(answers))
        return opened[-1]

    return read_ios_facts(SPEC, opener=opener, clock=lambda: NOW)


def test_what_the_tables_say_becomes_the_register_of_the_device() -> None:
    facts = read(ANSWERS)
    assert facts.findings == ()
    assert facts.software == "C9300-48U 17.09.04a"
    assert facts.counts["mac_table"] == 5 and facts.counts["session_details"] == 1
    pump = merge(facts.observations).devices["02:1a:10:00:00:11"]
    values = {name: fact.value for name, fact in pump.facts.items()}
    assert values == {
        "switch": "sw1",
        "interface": "GigabitEthernet1/0/1",
        "vlan": 10,
        "sgt": 100,
        "hostname": "pump1",
    }
    assert pump.facts["hostname"].source == "sw1:description"
    assert pump.facts["hostname"].confidence == 0.3
    assert {each.address for each in pump.addresses} == {"192.0.2.11"}
    claims = [each for one in facts.observations for each in one.addresses if isinstance(each, AddressClaim)]
    assert min(each.since for each in claims if each.since is not None) == NOW_US - 12 * 60 * 1_000_000


def test_a_description_that_is_a_sentence_or_stands_on_an_uplink_names_nobody() -> None:
    names = {each.mac: each.facts["hostname"] for each in read(ANSWERS).observations if "hostname" in each.facts}
    assert names == {"02:1a:10:00:00:11": "pump1", "00:de:ad:be:ef:01": "core1.example.net"}


def test_a_port_towards_another_switch_says_little_of_where_a_device_is() -> None:
    facts = read(ANSWERS)
    far = [each for each in facts.observations if each.mac == "02:1a:40:00:00:13"]
    assert [each.confidence for each in far] == [0.2]
    near = [each for each in facts.observations if each.source == "sw1:mac-table" and each.mac.endswith(":12")]
    assert [each.confidence for each in near] == [0.7]
    assert facts.infrastructure == {"00:de:ad:be:ef:01"}


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [(("B", "R"), True), (("R",), True), (("B", "T"), False), (("S",), False), ((), False), (("W",), True)],
)
def test_telephones_and_stations_are_endpoints(capabilities: tuple[str, ...], expected: bool) -> None:
    assert is_infrastructure(capabilities) is expected


def test_a_command_that_fails_costs_only_its_own_facts() -> None:
    facts = read({**ANSWERS, "show lldp neighbors detail": "% LLDP is not enabled\n", "show ip arp": INVALID})
    assert [each.code for each in facts.findings if "arp" in each.message] == [codes.COMMAND_FAILED.number]
    assert all("sw1" in each.message for each in facts.findings)
    assert {each.source for each in facts.observations} >= {"sw1:mac-table", "sw1:session", "sw1:dhcp-snooping"}


def test_older_names_of_commands_are_used_where_the_newer_are_refused() -> None:
    answers = {name: text for name, text in ANSWERS.items() if "access-session" not in name}
    answers["show authentication sessions"] = SESSIONS
    answers["show access-session interface GigabitEthernet1/0/1 details"] = DETAILS
    shells: list[FakeShell] = []
    facts = read(answers, shells)
    assert facts.counts["sessions"] == 1 and facts.counts["session_details"] == 1
    assert "show access-session interface GigabitEthernet1/0/1 details" in shells[0].asked


def lost(what: str) -> FindingError:
    return FindingError(codes.SESSION_LOST.at(f"sw1: during {what!r}"))


def test_after_a_lost_session_the_other_commands_get_a_new_one() -> None:
    shells: list[FakeShell] = []
    facts = read({**ANSWERS, "show ip arp": lost("show ip arp")}, shells)
    assert [each.code for each in facts.findings] == [codes.COMMAND_FAILED.number]
    assert len(shells) == 2 and shells[0].closed and shells[1].closed
    assert "show device-tracking database" in shells[1].asked
    assert "ise" not in facts.counts and facts.counts["device_tracking"] == 1


def test_a_device_that_hangs_on_everything_is_logged_into_three_times_at_most() -> None:
    shells: list[FakeShell] = []
    facts = read(dict.fromkeys(ANSWERS, lost("x")), shells)
    assert len(shells) == 3
    assert facts.observations == ()
    assert {each.code for each in facts.findings} == {codes.COMMAND_FAILED.number}


def test_a_refused_login_is_no_empty_reading() -> None:
    def refuse(_spec: TargetSpec) -> FakeShell:
        raise FindingError(codes.LOGIN_REFUSED.at("sw1: netops@192.0.2.1"))

    with pytest.raises(FindingError, match="SW4203"):
        read_ios_facts(SPEC, opener=refuse)


def test_descriptions_agree_with_a_public_parser() -> None:
    parse = pytest.importorskip("ntc_templates.parse").parse_output
    text = DESCRIPTIONS + "Gi1/0/48                       down           down     to fw1, eth0\n"
    rows = parse(platform="cisco_ios", command="show interfaces description", data=text)
    mine = interfaces_description(text)
    assert mine.whole
    assert [each.description for each in mine.entries] == [row["description"] for row in rows]
    assert [each.status for each in mine.entries] == [row["status"] for row in rows]
    assert mine.entries[1].interface == "GigabitEthernet1/0/1"
    assert not interfaces_description(DESCRIPTIONS + "something else\n").whole


# -- libssh's shell


class Channel:
    """Gives what was scripted for each line that is sent; ``answers`` maps a line to pieces of bytes."""

    def __init__(self, greeting: Iterable[bytes], answers: dict[bytes, list[bytes]]) -> None:
        self.waiting, self.answers, self.sent, self.is_eof = list(greeting), answers, [], False

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)
        self.waiting += self.answers.get(data, [])

    def read_nonblocking(self, _size: int) -> bytes:
        return self.waiting.pop(0) if self.waiting else b""

    def close(self) -> None:
        self.is_eof = True


def shell(channel: Channel, enable: str = "") -> LibsshShell:
    made = object.__new__(LibsshShell)
    made.spec = TargetSpec("sw1", "ios", "192.0.2.1", 22, "netops", "hunter2-secret", enable)
    made._session, made._channel, made._socket, made._handed, made.prompt = None, channel, None, -1, ""
    made._settle()
    return made


PAGING = {
    b"terminal length 0\r": [b"terminal length 0\r\nsw1#"],
    b"terminal width 512\r": [b"terminal width 512\r\nsw1#"],
}


def test_libssh_ends_lines_with_cr_and_turns_paging_off() -> None:
    pytest.importorskip("pylibsshext")
    channel = Channel([b"\r\nwelcome to sw1#\r\nnot yet\r\n", b"\r\nsw1#"], dict(PAGING))
    channel.answers[b"show version\r"] = [b"show ver", b"sion\r\nCisco IOS\r\nsw1#x is no prompt\r\n", b"end\r\nsw1#"]
    made = shell(channel)
    assert made.show("show version") == "Cisco IOS\nsw1#x is no prompt\nend"
    assert channel.sent == [b"terminal length 0\r", b"terminal width 512\r", b"show version\r"]


def test_libssh_answers_a_pager_that_cannot_be_turned_off() -> None:
    pytest.importorskip("pylibsshext")
    channel = Channel([b"\r\nsw1#"], dict(PAGING))
    channel.answers[b"show ip arp\r"] = [b"show ip arp\r\none\r\n --More-- "]
    channel.answers[b" "] = [b"\x08\x08\x08\x08        \x08\x08two\r\nsw1#"]
    text = shell(channel).show("show ip arp")
    assert text.startswith("one\n") and text.rstrip().endswith("two")


def test_libssh_gives_the_enable_secret_once() -> None:
    pytest.importorskip("pylibsshext")
    answers = {**PAGING, b"enable\r": [b"enable\r\nPassword: "], b"s3cret-word\r": [b"\r\nsw1#"]}
    assert shell(Channel([b"\r\nsw1>"], answers), "s3cret-word").prompt == "sw1#"
    answers[b"s3cret-word\r"] = [b"\r\n% Bad secrets\r\n\r\nsw1>"]
    channel = Channel([b"\r\nsw1>"], answers)
    with pytest.raises(FindingError, match="SW4207") as caught:
        shell(channel, "s3cret-word")
    assert "s3cret-word" not in str(caught.value)
    assert channel.sent.count(b"s3cret-word\r") == 1


def test_libssh_gives_up_on_silence_and_on_a_closed_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pylibsshext")
    channel = Channel([b"\r\nsw1#"], {**PAGING, b"show clock\r": [b"show clock\r\nhalf an ans"]})
    made = shell(channel)
    monkeypatch.setattr(libssh, "PAUSE", 0.0)
    with pytest.raises(FindingError, match=r"silent for 0\.05 s"):
        made.show("show clock", 0.05)
    channel.is_eof = True
    with pytest.raises(FindingError, match="closed by the device"):
        made.show("show clock", 5.0)


@pytest.mark.parametrize("text", ["configure terminal", "show version\rreload", "show x\ny", "reload", "show \x1b[A"])
def test_libssh_sends_nothing_but_show_commands(text: str) -> None:
    pytest.importorskip("pylibsshext")
    channel = Channel([b"\r\nsw1#"], dict(PAGING))
    made = shell(channel)
    with pytest.raises(ValueError, match="only show commands"):
        made.show(text)
    assert len(channel.sent) == 2


def test_ipv6_lists_are_asked_for_where_one_command_does_not_show_all() -> None:
    answers = {key: text for key, text in ANSWERS.items() if key != "show access-lists"}
    six = "IPv6 access list SW_pumps__v6__a\n    permit icmp any any nd-ns sequence 10\n    deny ipv6 any any sequence 20\n"
    answers |= {"show ip access-lists": LISTS, "show ipv6 access-list": six}
    kept = read(answers).switch["access_lists"].value["lists"]
    assert [(each["name"], each["entries"]) for each in kept] == [("SW_pumps__a", 2), ("SW_pumps__v6__a", 2)]


def test_the_switch_says_what_it_is_and_what_its_hardware_holds() -> None:
    switch = read(ANSWERS).switch
    assert set(switch) == {"access_lists", "clock", "configuration", "sessions", "system", "tcam"}
    assert {each.read_at for each in switch.values()} == {"2026-11-18T11:06:40Z"}
    assert switch["system"].value["model"] == "C9300-48U"
    assert switch["system"].value["uptime_seconds"] == 3 * 604_800 + 2 * 86_400 + 3_600 + 5 * 60
    (region,) = switch["tcam"].value["regions"]
    assert (region["member"], region["limit"], region["used"]) == (1, 5120, 131)
    assert switch["tcam"].commands == (TCAM_COMMAND,)
    assert switch["configuration"].value["attachments"][0]["access_list"] == "SW_pumps__a"
    assert switch["sessions"].value["sessions"][0]["sgt"] == 100


def test_every_member_of_a_stack_is_asked_and_one_that_is_silent_leaves_no_half_answer() -> None:
    stack = (
        VERSION
        + """Switch Ports Model              SW Version        SW Image              Mode
------ ----- -----              ----------        ----------            ----
*    1 41    C9300-48U          17.09.04a         CAT9K_IOSXE           INSTALL
     2 41    C9300-48U          17.09.04a         CAT9K_IOSXE           INSTALL
"""
    )
    member = "show platform hardware fed switch {} fwd-asic resource tcam utilization"
    answers = {**ANSWERS, "show version": stack, member.format(1): TCAM, member.format(2): TCAM.replace("131", "900")}
    regions = read(answers).switch["tcam"].value["regions"]
    assert [(each["member"], each["used"]) for each in regions] == [(1, 131), (2, 900)]
    del answers[member.format(2)]
    facts = read(answers)
    assert "tcam" not in facts.switch
    assert [each.code for each in facts.findings] == ["SW1372"]


def test_a_switch_that_refuses_its_configuration_keeps_its_other_sections() -> None:
    facts = read({**ANSWERS, "show running-config": INVALID})
    assert "configuration" not in facts.switch and "tcam" in facts.switch
    assert [each.code for each in facts.findings] == [codes.COMMAND_FAILED.number]
    cut = read({**ANSWERS, "show running-config": RUNNING.replace("end\n", "")})
    assert "configuration" not in cut.switch
    assert [each.code for each in cut.findings] == ["SW1324"]
