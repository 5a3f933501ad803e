# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IOS-XE without a connection: the lines of a change, of the way back and of undo; what is asked before; the prompt that ends an output."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import (
    Build,
    Change,
    Swap,
    plan_change,
    proof,
    revert_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    Place,
    read_config,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import ios_operations, live_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_guards import (
    cut_findings,
    entries_of,
    neighbour_findings,
    room_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_undo import undo_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.management import (
    ManagementPath,
    controller,
    server,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ssh import prompt_pattern
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import WayBack, own_name

ONE, TWO = ("GigabitEthernet1/0/1", "in", 4), ("GigabitEthernet1/0/2", "in", 4)
OLD, NEW = ("10 permit tcp any any eq 443", "20 deny ip any any"), "permit tcp any any eq 8443\ndeny ip any any"
STATE = IosState(
    {"SW_hvac__a": OLD, "OTHER": ("10 permit ip any any",)}, {ONE: "SW_hvac__a"}, (ONE[0], TWO[0], "Vlan10")
)


def desired(content: str, *places: Place) -> list[DesiredObject]:
    made = [DesiredObject("access_list", "SW_hvac", {"content": content})]
    for interface, direction, _family in places:
        body = {"interface": interface, "direction": direction, "access_list": "SW_hvac"}
        made.append(DesiredObject("attachment", f"{interface}-{direction}", body))
    return made


def steps_of(state: IosState, wanted: list[DesiredObject]) -> tuple[Operation, ...]:
    live = Snapshot("sw1", "ios", live_objects(state, wanted))
    return ios_operations("sw1", wanted, live, adopt=False)


def planned(state: IosState, wanted: list[DesiredObject]) -> Change:
    return plan_change("sw1", steps_of(state, wanted), state)


def code_of(error: pytest.ExceptionInfo[FindingError]) -> str:
    return error.value.findings[0].code


# -- the change


def test_a_list_in_force_is_built_beside_swapped_and_then_removed() -> None:
    change = planned(STATE, desired(NEW, ONE, TWO))
    assert change.build_lines() == (
        "ip access-list extended SW_hvac__b", "permit tcp any any eq 8443", "deny ip any any",
    )  # fmt: skip
    assert set(change.swaps) == {Swap(ONE, "SW_hvac__a", "SW_hvac__b"), Swap(TWO, "", "SW_hvac__b")}
    assert change.remove_lines() == ("no ip access-list extended SW_hvac__a",)
    assert change.old == {"SW_hvac__a": OLD}
    shown = change.commands((), enter="configure terminal")
    assert shown.index("deny ip any any") < shown.index("interface GigabitEthernet1/0/1")
    assert shown[-4:] == ("configure terminal", "no ip access-list extended SW_hvac__a", "end", "write memory")
    assert "no ip access-group" not in "\n".join(shown)  # at no moment is a port without its list


def test_nothing_is_typed_for_what_means_the_same() -> None:
    change = planned(STATE, desired("remark other words\npermit tcp any any eq 443\ndeny ip any any", ONE))
    assert change.empty
    assert change.commands((), enter="configure terminal") == ()


def test_a_version_that_an_interrupted_run_built_is_used_and_a_half_one_made_anew() -> None:
    whole = replace(STATE, lists={**STATE.lists, "SW_hvac__b": tuple(NEW.splitlines())})
    change = planned(whole, desired(NEW, ONE))
    assert (change.builds, [swap.new for swap in change.swaps], change.removes) == ((), ["SW_hvac__b"], ("SW_hvac__a",))
    everywhere = replace(
        whole, lists={**whole.lists, "SW_hvac__b": ("10 deny ip any any",), "SW_hvac__c": ("10 permit udp any any",)}
    )
    change = planned(everywhere, desired(NEW, ONE))
    assert [(build.name, build.stale) for build in change.builds] == [("SW_hvac__b", True)]
    assert change.build_lines()[:2] == (
        "no ip access-list extended SW_hvac__b", "ip access-list extended SW_hvac__b",
    )  # fmt: skip
    assert set(change.removes) == {"SW_hvac__a", "SW_hvac__c"}


def test_what_changed_since_the_plan_is_refused() -> None:
    steps = steps_of(STATE, desired(NEW, ONE, TWO))
    edited = replace(STATE, lists={**STATE.lists, "SW_hvac__a": ("10 permit ip any any",)})
    with pytest.raises(FindingError) as error:
        plan_change("sw1", steps, edited)
    assert code_of(error) == "SW4222"
    taken = replace(STATE, groups={**STATE.groups, TWO: "OTHER"})
    with pytest.raises(FindingError) as error:
        plan_change("sw1", steps, taken)
    assert code_of(error) == "SW4222"


def test_what_would_permit_everything_is_never_attached() -> None:
    (attach,) = (step for step in steps_of(STATE, desired(NEW, TWO)) if step.kind == "attachment" and step.after)
    unusable: tuple[dict[str, tuple[str, ...]], ...] = ({}, {"SW_hvac__a": ()})
    for lists in unusable:
        with pytest.raises(FindingError) as error:
            plan_change("sw1", [attach], IosState(lists, {}, (TWO[0],)))
        assert code_of(error) == "SW4227"
    with pytest.raises(FindingError) as error:
        plan_change("sw1", [attach], replace(STATE, interfaces=()))
    assert code_of(error) == "SW4227"


def test_an_armed_way_back_goes_before_anything_is_built() -> None:
    change = planned(replace(STATE, ways_back=(WayBack("SW_revert_c0ffee000abc1234"),)), desired(NEW, ONE))
    assert change.build_lines()[0] == "no event manager applet SW_revert_c0ffee000abc1234"


def test_the_way_back_types_our_attachments_alone_and_its_timer_is_the_last_line() -> None:
    lines = revert_lines([Swap(ONE, "SW_hvac__a", "SW_hvac__b"), Swap(TWO, "", "SW_hvac__b")], 60)
    typed = [re.sub(r'.* cli command "(.*)"', r"\1", line) for line in lines if " cli command " in line]
    assert typed == [
        "enable", "configure terminal",
        "interface GigabitEthernet1/0/1", "ip access-group SW_hvac__a in",
        "interface GigabitEthernet1/0/2", "no ip access-group SW_hvac__b in",
        f"no event manager applet {own_name('SW_revert')}", "end",
    ]  # fmt: skip
    assert lines[-1].startswith("event timer countdown time 60 maxrun ")
    labels = [line.split()[1] for line in lines if line.startswith("action ")]
    assert labels == sorted(labels)  # the device sorts them as text


@pytest.mark.parametrize(
    ("lines", "equal"),
    [
        (OLD, True),
        (("10 remark x", *OLD), True),
        ((), False),
        (OLD[:1], True),  # nothing else passes either way
        (("10 permit tcp any any", OLD[1]), False),
        (("10 permit tcp any any eq 443 time-range NIGHT", OLD[1]), False),
    ],
)
def test_what_was_read_back_is_proved(lines: tuple[str, ...], equal: bool) -> None:
    assert (proof(lines, "permit tcp any any eq 443\ndeny ip any any") == "") is equal


# -- undo


def test_undo_brings_back_names_lines_and_places() -> None:
    wanted = desired(NEW, ONE, TWO)
    steps = steps_of(STATE, wanted)
    change = plan_change("sw1", steps, STATE)
    after = replace(
        STATE,
        lists={"OTHER": STATE.lists["OTHER"], "SW_hvac__b": tuple(NEW.splitlines())},
        groups={ONE: "SW_hvac__b", TWO: "SW_hvac__b"},
    )
    by_kind = {step.kind: step for step in steps}
    detached = undo_change("sw1", by_kind["attachment"], change.undo[by_kind["attachment"].id], after)
    assert detached.swap_lines() == ("interface GigabitEthernet1/0/2", "no ip access-group SW_hvac__b in")
    between = replace(after, groups={ONE: "SW_hvac__b"})
    back = undo_change("sw1", by_kind["access_list"], change.undo[by_kind["access_list"].id], between)
    assert [(build.name, build.lines) for build in back.builds] == [("SW_hvac__a", OLD)]
    assert back.swaps == (Swap(ONE, "SW_hvac__b", "SW_hvac__a"),)
    assert back.removes == ("SW_hvac__b",)
    assert undo_change("sw1", by_kind["access_list"], change.undo[by_kind["access_list"].id], STATE).empty


def test_undo_leaves_the_work_of_others_alone() -> None:
    step = next(step for step in steps_of(STATE, desired(NEW, ONE)) if step.kind == "access_list")
    recorded: dict[str, Any] = {"lists": {"SW_hvac__a": list(OLD)}, "places": [[*ONE[:2], "SW_hvac__a"]]}
    edited = replace(STATE, lists={"SW_hvac__b": ("10 permit udp any any",)}, groups={ONE: "SW_hvac__b"})
    with pytest.raises(FindingError) as error:
        undo_change("sw1", step, recorded, edited)
    assert code_of(error) == "SW4060"
    attach = next(step for step in steps_of(STATE, desired(NEW, TWO)) if step.kind == "attachment" and step.after)
    with pytest.raises(FindingError) as error:
        undo_change("sw1", attach, {}, replace(STATE, groups={TWO: "OTHER"}))
    assert code_of(error) == "SW4060"


def test_undo_of_a_new_list_that_is_in_use_is_refused() -> None:
    empty = IosState({}, {}, (ONE[0],))
    step = next(step for step in steps_of(empty, desired(NEW)) if step.kind == "access_list")
    made = IosState({"SW_hvac__a": tuple(NEW.splitlines())}, {}, (ONE[0],))
    assert undo_change("sw1", step, {}, made).removes == ("SW_hvac__a",)
    with pytest.raises(FindingError) as error:
        undo_change("sw1", step, {}, replace(made, groups={ONE: "SW_hvac__a"}))
    assert code_of(error) == "SW4225"


# -- guards

EXPOSURE = ManagementPath((
    controller("10.9.0.7", "10.1.0.2", ("Vlan10",), True),
    *(server(kind, "10.9.0.8", port, "10.1.0.2", ("Vlan10",), True) for kind, port in (("radius", 1812), ("coa", 1700))),
))  # fmt: skip


@pytest.mark.parametrize(
    ("content", "direction", "told"),
    [
        ("permit ip any any", "in", []),
        ("permit ip any any", "out", []),
        ("permit tcp any any\npermit udp any any eq 1700", "in", ["RADIUS"]),
        ("permit udp any any\npermit tcp any any established", "in", ["the controller"]),
        ("permit tcp any any eq 22\npermit udp any eq 1812 any", "in", ["change of authorization"]),
        ("permit tcp any any eq 22", "out", ["the controller"]),  # the answer comes from port 22
        ("permit tcp any eq 22 any established", "out", []),
        ("deny tcp host 10.9.0.7 any eq 22\npermit ip any any", "in", ["the controller"]),
        ("permit ip any any time-range NIGHT", "in", ["the controller", "RADIUS", "change of authorization"]),
    ],
)
def test_what_manages_the_switch_must_pass_for_certain(content: str, direction: str, told: list[str]) -> None:
    found = cut_findings("sw1", content, [("Vlan10", direction, 4), ("GigabitEthernet1/0/1", direction, 4)], EXPOSURE)
    assert [re.sub(r".* (?:in|out): (.*?): .*", r"\1", each.message.partition("sw1: ")[2]) for each in found] == told
    assert all(each.code == "SW4263" for each in found)


def test_a_place_may_be_on_the_controllers_way_unless_it_is_known_not_to_be() -> None:
    assert EXPOSURE.may_cut([("Vlan10", "in", 4)])
    assert not EXPOSURE.may_cut([ONE])
    unknown = replace(EXPOSURE.conversations[0], known=False)
    assert replace(EXPOSURE, conversations=(unknown, *EXPOSURE.conversations[1:])).may_cut([ONE])
    assert ManagementPath.of_text(EXPOSURE.as_text()) == EXPOSURE


class Hardware:
    """A session that answers what the hardware holds."""

    def __init__(self, used: int, limit: int = 100) -> None:
        self.text = (
            "CAM Utilization for ASIC  [0]\n"
            " Table                  Subtype  Dir  Max  Used  %Used  V4  V6  MPLS  Other\n"
            " ------------------------------------------------------------------\n"
            f" Security ACL Ipv4       TCAM     I   {limit}    {used}     1.00%   {used}   0   0   0\n"
        )

    def show(self, _command: str) -> str:
        return self.text


def test_room_is_counted_once_for_each_new_list_beside_the_old_ones() -> None:
    content = "\n".join(f"permit tcp any any eq {port}" for port in range(1, 21))
    build = Build("SW_hvac__b", tuple(content.splitlines()), content, False)
    change = Change((build,), (Swap(ONE, "SW_hvac__a", "SW_hvac__b"), Swap(TWO, "SW_hvac__a", "SW_hvac__b")))
    need = entries_of(content)
    assert 20 <= need <= 22
    for free, codes in ((need, []), (need - 1, ["SW4405"])):
        found = room_findings("sw1", Hardware(100 - free), change, STATE)  # type: ignore[arg-type]
        assert [each.code for each in found] == codes
    unattached = replace(change, swaps=())
    stack = replace(STATE, interfaces=("GigabitEthernet1/0/1", "GigabitEthernet2/0/1", "GigabitEthernet3/0/1"))
    # Member 3 is configured and not there; member 2 is the fullest; then it does not tell.
    shown = {
        "show switch": "*1   Active  00aa.0011.2233  15  V01  Ready\n 2   Standby 00aa.0011.2244  14  V01  Ready\n",
        "show platform hardware fed switch 1 fwd-asic resource tcam utilization": Hardware(10).text,
        "show platform hardware fed switch 2 fwd-asic resource tcam utilization": Hardware(100 - need + 1).text,
    }
    asked = SimpleNamespace(show=lambda command: shown.get(command, ""))
    (full,) = room_findings("sw1", asked, change, stack)  # type: ignore[arg-type]
    assert (full.code, "member 2, ASIC 0" in full.message) == ("SW4405", True)
    del shown["show platform hardware fed switch 2 fwd-asic resource tcam utilization"]
    (untold,) = room_findings("sw1", asked, change, stack)  # type: ignore[arg-type]
    assert (untold.code, "member 2" in untold.message) == ("SW4406", True)
    assert room_findings("sw1", Hardware(100), unattached, STATE) == []  # type: ignore[arg-type]


# -- IPv6

SIX = (*ONE[:2], 6)
OLD6 = ("sequence 10 permit tcp any host 2001:DB8::1 eq 443", "sequence 20 deny ipv6 any any")
NEW6 = """ipv6 access-list SW_hvac
 sequence 10 permit icmp any any nd-ns
 sequence 20 permit icmp any any nd-na
 sequence 30 permit tcp any host 2001:db8::1 eq 8443
 sequence 40 deny ipv6 any any
"""
STATE6 = read_config(
    "ip access-list extended SW_hvac__a\n 10 permit tcp any any eq 443\n 20 deny ip any any\n"
    f"ipv6 access-list SW_hvac__b\n {OLD6[0]}\n {OLD6[1]}\n"
    "interface GigabitEthernet1/0/1\n ip access-group SW_hvac__a in\n ipv6 traffic-filter SW_hvac__b in\n"
    "interface Vlan10\n ipv6 address 2001:DB8::2/64\n"
    "line vty 0 4\n ipv6 access-class SW_vty__a in\nend\n"
)


def desired6(*places: Place) -> list[DesiredObject]:
    made = [DesiredObject("ipv6_access_list", "SW_hvac", {"content": NEW6})]
    for place in places:
        body = {"interface": place[0], "direction": place[1], "access_list": "SW_hvac"}
        made.append(DesiredObject("ipv6_attachment", f"{place[0]}-{place[1]}", body))
    return made


def test_each_family_has_its_lists_and_its_places() -> None:
    assert (STATE6.groups, STATE6.six) == ({ONE: "SW_hvac__a", SIX: "SW_hvac__b"}, {"SW_hvac__b"})
    assert STATE6.routed == {"Vlan10"} and STATE6.elsewhere == {"SW_vty__a"}
    change = planned(STATE6, [*desired("permit tcp any any eq 443\ndeny ip any any", ONE), *desired6(SIX)])
    # Neither name is free for the new IPv6 list: one is the IPv4 list, the other in force.
    assert change.build_lines() == (
        "ipv6 access-list SW_hvac__c", *(" ".join(line.split()) for line in NEW6.splitlines()[1:]),
    )  # fmt: skip
    assert change.swap_lines() == ("interface GigabitEthernet1/0/1", "ipv6 traffic-filter SW_hvac__c in")
    assert change.remove_lines() == ("no ipv6 access-list SW_hvac__b",)
    applet = "\n".join(revert_lines(change.swaps, 60))
    assert '"ipv6 traffic-filter SW_hvac__b in"' in applet and "access-group" not in applet


def test_undo_of_an_ipv6_list_brings_back_its_lines_and_its_place() -> None:
    steps = steps_of(STATE6, [*desired("permit tcp any any eq 443\ndeny ip any any", ONE), *desired6(SIX)])
    (step,) = steps
    change = plan_change("sw1", steps, STATE6)
    after = replace(
        STATE6,
        lists={"SW_hvac__a": STATE6.lists["SW_hvac__a"], "SW_hvac__c": tuple(change.builds[0].lines)},
        six=frozenset({"SW_hvac__c"}),
        groups={ONE: "SW_hvac__a", SIX: "SW_hvac__c"},
    )
    back = undo_change("sw1", step, change.undo[step.id], after)
    assert back.build_lines() == ("ipv6 access-list SW_hvac__b", *OLD6)
    assert back.swap_lines() == ("interface GigabitEthernet1/0/1", "ipv6 traffic-filter SW_hvac__b in")
    assert back.remove_lines() == ("no ipv6 access-list SW_hvac__c",)
    assert undo_change("sw1", step, change.undo[step.id], STATE6).empty


def test_a_text_of_the_other_family_is_refused() -> None:
    for kind, content in (("access_list", NEW6), ("ipv6_access_list", "permit ipv6 any any")):
        with pytest.raises(FindingError, match="the other family"):
            steps_of(STATE6, [DesiredObject(kind, "SW_pump", {"content": content})])


@pytest.mark.parametrize(
    ("lines", "place", "cut"),
    [
        ("permit tcp any any", SIX, False),  # its own end permits neighbour discovery
        ("permit tcp any any\ndeny ipv6 any any", SIX, True),
        ("permit icmp any any nd-ns\ndeny ipv6 any any", SIX, True),
        ("permit icmp any any nd-ns\npermit icmp any any nd-na\ndeny ipv6 any any", SIX, False),
        ("permit icmp FE80::/10 any\ndeny ipv6 any any", SIX, True),  # while an address is tried, the source is ::
        ("deny icmp any any nd-na\npermit ipv6 any any", SIX, True),
        ("deny ipv6 any any", ("GigabitEthernet1/0/1", "out", 6), True),
        ("deny ipv6 any any", ("Vlan10", "out", 6), False),
        ("deny ipv6 any any", ("TenGigabitEthernet1/1/1", "out", 6), False),
    ],
)
def test_neighbour_discovery_must_pass_where_it_is_seen(lines: str, place: Place, cut: bool) -> None:
    content = "ipv6 access-list SW_hvac\n" + "".join(f" {line}\n" for line in lines.splitlines())
    found = neighbour_findings("sw1", content, place, {"TenGigabitEthernet1/1/1"})
    assert [each.code for each in found] == (["SW4412"] if cut else [])


def test_management_over_ipv6_is_asked_of_ipv6_lists() -> None:
    six = ManagementPath(
        (
            controller("2001:db8:9::7", "2001:db8::2", ("Vlan10",), True),
            server("radius", "2001:db8:9::8", 1812, "2001:db8::2", ("Vlan10",), True),
            server("tacacs", "10.9.0.8", 49, "10.1.0.2", ("Vlan10",), True),
        )
    )
    for content, told in (("permit tcp any any eq 22", 1), ("permit udp any any", 1), ("permit ipv6 any any", 0)):
        found = cut_findings("sw1", f"ipv6 access-list x\n {content}\n", [("Vlan10", "in", 6)], six)
        assert [each.code for each in found] == ["SW4263"] * told, content
    assert (
        cut_findings("sw1", "deny ip any any", [("Vlan10", "in", 4)], replace(six, conversations=six.conversations[:1]))
        == []
    )


def test_ipv6_entries_count_twice_and_in_their_own_region() -> None:
    content = "ipv6 access-list SW_hvac\n" + "".join(f" permit tcp any any eq {port}\n" for port in range(1, 11))
    change = Change((Build("SW_hvac__c", (), content, False),), (Swap(SIX, "", "SW_hvac__c"),))
    assert entries_of(content) >= 20
    assert room_findings("sw1", Hardware(99), change, STATE6) == []  # type: ignore[arg-type]  # a table for IPv4 alone
    full = Hardware(99)
    full.text = full.text.replace("Security ACL Ipv4 ", "Security ACL Non Ipv4 ")
    assert [each.code for each in room_findings("sw1", full, change, STATE6)] == ["SW4405"]  # type: ignore[arg-type]


# -- the end of an output


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("show version\nCisco IOS\nacc-sw-1#", True),
        ("show version\r\nCisco IOS\r\n\r\nacc-sw-1# ", True),
        ("show clock\nx\nacc-sw-1>", True),
        ("show clock\nx\nacc-sw-1(config-if)#", True),
        ("show clock\nx\nacc-sw-1.example#", True),  # the name is known by its first characters
        ("show clock\nx\nacc-sw-1#\n*Nov 26 09:00:00.001: %SYS-5-CONFIG_I: Configured", True),
        ("show banner\nType acc-sw-1# to go on", False),
        ("show banner\nacc-sw-1# show version\nmore", False),  # a prompt in an output, as in a banner or a note
        ("show banner\nacc-sw-1#\nstill the banner\n", False),
        ("show banner\nxacc-sw-1#", False),
        ("show version\nother-sw#", False),
        ("show version\nCisco IOS\n", False),
    ],
)
def test_a_prompt_ends_an_output_only_where_it_stands_alone(text: str, ended: bool) -> None:
    assert bool(re.search(prompt_pattern("acc-sw-1"), text)) is ended


def test_without_a_known_name_there_is_no_pattern() -> None:
    assert prompt_pattern("") == prompt_pattern("#") == ""
    assert re.search(prompt_pattern("a.b"), "x\nacb#") is None
