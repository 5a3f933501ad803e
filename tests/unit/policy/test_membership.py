# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is or is not a member, and that the lock agrees."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import resolve_members
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.membership import explain_device
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment

QUERY = {
    "all": [
        {"fact": "endpoint_profile", "in": ["Pump", "Pump-2"]},
        {"not": {"fact": "hostname", "matches": "spare-*"}},
        {"fact": "vlan", "at_least": 110},
    ]
}


def _segment(name: str, query: dict[str, Any]) -> Segment:
    return Segment(name, "zone", None, "owner", "low", query)


def _device(number: int, **facts: Any) -> dict[str, Any]:
    return {"id": f"02:00:00:00:00:{number:02x}", "facts": {name: {"value": value} for name, value in facts.items()}}


def test_every_part_is_told_with_the_value_that_decided() -> None:
    register = {"devices": [_device(1, endpoint_profile="Pump", hostname="pump-1", vlan="90")]}
    (found,) = explain_device([_segment("pumps", QUERY)], register, "PUMP-1")
    assert not found.holds
    assert found.lines == (
        "no: all of",
        "  yes: endpoint_profile in 'Pump', 'Pump-2'; it is 'Pump'",
        "  yes: not",
        "    no: hostname matches 'spare-*'; it is 'pump-1'",
        "  no: vlan at least 110; it is '90'",
    )
    register["devices"][0]["facts"]["vlan"] = {"value": 110}
    assert explain_device([_segment("pumps", QUERY)], register, "02:00:00:00:00:01")[0].holds
    assert explain_device([_segment("pumps", QUERY)], register, "unknown") == []


def test_a_fact_that_is_absent_is_said() -> None:
    (found,) = explain_device(
        [_segment("a", {"fact": "vlan", "at_most": 5})], {"devices": [_device(1)]}, "02:00:00:00:00:01"
    )
    assert found.lines == ("no: vlan at most 5; the device has no such fact",)


def test_the_lock_and_the_explanations_agree() -> None:
    chance = random.Random(4)
    segments = [
        _segment("high", {"fact": "vlan", "at_least": 50}),
        _segment("low", {"all": [{"fact": "vlan", "at_most": 49}, {"fact": "endpoint_profile", "equals": "Pump"}]}),
    ]
    devices = [
        _device(number, vlan=chance.randrange(100), endpoint_profile=chance.choice(["Pump", "Camera"]))
        for number in range(40)
    ]
    lock, findings = resolve_members(segments, {"devices": devices})
    again, _findings = resolve_members(reversed(segments), {"devices": list(reversed(devices))})
    assert lock == again
    assert findings == []
    for device in devices:
        inside = {
            name for name, item in lock["segments"].items() if any(d["device"] == device["id"] for d in item["devices"])
        }
        told = {item.segment for item in explain_device(segments, {"devices": devices}, device["id"]) if item.holds}
        assert inside == told
