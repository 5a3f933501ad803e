# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations and tables of switches as somebody who wants to open a port, or a bad day, leaves them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import left_out
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes, nxos_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import (
    Swap,
    plan_change,
    revert_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import ios_operations, live_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_management import management_interfaces
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_undo import undo_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_guard import management_path

PORT = "GigabitEthernet1/0/1"
BODY = "ip access-list extended SW_hvac\n 10 permit udp any any eq 53\n"
DESIRED = (
    DesiredObject("access_list", "SW_hvac", {"content": BODY}),
    DesiredObject("attachment", f"{PORT}-in", {"interface": PORT, "direction": "in", "access_list": "SW_hvac"}),
)
ATTACHED = f"interface {PORT}\n ip access-group SW_hvac__a in\n"
LIST = "ip access-list extended SW_hvac__a\n 10 permit udp any any eq 53\n"


def steps_for(text: str) -> Any:
    live = Snapshot("acc1", "ios", live_objects(read_config(text), DESIRED))
    return ios_operations("acc1", DESIRED, live, adopt=False)


def codes_of(error: Any) -> set[str]:
    return {each.code for each in error.value.findings}


@pytest.mark.parametrize("left", ["", "ip access-list extended SW_hvac__a\n"])
def test_a_place_with_a_missing_or_empty_list_holds_nothing(left: str) -> None:
    """It permits everything: the place is drift, gets a new version, and goes back to what it was."""
    assert not steps_for(ATTACHED + LIST + "end\n")
    state = read_config(ATTACHED + left + "end\n")
    steps = steps_for(ATTACHED + left + "end\n")
    assert "attachment" in {step.kind for step in steps}
    change = plan_change("acc1", steps, state)
    assert change.swaps == (Swap((PORT, "in", 4), "SW_hvac__a", "SW_hvac__b"),)
    place = next(step for step in steps if step.kind == "attachment")
    after = read_config(f"interface {PORT}\n ip access-group SW_hvac__b in\n" + LIST.replace("__a", "__b") + "end\n")
    undone = undo_change("acc1", place, change.undo[place.id], after)
    assert undone.swaps == (Swap((PORT, "in", 4), "SW_hvac__b", "SW_hvac__a"),) and undone.bare == {"SW_hvac__a"}


def test_a_place_moves_on_although_an_earlier_step_renamed_its_list() -> None:
    """What a plan that updates a list and takes it off a place finds when it comes to the place, step by step."""
    before = read_config(ATTACHED + LIST + "end\n")
    live = Snapshot("acc1", "ios", live_objects(before, ()))
    detach = next(step for step in ios_operations("acc1", (), live, adopt=False) if step.action == "detach")
    renamed = read_config((ATTACHED + LIST).replace("__a", "__b") + "end\n")
    assert plan_change("acc1", [detach], renamed).swaps == (Swap((PORT, "in", 4), "SW_hvac__b", ""),)
    theirs = read_config(ATTACHED.replace("SW_hvac__a", "THEIRS") + LIST + "end\n")
    with pytest.raises(FindingError) as error:
        plan_change("acc1", [detach], theirs)
    assert codes_of(error) == {"SW4222"}


def test_what_somebody_detached_since_is_not_attached_again_by_an_undo() -> None:
    state = read_config(
        f"interface {PORT}\n ip access-group SW_old__a in\n" + LIST + LIST.replace("hvac", "old") + "end\n"
    )
    live = Snapshot("acc1", "ios", live_objects(state, DESIRED))
    place = next(step for step in ios_operations("acc1", DESIRED, live, adopt=False) if step.kind == "attachment")
    assert place.before and place.before["live"] == "SW_old__a"
    bare = read_config(f"interface {PORT}\n" + LIST + LIST.replace("hvac", "old") + "end\n")
    with pytest.raises(FindingError) as error:
        undo_change("acc1", place, {}, bare)
    assert codes_of(error) == {change_codes.UNDO_REFUSED.number}


@pytest.mark.parametrize(
    "user",
    ["line vty 0 4\n access-class SW_hvac__a in\n", "vlan access-map M 10\n match ip address SW_hvac__a\n",
     "template T\n ip access-group SW_hvac__a in\n"],
)  # fmt: skip
def test_a_list_that_something_else_uses_is_neither_removed_nor_built_under_it(user: str) -> None:
    """Removed, a terminal line or a VLAN would be open; built under it, each line would be in force as it is typed."""
    new = LIST.replace("eq 53", "eq 123")
    with pytest.raises(FindingError) as error:
        steps_for(ATTACHED + new + user + "end\n")  # in the plan
    assert codes_of(error) == {"SW4225"}
    with pytest.raises(FindingError) as error:  # somebody used it after the plan
        plan_change("acc1", steps_for(ATTACHED + new + "end\n"), read_config(ATTACHED + new + user + "end\n"))
    assert codes_of(error) == {"SW4225"}
    assert not steps_for(ATTACHED + LIST + user + "end\n")  # as wanted: nothing to refuse
    assert read_config(user + "end\n").free_name("SW_hvac") == "SW_hvac__b"
    nexus = nxos_config.read_config("version 9.3\ninterface Ethernet1/1\n" + user)
    assert nexus.elsewhere == {"SW_hvac__a"} and nexus.free_name("SW_hvac") == "SW_hvac__b"
    assert not read_config(ATTACHED + " description SW_hvac__a\n" + LIST + "end\n").elsewhere


def test_what_a_banner_says_is_no_configuration() -> None:
    fake = f"banner motd ^C\n{ATTACHED}{LIST.replace('permit', 'deny')}^C\nbanner login #one line#\n"
    for text in (fake + "end\n", fake.replace("^C", "#") + "end\n"):
        assert not read_config(text).lists and not read_config(text).groups
        assert not nxos_config.read_config(text).groups
    with pytest.raises(FindingError) as error:
        read_config("banner motd ^C\n" + ATTACHED + LIST + "end\n")
    assert codes_of(error) == {codes.BAD_ANSWER.number}


def test_a_long_way_back_is_not_ended_halfway() -> None:
    """The event manager ends an applet after 20 seconds unless it is told otherwise."""
    swaps = [Swap((f"GigabitEthernet1/0/{number}", "in", 4), "SW_a__a", "SW_a__b") for number in range(1, 49)]
    lines = revert_lines(swaps, 60)
    assert lines[-1].startswith("event timer countdown time 60 maxrun ")
    assert int(lines[-1].split()[-1]) > len(lines)


def test_a_firewall_that_is_not_among_the_targets_is_named_as_such() -> None:
    assert [each.code for each in left_out({}, [DesiredTarget("fw1", "asa", ())])] == [change_codes.NOT_PLANNED.number]


def session(answers: dict[str, str], client: str = "10.9.0.9") -> Any:
    return SimpleNamespace(
        show=lambda text: answers.get(text, ""),
        peer=lambda: client,
        device=lambda: "10.1.0.1",
        spec=SimpleNamespace(name="d"),
    )


ARP = "Internet  {0}   3   0200.0000.0001  ARPA   Vlan10\n"
IOS = read_config(f"interface {PORT}\ninterface Vlan10\n ip address 10.1.0.1 255.255.255.0\nend\n")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"show mac address-table address 0200.0000.0001": " 10    0200.0000.0001    DYNAMIC     Gi1/0/1\n"},
         ({"Vlan10", PORT}, True)),
        ({}, ({"Vlan10"}, False)),
        ({"show mac address-table address 0200.0000.0001": " 10    0200.0000.0001    DYNAMIC     Fif1/0/1\n"},
         ({"Vlan10", "Fif1/0/1"}, False)),
    ],
)  # fmt: skip
def test_the_way_of_management_is_known_only_down_to_the_port(answers: dict[str, str], expected: Any) -> None:
    """A list on a port that the tables do not tell could cut the controller off: then the way back is armed for every place."""
    near = {"show ip arp 10.9.0.9": ARP.format("10.9.0.9"), **answers}
    far = {
        "show ip route 10.9.0.9": "Routing entry for 0.0.0.0/0\n  * 10.1.0.9, via Vlan10\n",
        "show ip arp 10.1.0.9": ARP.format("10.1.0.9"), **answers,
    }  # fmt: skip
    for each in (near, far):
        assert management_interfaces(session(each), IOS, "10.9.0.9") == expected
    shared = {**far, "show ip route 10.9.0.9": far["show ip route 10.9.0.9"] + "    10.1.0.8, via Vlan20\n"}
    assert management_interfaces(session(shared), IOS, "10.9.0.9")[1] is False


@pytest.mark.parametrize("port", ["", "Eth1/1"])
def test_the_port_behind_the_next_hop_of_a_nexus_is_on_the_way(port: str) -> None:
    """The controller comes by a router in Vlan10: the port list on the port of that router sees its packets first."""
    state = nxos_config.read_config(
        "version 9.3\ninterface Vlan10\n  ip address 10.1.0.1/24\ninterface Ethernet1/1\ninterface Ethernet1/2\n"
    )
    answers = {
        "show ip route 10.9.0.9": "0.0.0.0/0, ubest/mbest: 1/0\n    *via 10.1.0.9, Vlan10, [1/0], 1w0d, static\n",
        "show ip arp 10.1.0.9": "10.1.0.9        00:01:02  0200.0000.0001  Vlan10\n",
        "show mac address-table address 0200.0000.0001": f"*   10     0200.0000.0001   dynamic  0         F      F    {port}\n"
        if port
        else "",
    }
    path = management_path(session(answers), state)
    by_port = ("Ethernet1/1", "in", "ip port access-group")
    other = ("Ethernet1/2", "in", "ip port access-group")
    assert path.may_cut([by_port])
    assert (path.known, path.may_cut([other])) == ((True, False) if port else (False, True))
    assert ("Ethernet1/1" in path.exposed) is bool(port)


def test_the_lines_of_a_job_are_no_configuration() -> None:
    """A way back that a dead run left armed does not keep its list from being replaced; a job of others that uses one does."""
    text = """version 9.3(8)
feature scheduler
ip access-list SW_hvac__a
  10 permit tcp any any eq 443
interface Ethernet1/1
  ip port access-group SW_hvac__a in
scheduler job name {}
configure terminal
interface Ethernet1/9
ip port access-group SW_hvac__a in

end-job
scheduler schedule name {}
  job name {}
  time start +00:03
line vty
"""
    ours, theirs = (nxos_config.read_config(text.format(*[name] * 3)) for name in ("SW_way_back", "THEIRS"))
    assert ours.elsewhere == frozenset() and ours.way_back == (("job", "SW_way_back"), ("schedule", "SW_way_back"))
    assert theirs.elsewhere == {"SW_hvac__a"} and theirs.way_back == ()
    for state in (ours, theirs):
        assert state.interfaces == ("Ethernet1/1",) and list(state.groups.values()) == ["SW_hvac__a"]
