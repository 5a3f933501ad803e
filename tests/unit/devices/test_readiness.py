# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness from configurations as people write them: what is missing, what passes without RADIUS, and that the lines given end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.port_security import (
    network_access,
    ports,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.running import blocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.tracking import tracking_policies
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.readiness import Readiness, readiness
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import Section, SwitchFacts

AT = "2026-11-26T08:00:00Z"
GLOBAL = """hostname sw1
aaa new-model
aaa authentication dot1x default group ISE
aaa authorization network default group ISE
aaa server radius dynamic-author
 client 192.0.2.10 server-key 7 0A0B0C0D
radius server ise1
 address ipv4 192.0.2.10 auth-port 1812 acct-port 1813
 key 7 0A0B0C0D0E
 automate-tester username probe
radius-server dead-criteria time 10 tries 3
radius-server deadtime 15
dot1x system-auth-control
device-tracking policy TRACK
 tracking enable
cts role-based enforcement
cts role-based enforcement vlan-list 10-12
cts role-based permissions default ipv4 FALLBACK
"""
LEGACY = """interface GigabitEthernet1/0/1
 switchport access vlan 10
 switchport mode access
 ip access-group PRE in
 device-tracking attach-policy TRACK
 authentication event server dead action authorize vlan 99
 authentication event server dead action authorize voice
 authentication host-mode multi-auth
 authentication open
 authentication port-control auto
 mab
 dot1x pae authenticator
"""
IBNS = """class-map type control subscriber match-all DOWN_NEW
 match authorization-status unauthorized
 match result-type aaa-timeout
class-map type control subscriber match-all DOWN_OLD
 match authorization-status authorized
 match result-type aaa-timeout
service-template CRITICAL
 access-group CRIT
 vlan 50
template PORT
 access-session closed
 access-session port-control auto
 mab
 dot1x pae authenticator
 service-policy type control subscriber POLICY
policy-map type control subscriber POLICY
 event session-started match-all
  10 class always do-until-failure
   10 authenticate using mab priority 20
 event authentication-failure match-first
  5 class DOWN_OLD do-until-failure
   10 pause reauthentication
  10 class DOWN_NEW do-until-failure
   10 activate service-template CRITICAL
   20 authorize
interface GigabitEthernet1/0/2
 switchport access vlan 11
 switchport mode access
 device-tracking attach-policy TRACK
 source template PORT
"""
LISTS = {"lists": [{"name": "PRE", "kind": "extended", "family": 4, "entries": 3, "origin": "configured"}]}


def facts(text: str, **sections: Any) -> SwitchFacts:
    found = {"configuration": network_access(blocks(text + "end\n")), "access_lists": LISTS, **sections}
    return SwitchFacts("sw1", "ios", {name: Section(value, AT) for name, value in found.items()})


def judged(text: str, kinds: tuple[str, ...] = (), **sections: Any) -> Readiness:
    return readiness(facts(text, **sections), kinds)


def numbers(made: Readiness) -> set[str]:
    return {each.code for each in made.findings}


def test_a_switch_that_has_everything_is_ready() -> None:
    made = judged(GLOBAL + LEGACY + IBNS, ("dacl", "sgacl"))
    assert made.ready and made.read_at == AT
    # What is left: a closed port has no list of its own.
    assert numbers(made) == {"SW1379"}
    one, two = made.ports
    assert (one.interface, one.mode, one.outcome, one.vlan) == ("GigabitEthernet1/0/1", "open", "list", 10)
    assert one.before == "what the static list PRE permits passes"
    assert one.unreachable == (
        "the device is let in in VLAN 99 without its downloaded list and tag: what the static list PRE permits passes"
    )
    assert one.standing == "it keeps its list and tag until the link goes down or ISE ends it"
    assert "local default FALLBACK" in one.reload
    assert (two.mode, two.outcome) == ("closed", "list")
    assert two.unreachable == (
        "the device is let in in VLAN 50 without its downloaded list and tag:"
        " what the list CRIT of the critical template permits passes"
    )
    assert two.standing == "it keeps its list and tag: re-authentication pauses"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("aaa new-model", "SW1374"),
        ("aaa authentication dot1x default group ISE", "SW1374"),
        ("dot1x system-auth-control", "SW1374"),
        (" authentication port-control auto", "SW1374"),
        ("aaa authorization network default group ISE", "SW1375"),
        (" device-tracking attach-policy TRACK", "SW1376"),
        (" tracking enable", "SW1376"),
        (" client 192.0.2.10 server-key 7 0A0B0C0D", "SW1377"),
        ("cts role-based enforcement", "SW1381"),
        ("cts role-based enforcement vlan-list 10-12", "SW1381"),
    ],
)
def test_what_is_missing_stands_against_enforcement_and_the_lines_given_end_it(line: str, code: str) -> None:
    text = GLOBAL + LEGACY
    without = text.replace(line + "\n", "")
    assert without != text
    if not line.startswith(" authentication port"):
        assert judged(text, ("dacl", "sgacl")).ready
    made = readiness(facts(without), ("dacl", "sgacl"), {"GigabitEthernet1/0/1"})
    assert not made.ready and code in numbers(made)
    assert [each.ready for each in made.ports] == [False]
    assert made.lines
    # The device merges the lines into what it has: the same here.
    mended = readiness(facts(merge(without, made.lines)), ("dacl", "sgacl"), {"GigabitEthernet1/0/1"})
    assert mended.ready, (made.lines, mended.findings)


def merge(text: str, lines: tuple[str, ...]) -> str:
    """Return a configuration with lines typed into it: those below a head go to that head's block."""
    found: list[tuple[str, list[str]]] = []
    for line in [*text.splitlines(), *lines]:
        if not line.startswith(" "):
            known = next((item for item in found if item[0] == line), None)
            if known is not None:
                found.append(known)
                continue
            found.append((line, []))
        else:
            found[-1][1].append(line)
    done: list[str] = []
    seen: set[str] = set()
    for head, below in found:
        if head not in seen:
            seen.add(head)
            done += [head, *below]
    return "\n".join(done) + "\n"


def test_legacy_ports_are_closed_and_newer_ones_open_unless_they_say_otherwise() -> None:
    text = """interface GigabitEthernet1/0/1
 authentication port-control auto
interface GigabitEthernet1/0/2
 access-session port-control auto
interface GigabitEthernet1/0/3
 authentication port-control force-authorized
interface GigabitEthernet1/0/4
 no switchport
 ip address 192.0.2.1 255.255.255.0
end
"""
    found = {each.interface[-1]: (each.style, each.open, each.mode) for each in ports(blocks(text))}
    assert found == {
        "1": ("legacy", False, "dynamic"),
        "2": ("ibns2", True, "dynamic"),
        "3": ("", False, "dynamic"),
        "4": ("", False, "routed"),
    }


def test_what_passes_while_radius_is_unreachable() -> None:
    def outcome(*lines: str) -> tuple[str, set[str]]:
        text = (
            GLOBAL + "interface GigabitEthernet1/0/1\n switchport mode access\n device-tracking attach-policy TRACK\n"
        )
        made = judged(text + "".join(f" {line}\n" for line in ("authentication port-control auto", *lines)), ("dacl",))
        return made.ports[0].outcome, numbers(made) & {"SW1378", "SW1379", "SW1380", "SW1383", "SW1384"}

    assert outcome() == ("nothing", {"SW1379", "SW1383"})
    assert outcome("authentication open") == ("everything", {"SW1378", "SW1384"})
    assert outcome("authentication open", "ip access-group PRE in") == ("list", set())
    # A list that is named and not there lets everything through, in either mode once the device is let in.
    assert outcome("authentication open", "ip access-group GONE in") == ("everything", {"SW1380", "SW1384"})
    assert outcome("authentication event server dead action authorize") == ("everything", {"SW1379", "SW1384"})
    assert outcome("ip access-group PRE in") == ("nothing", {"SW1383"})


def test_sessions_that_stand() -> None:
    def standing(*lines: str) -> str:
        text = GLOBAL + "interface GigabitEthernet1/0/1\n authentication port-control auto\n"
        return judged(text + "".join(f" {line}\n" for line in lines), ("dacl",)).ports[0].standing

    assert "until the link goes down" in standing()
    assert "until it is re-authenticated" in standing("authentication periodic")
    assert "begins anew at once" in standing("authentication event server dead action reinitialize vlan 9")


def test_a_feature_that_turns_tracking_on_by_itself_counts() -> None:
    text = (GLOBAL + LEGACY).replace(" device-tracking attach-policy TRACK\n", "")
    assert "SW1376" in numbers(judged(text, ("dacl",)))
    row = {"target": "vlan 10", "type": "VLAN", "policy": "DT-PROGRAMMATIC", "feature": "Device-tracking"}
    assert "SW1376" not in numbers(judged(text, ("dacl",), tracking_policies={"policies": [row]}))
    port = {**row, "target": "Gi1/0/1", "type": "PORT"}
    assert "SW1376" not in numbers(judged(text, ("dacl",), tracking_policies={"policies": [port]}))
    guard = {**row, "feature": "RA guard"}
    assert "SW1376" in numbers(judged(text, ("dacl",), tracking_policies={"policies": [guard]}))
    vlan = text + "vlan configuration 9-10\n device-tracking attach-policy TRACK\n"
    assert "SW1376" not in numbers(judged(vlan, ("dacl",)))


def test_an_old_image_is_given_the_old_line() -> None:
    text = (GLOBAL + LEGACY).replace(" device-tracking attach-policy TRACK\n", "")
    made = judged(text, ("dacl",), system={"software": "15.2(7)E4"})
    assert "ip device tracking" in made.lines
    assert "SW1376" not in numbers(judged(text + "ip device tracking\n", ("dacl",)))


def test_cells_are_judged_where_the_switch_knows_tags() -> None:
    bare = "\n".join(line for line in (GLOBAL + LEGACY).splitlines() if not line.startswith("cts ")) + "\n"
    assert "SW1381" not in numbers(judged(bare))
    session = {"interface": "GigabitEthernet1/0/1", "mac": "", "access_lists": [], "sgt": 100}
    assert "SW1381" in numbers(judged(bare, (), sessions={"sessions": [session]}))
    assert "SW1382" in numbers(
        judged(GLOBAL.replace("cts role-based permissions default ipv4 FALLBACK\n", "") + LEGACY)
    )


@pytest.mark.parametrize(
    ("clock", "wrong"),
    [
        ({"shown": "x", "zone": "UTC", "time": "2026-11-26T08:04:00Z", "mark": "", "controller": AT}, False),
        ({"shown": "x", "zone": "UTC", "time": "2026-11-26T09:04:00Z", "mark": "", "controller": AT}, True),
        ({"shown": "x", "zone": "UTC", "time": "2026-11-26T08:00:00Z", "mark": "*", "controller": AT}, True),
        ({"shown": "x", "zone": "CET", "time": "", "mark": "", "controller": AT}, False),
    ],
)
def test_the_clock(clock: dict[str, str], wrong: bool) -> None:
    assert ("SW1386" in numbers(judged(GLOBAL + LEGACY, (), clock=clock))) is wrong


def test_nothing_is_known_of_a_switch_that_did_not_show_its_configuration() -> None:
    made = readiness(SwitchFacts("sw1", "ios"))
    assert not made.ready and numbers(made) == {"SW1373"}


@pytest.mark.parametrize("text", [GLOBAL + LEGACY, GLOBAL])
def test_a_switch_of_which_no_port_was_looked_at_is_not_ready(text: str) -> None:
    """A port that was asked for and is not there, by a typing error or on another member, says nothing good of the others."""
    one = {"GigabitEthernet1/0/1"}
    assert readiness(facts(GLOBAL + LEGACY), (), one).ready
    for only in ({"GigabitEthernet2/0/1"}, {"Gi1/0/1"}, one | {"GigabitEthernet2/0/1"}):
        made = readiness(facts(text), (), only)
        assert not made.ready and "SW1373" in numbers(made)
        assert "GigabitEthernet2/0/1" in str(made.findings) or "Gi1/0/1" in str(made.findings)
    assert readiness(facts(text)).ready is (text != GLOBAL)


def test_policies_at_work(corpora: Path) -> None:
    folder = corpora / "device-outputs/cisco_iosxe/show_device-tracking_policies"
    parsed = tracking_policies((folder / "genie-out.txt").read_text())
    assert parsed.whole
    assert [(each.target, each.type, each.policy, each.feature) for each in parsed.entries] == [
        ("Twe1/0/42", "PORT", "test", "Device-tracking"),
        ("Twe1/0/42", "PORT", "test1", "Source guard"),
        ("Twe1/0/42", "PORT", "asdf", "RA guard"),
        ("vlan 39", "VLAN", "test1", "Device-tracking"),
        ("vlan 102", "VLAN", "DT-PROGRAMMATIC", "Device-tracking"),
    ]
    assert not tracking_policies("Gi1/0/1 PORT test\n").whole


def test_no_key_reaches_the_facts() -> None:
    text = str(facts(GLOBAL + LEGACY + IBNS).sections["configuration"].value)
    assert "0A0B" not in text and "probe" not in text
    assert "<key>" in str(judged((GLOBAL + LEGACY).replace(" client 192.0.2.10 server-key 7 0A0B0C0D\n", "")).lines)


CONTROLLER = """aaa new-model
aaa authentication dot1x ISE group ISE
aaa authorization network ISE group ISE
aaa server radius dynamic-author
 client 192.0.2.10 server-key 7 0A0B
radius-server dead-criteria time 10 tries 3
radius-server deadtime 15
wireless profile policy MEDICAL
 aaa-override
 nac
 cts role-based enforcement
 no shutdown
wireless profile policy OFF
 shutdown
"""


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("", "", set()),
        (" aaa-override\n", "", {"SW1391"}),
        (" nac\n", "", {"SW1391"}),
        (" client 192.0.2.10 server-key 7 0A0B\n", "", {"SW1377"}),
        ("aaa authorization network ISE group ISE\n", "", {"SW1375"}),
        ("aaa authentication dot1x ISE group ISE\n", "", {"SW1374"}),
        (" cts role-based enforcement\n", "", {"SW1381"}),
        (" nac\n", " nac\n no central switching\n", {"SW1390"}),
    ],
)
def test_a_wireless_controller_is_judged_by_its_policy_profiles(old: str, new: str, codes: set[str]) -> None:
    made = judged(CONTROLLER.replace(old, new, 1), ("dacl", "sgacl"))
    assert numbers(made) == codes
    assert made.ready is not bool(codes - {"SW1390"})
    if codes & {"SW1391"}:
        assert made.lines[:2] == ("wireless profile policy MEDICAL", " shutdown")
