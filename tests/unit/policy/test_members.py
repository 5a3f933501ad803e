"""Queries over facts, the lock, and the bounded pattern, compared with fnmatch and with brute force."""

from __future__ import annotations

import fnmatch
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.query import glob_matches, query_holds
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import (
    current_addresses,
    facts_of,
    lock_difference,
    lock_members,
    read_lock,
    resolve_members,
    write_lock,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment


def device(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": f"02:00:00:00:00:{number:02x}",
        "facts": {name: {"value": value, "source": "test", "confidence": 1.0} for name, value in facts.items()},
        "addresses": [{"address": f"10.1.0.{number}", "from": "2026-11-01T00:00:00Z", "to": None}],
    }


def segment(name: str, query: dict[str, Any]) -> Segment:
    return Segment(name, "zone", None, "owner", "low", query)


def test_pattern_agrees_with_fnmatch_on_every_short_case() -> None:
    patterns = ["".join(p) for n in range(5) for p in itertools.product("ab*?", repeat=n)]
    texts = ["".join(t) for n in range(5) for t in itertools.product("ab", repeat=n)]
    for pattern in patterns:
        for text in texts:
            assert glob_matches(pattern, text) == fnmatch.fnmatchcase(text, pattern), (pattern, text)


def test_pattern_is_no_regular_expression() -> None:
    assert glob_matches("pump[0-9].*", "PUMP[0-9].x")
    assert not glob_matches("pump[0-9]", "pump1")
    assert not glob_matches(".*", "pump1")


def test_hostile_pattern_takes_no_time() -> None:
    start = time.process_time()
    assert not glob_matches("*a" * 64 + "b", "a" * 20_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({"fact": "endpoint_profile", "equals": "lab-infusion-pump"}, True),
        ({"fact": "endpoint_profile", "equals": "Lab-Infusion"}, False),
        ({"fact": "endpoint_profile", "in": ["Other", "Lab-Infusion-Pump"]}, True),
        ({"fact": "endpoint_profile", "matches": "*-pump"}, True),
        ({"fact": "endpoint_profile", "contains": "FUSION"}, True),
        ({"fact": "vlan", "equals": 10}, True),
        ({"fact": "vlan", "equals": "10"}, True),
        ({"fact": "vlan", "equals": True}, False),
        ({"fact": "served_ports", "in": [443, 22]}, True),
        ({"fact": "served_ports", "equals": 1883}, False),
        ({"fact": "address", "prefix": "10.1.0.0/24"}, True),
        ({"fact": "address", "prefix": "10.2.0.0/24"}, False),
        ({"fact": "address", "prefix": "2001:db8::/32"}, False),
        ({"fact": "device", "matches": "02:00:*"}, True),
        ({"fact": "hostname", "equals": ""}, False),
        ({"not": {"fact": "hostname", "matches": "*"}}, True),
        ({"all": [{"fact": "vlan", "equals": 10}, {"not": {"fact": "vlan", "equals": 20}}]}, True),
        ({"all": [{"fact": "vlan", "equals": 10}, {"fact": "vlan", "equals": 20}]}, False),
        ({"any": [{"fact": "vlan", "equals": 20}, {"fact": "vlan", "equals": 10}]}, True),
        ({"any": [{"fact": "vlan", "equals": 20}]}, False),
    ],
)
def test_queries(query: dict[str, Any], holds: bool) -> None:
    facts = facts_of(device(7, endpoint_profile="Lab-Infusion-Pump", vlan=10, served_ports=[80, 443], hostname=None))
    assert query_holds(query, facts) is holds


leaves = st.builds(lambda f, v: {"fact": f, "equals": v}, st.sampled_from("abc"), st.sampled_from([0, 1]))
queries = st.recursive(
    leaves,
    lambda q: st.one_of(
        st.builds(lambda x: {"all": x}, st.lists(q, min_size=1, max_size=3)),
        st.builds(lambda x: {"any": x}, st.lists(q, min_size=1, max_size=3)),
        st.builds(lambda x: {"not": x}, q),
    ),
    max_leaves=6,
)


def _formula(query: dict[str, Any]) -> str:
    if "all" in query:
        return "(" + " and ".join(map(_formula, query["all"])) + ")"
    if "any" in query:
        return "(" + " or ".join(map(_formula, query["any"])) + ")"
    if "not" in query:
        return f"(not {_formula(query['not'])})"
    return f"({query['fact']} == {query['equals']})"


@given(queries)
def test_queries_are_boolean_formulas(query: dict[str, Any]) -> None:
    for values in itertools.product((0, 1), repeat=3):
        names = dict(zip("abc", values))
        facts = {name: [value] for name, value in names.items()}
        assert query_holds(query, facts) == eval(_formula(query), {}, names)


def test_a_device_in_two_segments_is_in_none() -> None:
    one, two = segment("one", {"fact": "vlan", "equals": 10}), segment("two", {"fact": "hostname", "matches": "p*"})
    lock, findings = resolve_members([two, one], {"devices": [device(1, vlan=10, hostname="p1"), device(2, vlan=10)]})
    assert [(f.code, f.severity) for f in findings] == [("SW2208", "error")]
    assert [d["device"] for d in lock["segments"]["one"]["devices"]] == ["02:00:00:00:00:02"]
    assert lock["segments"]["two"]["devices"] == []


def test_the_lock_does_not_depend_on_order(tmp_path: Path) -> None:
    segments = [segment("one", {"fact": "vlan", "equals": 10}), segment("two", {"fact": "vlan", "equals": 20})]
    devices = [device(n, vlan=10 if n % 2 else 20, hostname=f"h{n}") for n in range(9)]
    texts = set()
    for order in (1, -1):
        lock, _found = resolve_members(segments[::order], {"devices": devices[::order]})
        write_lock(tmp_path / "members.lock.json", lock)
        texts.add((tmp_path / "members.lock.json").read_text())
    assert len(texts) == 1
    assert read_lock(tmp_path / "members.lock.json") == lock
    assert {name: len(members) for name, members in lock_members(lock).items()} == {"one": 4, "two": 5}


def test_names_that_could_reach_a_command_line_are_left_out(tmp_path: Path) -> None:
    hostile = device(1, vlan=10, hostname="pump\nno aaa", switch="acc1; reload", interface="Gi1/0/1 | tee x")
    lock, _found = resolve_members([segment("one", {"fact": "vlan", "equals": 10})], {"devices": [hostile]})
    entry = lock["segments"]["one"]["devices"][0]
    assert (entry["name"], entry["switch"], entry["interface"]) == ("", "", "")
    write_lock(tmp_path / "lock.json", lock)


def test_a_wireless_client_has_its_site_and_group_and_a_wired_device_has_not(tmp_path: Path) -> None:
    facts = {
        "vlan": 10,
        "switch": "wlc1",
        "access_point": "ap-7",
        "site": "icu-4",
        "access_point_group": "medical; reload",
    }
    wired = {"vlan": 10, "switch": "acc1", "interface": "GigabitEthernet1/0/1", "site": "main"}
    query = segment("a", {"fact": "vlan", "equals": 10})
    lock, _found = resolve_members([query], {"devices": [device(1, **facts), device(2, **wired)]})
    client, other = lock["segments"]["a"]["devices"]
    assert client["site"] == "icu-4" and "access_point_group" not in client
    assert "site" not in other
    write_lock(tmp_path / "members.lock.json", lock)
    (member, second) = lock_members(read_lock(tmp_path / "members.lock.json"))["a"]
    assert (member.switch, member.interface, member.site, second.site) == ("wlc1", "", "icu-4", "")
    moved, _found = resolve_members([query], {"devices": [device(1, **{**facts, "site": "er"}), device(2, **wired)]})
    assert lock_difference(lock, moved) == ["02:00:00:00:00:01 (02:00:00:00:00:01) in a changes site"]


def test_a_lock_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    lock = {
        "kind": "members",
        "schema_version": "1.0",
        "segments": {"one": {"devices": [{"device": "x", "addresses": []}]}},
    }
    with pytest.raises(FindingError):
        write_lock(tmp_path / "lock.json", lock)
    assert not (tmp_path / "lock.json").exists()
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    with pytest.raises(FindingError):
        read_lock(tmp_path / "lock.json")


def test_addresses_are_those_held() -> None:
    moved = {
        "id": "02:00:00:00:00:01",
        "addresses": [
            {"address": "10.1.0.9", "from": "2026-11-01T00:00:00Z", "to": "2026-11-10T00:00:00Z"},
            {"address": "10.1.0.10", "from": "2026-11-10T00:00:00Z", "to": None},
            {"address": "10.1.0.2", "from": "2026-11-10T00:00:00Z", "to": None},
        ],
    }
    assert current_addresses(moved) == ["10.1.0.2", "10.1.0.10"]
    assert current_addresses(moved, "2026-11-05T00:00:00Z") == ["10.1.0.9"]
    assert current_addresses(moved, "2026-11-10T00:00:00Z") == ["10.1.0.2", "10.1.0.10"]
    gone = {"id": "x", "addresses": moved["addresses"][:1]}
    assert current_addresses(gone) == ["10.1.0.9"]


def test_difference_of_two_locks() -> None:
    segments = [segment("one", {"fact": "vlan", "equals": 10}), segment("two", {"fact": "vlan", "equals": 20})]
    old, _f = resolve_members(
        segments, {"devices": [device(1, vlan=10), device(2, vlan=10, hostname="h2"), device(3, vlan=10)]}
    )
    changed = {**device(3, vlan=10), "addresses": [{"address": "10.1.0.99", "from": "", "to": None}]}
    new, _f = resolve_members(segments, {"devices": [device(2, vlan=20, hostname="h2"), changed, device(4, vlan=20)]})
    assert lock_difference(old, new) == [
        "02:00:00:00:00:01 (02:00:00:00:00:01) leaves one",
        "h2 (02:00:00:00:00:02) moves from one to two",
        "02:00:00:00:00:03 (02:00:00:00:00:03) in one changes addresses",
        "02:00:00:00:00:04 (02:00:00:00:00:04) joins two",
    ]
    assert lock_difference(new, new) == []
