# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that dies after any line that it types to an IOS switch: the same plan goes on, or back, from whatever stands there then.

The lines go into the lab's switch, which keeps and shows them as a switch does; nothing is sent over a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import canonical_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_change import Change, plan_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import IosState, read_config
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import ios_operations, live_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_undo import undo_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_versions import former_name, half_typed
from tests.lab.iosxe.device import Device
from tests.lab.iosxe.spec import DeviceSpec, InterfaceSpec

PORTS = ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2")
OLD = [
    "remark as it was",
    "15 permit udp any eq 68 any eq 67",
    "25 permit tcp any host 10.0.0.1 eq 443",
    "35 deny ip any any",
]
NEW = [
    "permit udp any eq 68 any eq 67",
    "permit tcp any host 10.0.0.1 eq 8443",
    "permit tcp any any eq 22",
    "deny ip any any",
]
# What stands there before, each with another name in force, so that the new version has each of the three names.
BEFORE: dict[str, list[str]] = {"nothing": []} | {
    f"in force as {suffix}": [
        f"ip access-list extended SW_hvac__{suffix}", *OLD,
        *(line for port in PORTS for line in (f"interface {port}", f"ip access-group SW_hvac__{suffix} in")),
    ]
    for suffix in "abc"
}  # fmt: skip


class Switch:
    """The lab's switch at some moment, and what our side reads of it."""

    def __init__(self, lines: list[str]) -> None:
        ports = tuple(InterfaceSpec(port) for port in PORTS)
        self.device = Device(DeviceSpec("acc1", "127.0.0.1", 22, interfaces=ports))
        self.type(lines)
        self.dump = self.device.dump()

    def type(self, lines: Any) -> None:
        outputs = self.device.apply_lines(list(lines))
        assert not any("%" in output for output in outputs), outputs

    def back_to(self, *lines: list[str]) -> None:
        """At the first moment again, and after some lines."""
        self.device.restore(self.dump)
        for each in lines:
            self.type(each)

    @property
    def state(self) -> IosState:
        return read_config(self.device.running_text())

    @property
    def ours(self) -> Any:
        return self.state.own()


def typed(change: Change) -> list[str]:
    return [*change.build_lines(), *change.swap_lines(), *change.remove_lines()]


def list_step(state: IosState) -> Operation:
    text = "ip access-list extended SW_hvac\n" + "".join(f" {line}\n" for line in NEW)
    wanted = [DesiredObject("access_list", "SW_hvac", {"content": text})]
    steps = ios_operations("acc1", wanted, Snapshot("acc1", "ios", live_objects(state, wanted)), adopt=False)
    return next(step for step in steps if step.kind == "access_list")  # the others would be pruned


def noted(change: Change, step: Operation) -> dict[str, Any]:
    """What the journal keeps of a step for its undo."""
    found: dict[str, Any] = json.loads(canonical_json(dict(change.undo.get(step.id, {}))))
    return found


def moments(lines: list[str]) -> Iterator[list[str]]:
    return (lines[:count] for count in range(len(lines) + 1))


@pytest.mark.parametrize("before", BEFORE)
def test_taken_back_or_gone_on_with_after_any_line(before: str) -> None:
    switch = Switch(BEFORE[before])
    first, step = switch.ours, list_step(switch.state)
    whole = plan_change("acc1", [step], switch.state)
    lines = typed(whole)
    for done in moments(lines):
        # Straight back: the journal knows only that the step began.
        switch.back_to(done)
        switch.type(typed(undo_change("acc1", step, {}, switch.state)))
        assert switch.ours == first, done
        # Gone on with by the same plan, and then taken back.
        switch.back_to(done)
        again = plan_change("acc1", [step], switch.state)
        switch.type(typed(again))
        (live,) = switch.state.versions("SW_hvac")
        assert switch.state.attached(live) == sorted(first[1])
        assert not plan_change("acc1", [step], switch.state).changed
        switch.type(typed(undo_change("acc1", step, noted(again, step), switch.state)))
        assert switch.ours == first, done
    # The way back dies as well, after any of its lines; what it knows is what the whole step told.
    switch.back_to(lines)
    back = typed(undo_change("acc1", step, noted(whole, step), switch.state))
    for done in moments(back):
        switch.back_to(lines, done)
        switch.type(typed(undo_change("acc1", step, noted(whole, step), switch.state)))
        assert switch.ours == first, done


def test_what_somebody_made_under_our_name_is_not_half_typed() -> None:
    switch = Switch(BEFORE["in force as a"])
    step = list_step(switch.state)
    for others in (["permit udp any eq 68 any eq 67", "permit ip any any"], ["deny ip any any"]):
        switch.back_to(["ip access-list extended SW_hvac__b", *others])
        with pytest.raises(FindingError, match="SW4060"):
            undo_change("acc1", step, {}, switch.state)
    # Nor is what stands at a place, however much it looks like it.
    switch.back_to(
        ["ip access-list extended SW_hvac__b", NEW[0], f"interface {PORTS[0]}", "ip access-group SW_hvac__b in"]
    )
    with pytest.raises(FindingError, match="SW4060"):
        undo_change("acc1", step, {}, switch.state)


@pytest.mark.parametrize(
    ("current", "used", "name"),
    [("SW_x__b", {"SW_x__b"}, "SW_x__a"), ("SW_x__c", {"SW_x__c"}, "SW_x__b"), ("SW_x__a", {"SW_x__a"}, "SW_x__c"), ("", set(), "SW_x__a"),
     ("OTHER", {"OTHER"}, "SW_x__a"), ("SW_x__a", {"SW_x__a", "SW_x__c"}, "SW_x__b")],
)  # fmt: skip
def test_the_name_before(current: str, used: set[str], name: str) -> None:
    assert former_name("SW_x", current, used) == name


def test_the_beginning_of_a_text() -> None:
    def same(one: Any, other: Any) -> bool:
        return list(one) == list(other)

    assert half_typed([], ["a", "b"], same) and half_typed(["a"], ["a", "a", "b"], same)
    assert not half_typed(["b"], ["a", "b"], same) and not half_typed(["a", "b"], ["a", "a", "b"], same)
