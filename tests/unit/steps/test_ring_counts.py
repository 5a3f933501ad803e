# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters of entries: a conversation that an entry refuses, and that entry counts, takes its ring back; other counts do not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counted import (
    CountedList,
    deciding_entry,
    grown,
    idle,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal, read_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Part
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import ring_counts as module
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ring_counts import (
    RingCounters,
    keep_counts,
    policy_name,
    ring_counters,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.rollout import decide
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_counts import counted_lists
from tests.unit.steps.test_rollout import CHANGED, ONE, PUMPS, SERVER, codes, flows, progress, site

__all__ = ["site"]

SHOWN = """\
Standard IP access list 10
    10 permit 192.0.2.1
Extended IP access list SW_hvac_controllers__b
    10 permit udp any any eq bootps (12 matches)
    20 permit tcp any host 100.64.40.14 eq 443 (1 match)
    30 deny ip any any (40 matches)
Extended IP access list odd
    10 permit tcp any any eq 1 (5 matches)
    evaluate mirror
Extended IP access list xACSACLx-IP-SW_infusion_pumps-6746a1b2 (per-user)
    1 permit tcp any host 100.64.40.13 eq 443
    2 deny ip any any (7 matches)
Role-based IP access list SW_pacs_imaging-03 (downloaded)
    10 permit tcp dst eq 104
    20 deny ip
IPv6 access list six
    permit ipv6 any any (3 matches) sequence 10
"""


def test_every_list_of_one_command_with_its_counts() -> None:
    found = {item.name: item.entries for item in counted_lists("acc2", SHOWN)}
    assert found == {
        "SW_hvac_controllers__b": (
            ("permit udp any any eq bootps", 12), ("permit tcp any host 100.64.40.14 eq 443", 1), ("deny ip any any", 40),
        ),
        "xACSACLx-IP-SW_infusion_pumps-6746a1b2": (("permit tcp any host 100.64.40.13 eq 443", 0), ("deny ip any any", 7)),
        "SW_pacs_imaging-03": (("permit tcp dst eq 104", 0), ("deny ip", 0)),
    }  # fmt: skip
    assert [policy_name(name) for name in found] == ["SW_hvac_controllers", "SW_infusion_pumps", "SW_pacs_imaging"]
    lists = counted_lists("acc2", SHOWN)
    assert [CountedList.of(item.as_dict()) for item in lists] == lists
    assert counted_lists("acc2", "") == []


def test_what_was_counted_between_two_readings() -> None:
    def reading(*counts: int, text: str = "deny ip any any") -> CountedList:
        return CountedList(
            "acc2", "x", tuple((f"permit tcp any any eq {n}" if n else text, c) for n, c in enumerate(counts))
        )

    assert grown(reading(5, 7), reading(9, 7)) == (4, 0)
    assert grown(None, reading(9, 7)) == (9, 7)
    assert grown(reading(5, 7), reading(1, 8)) == (1, 8)  # cleared, or reloaded
    assert grown(reading(5, 7), reading(9, 8, text="deny tcp any any")) == (9, 8)  # another list of that name
    assert idle([reading(5, 7)], [reading(5, 7)]) == (reading(5, 7),) and idle([reading(5, 7)], [reading(5, 8)]) == ()


def test_the_deciding_entry_is_the_first_that_matches() -> None:
    """Against a reading of the entries by hand, for hosts and ports."""
    seen = set()
    for seed in range(300):
        chance = random.Random(seed)
        kind = chance.choice(("port_acl", "sgacl"))
        rows = [
            (chance.choice(("permit", "deny")), chance.choice((1, 2, 0)), chance.choice((80, 443, 0)))
            for _ in range(chance.randint(1, 6))
        ]
        if kind == "sgacl":
            rows = [(action, 0, port) for action, _host, port in rows]
            lines = [f"{a} tcp dst eq {p}" if p else f"{a} tcp" for a, _h, p in rows]
        else:
            lines = [
                f"{a} tcp any {f'host 10.0.0.{h}' if h else 'any'}" + (f" eq {p}" if p else "") for a, h, p in rows
            ]
        host, port = chance.choice((1, 2, 3)), chance.choice((80, 443, 8080))
        wanted = next((n for n, (_a, h, p) in enumerate(rows) if h in (0, host) and p in (0, port)), None)
        found = CountedList("acc2", "x", tuple((text, 0) for text in lines))
        packet = make_packet(6, "10.0.0.9", f"10.0.0.{host}", port, 50000)
        assert deciding_entry(kind, found, packet) == wanted, (seed, lines)
        seen.add(wanted)
    assert {None, 0, 1, 2} <= seen
    assert deciding_entry("port_acl", CountedList("a", "x", (("permit tcp any any eq 70000", 1),)), packet) is None


def counters_of(site: Site, before: Sequence[CountedList], now: Sequence[CountedList]) -> Any:
    listing = PointList(
        "ise-dacl", "dacl", "ise", "ise1", "SW_infusion_pumps", "enforce", (), False, False, "infusion_pumps"
    )
    kept = {(item.switch, item.name): item for item in before}
    return lambda part: RingCounters(site, [listing], kept, lambda: (now, []))


def test_an_entry_that_refuses_and_counts_takes_the_ring_back(tmp_path: Path, site: Site) -> None:
    """One open without answer is no sign yet; with three packets counted by the entry that refuses it, it is."""
    quiet = CHANGED + timedelta(minutes=1)
    flows(tmp_path, {}, unanswered_from=quiet, last=CHANGED + timedelta(minutes=15))
    now = CHANGED + timedelta(minutes=15)
    name = "xACSACLx-IP-SW_infusion_pumps-6746a1b2"

    def decided(refused: str, counts: tuple[int, int], switch: str = "acc1", kept: bool = True) -> Any:
        entries = (refused, "permit ip any any")
        readings = [
            CountedList(switch, name, tuple((text, n) for text, n in zip(entries, counted, strict=True)))
            for counted in ((100, 100), (100 + counts[0], 100 + counts[1]))
        ]
        return decide(
            progress(),
            site,
            tmp_path / "data",
            now,
            counters=counters_of(site, readings[:1] if kept else [], readings[1:]),
        )

    found = decided(f"deny tcp any host {SERVER} eq 8883", (3, 0))
    assert (found.undo, codes(found)) == (ONE, ["SW4132"])
    assert "3 packets counted since by 'deny tcp any host 100.64.40.13 eq 8883'" in found.findings[0].message
    assert "pump1" in found.findings[0].message and "pump2" not in found.findings[0].message  # it was answered
    # The answer may be refused as well: the server has no such list here, so nothing else is a sign.
    others = [
        (f"deny tcp any host {SERVER} eq 8883", (2, 50)),  # packets that may have been under way
        ("deny tcp any any eq 23", (500, 50)),  # somebody scans
        (f"deny tcp any host {SERVER} eq 8883", (50, 0), "acc2"),  # another switch than its own
        (f"deny tcp any host {SERVER} eq 8883", (50, 0), "acc1", False),  # nothing was kept at the change
    ]
    for case in others:
        made = decided(*case)
        assert made.undo is None and "SW4132" not in codes(made), case
    # Hardware that counts nothing is named, and is no health.
    still = decided(f"deny tcp any host {SERVER} eq 8883", (0, 0))
    assert still.undo is None and "SW4157" in codes(still)


def test_counters_are_those_that_were_kept_at_the_last_change(site: Site) -> None:
    lists = [PointList("p", "port_acl", "ios", "acc2", "SW_hvac_controllers", "enforce", (), False, False,
                       "hvac_controllers", interfaces=("GigabitEthernet1/0/1",)),
             PointList("m", "sgacl", "ise", "ise1", "SW_pacs_imaging", "enforce", (), False, False,
                       "imaging_modalities", "pacs")]  # fmt: skip
    part = Part("one", (("acc2", "1"),), 0, (("ise1", "2"),))
    kept = [item.as_dict() for item in counted_lists("acc2", SHOWN)]

    def started(target: str, number: str, **operation: Any) -> dict[str, Any]:
        return {"event": "operation_started", "target": target, "operation": {"id": number, **operation}}

    entries = [
        started("acc2", "1", name="GigabitEthernet1/0/1-in", after={"access_list": "SW_hvac_controllers"}),
        started("ise1", "2", name="a-b", after={"sgacls": ["SW_pacs_imaging"]}),
        started("ise1", "3", name="SW_cameras", after={"content": ""}),
        {"event": "ring_counts", "ring": "one", "counts": kept},
    ]
    found = ring_counters(entries, part, site, lists, {}, {})
    assert [item.name for item in found.lists] == ["SW_hvac_controllers", "SW_pacs_imaging"] and len(found.before) == 3
    assert ring_counters([*entries, {"event": "undo_done"}], part, site, lists, {}, {}).before == {}
    assert ring_counters(entries, Part("two", ()), site, lists, {}, {}).before == {}
    more = SHOWN.replace("(40 matches)", "(45 matches)").replace("deny ip\n", "deny ip (9 matches)\n")
    read = replace(found, read=lambda: (counted_lists("acc2", more), []))
    ahu, scanner, archive = "100.64.30.11", "100.64.20.11", "100.64.40.11"
    assert read.refusal(ahu, SERVER, 6, 80) == (5, "'deny ip any any' of list SW_hvac_controllers__b on acc2")
    assert read.refusal("100.64.30.12", SERVER, 6, 80) == (0, "")  # its port has no list
    assert read.refusal(scanner, archive, 6, 80)[0] == 9 and read.refusal(scanner, archive, 6, 104)[0] == 0
    assert read.refusal(archive, ahu, 6, 80)[0] == 5  # the answer comes through its list
    assert read.refusal(PUMPS[0], SERVER, 6, 80) == (0, "")


def test_a_switch_that_was_not_read_at_the_change_counts_nothing_since(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counters hold what came in years; those of a list that is new on a switch that was read begin with the change."""
    cells = [PointList("m", "sgacl", "ise", "ise1", "SW_pacs_imaging", "enforce", (), False, False,
                       "imaging_modalities", "pacs")]  # fmt: skip
    part = Part("one", (("ise1", "2"),))
    begun = {"event": "operation_started", "target": "ise1",
             "operation": {"id": "2", "name": "a-b", "after": {"sgacls": ["SW_pacs_imaging"]}}}  # fmt: skip
    specs = [SimpleNamespace(name=name) for name in ("acc2", "acc3")]
    text = SHOWN.replace("deny ip\n", "deny ip (900 matches)\n")
    answers = (counted_lists("acc2", SHOWN), [change_codes.SWITCH_UNREAD.at("acc3: no answer")])
    monkeypatch.setattr(module, "switch_specs", lambda _values, _variables: (specs, []))
    monkeypatch.setattr(module, "read_counts", lambda _specs: answers)
    journal = Journal(tmp_path / "journal.jsonl")
    keep_counts(journal, "p", part, [begun], cells, {}, {})
    entries = [begun, *read_entries(journal.path)]
    found = ring_counters(entries, part, site, cells, {}, {})
    scanner, archive = "100.64.20.11", "100.64.40.11"
    late = replace(found, read=lambda: (counted_lists("acc3", text), []))
    assert late.refusal(scanner, archive, 6, 80) == (0, "")
    new = replace(
        found, read=lambda: (counted_lists("acc2", text.replace("SW_pacs_imaging-03", "SW_pacs_imaging-04")), [])
    )
    assert new.refusal(scanner, archive, 6, 80)[0] == 900
