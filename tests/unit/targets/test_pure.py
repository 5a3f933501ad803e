# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of targets that need no connection: canonical forms, configurations as devices print them, waits, specs."""

from __future__ import annotations

import email.utils
import time
from dataclasses import asdict
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import pending_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import ise_answers, ise_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.conntrack import (
    Connection,
    no_longer_permitted,
    read_connections,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    base_name,
    full_interface,
    ours,
    read_config,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_diff import ios_operations, live_objects
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import ise_operations
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_wire import Answered, TokenBucket
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nftables import NftablesTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

PERMIT, DENY = "92951ac0-8c01-11e6-996c-525400b48521", "92919850-8c01-11e6-996c-525400b48521"
CELL = {"source": "A", "destination": "B", "status": "ENABLED", "sgacls": [], "default_rule": "NONE"}
SGTS = {"s1": "A", "s2": "B"}
SGACLS = {"l1": "One", "l2": "Two", PERMIT: "Permit IP", DENY: "Deny IP", "l3": "Deny_IP_Log"}


@pytest.mark.parametrize(
    ("sgacls", "rule", "expected"),
    [
        (["l1", DENY], "NONE", (["One"], "DENY_IP")),
        (["l1", DENY], "DENY_IP", (["One"], "DENY_IP")),
        (["l1"], "DENY_IP", (["One"], "DENY_IP")),
        ([PERMIT], "NONE", ([], "PERMIT_IP")),
        ([], "PERMIT_IP", ([], "PERMIT_IP")),
        (["l2", "l1"], "NONE", (["Two", "One"], "NONE")),
        (["l1", "l3"], "NONE", (["One", "Deny_IP_Log"], "NONE")),
        (["gone"], "NONE", (["gone"], "NONE")),
    ],
)
def test_a_cell_has_one_canonical_form(sgacls: list[str], rule: str, expected: tuple[list[str], str]) -> None:
    wire = {
        "id": "c",
        "sourceSgtId": "s1",
        "destinationSgtId": "s2",
        "matrixCellStatus": "MONITOR",
        "defaultRule": rule,
        "sgacls": sgacls,
    }
    body = ise_objects.canonical_body("egress_matrix_cell", wire, SGTS, SGACLS)
    assert (body["sgacls"], body["default_rule"]) == expected
    assert (body["source"], body["destination"]) == ("A", "B")


def test_ids_and_generations_are_not_part_of_the_hash() -> None:
    first = ise_objects.canonical_body(
        "sgacl", {"id": "1", "generationId": "0", "aclcontent": "deny  ip\r\n\r\n"}, {}, {}
    )
    second = ise_objects.canonical_body("sgacl", {"id": "2", "generationId": "7", "aclcontent": "deny ip"}, {}, {})
    assert objects_sha256({"sgacl/x": first}) == objects_sha256({"sgacl/x": second})


def test_what_a_cell_refers_to_must_exist() -> None:
    body = {"source": "A", "destination": "C", "status": "ENABLED", "sgacls": ["Gone"], "default_rule": "NONE"}
    with pytest.raises(FindingError) as error:
        ise_objects.wire_fields("egress_matrix_cell", "A-C", body, {"A": "s1"}, {})
    assert "C, Gone" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "name", "body", "word"),
    [
        ("sgt", "SW_x", {"value": 1}, "value 1"),
        ("sgt", "SW_x", {"value": 65520}, "value 65520"),
        ("sgt", "SW x", {"value": 20}, "characters"),
        ("sgt", "SW_x", {"value": 20, "description": "theirs"}, "does not begin"),
        ("sgacl", "SW_x", {"ip_version": "IPV5", "content": "deny ip"}, "IPV5"),
        ("sgacl", "SW_x", {"ip_version": "IPV4", "content": "permit tcp any any"}, "not understood"),
        ("downloadable_acl", "SW_x", {"dacl_type": "IPV4", "content": "permit object-group x any"}, "not understood"),
        ("egress_matrix_cell", "A-B", {**CELL, "status": "ON"}, "'ON'"),
        ("egress_matrix_cell", "A-B", {**CELL, "sgacls": ["Deny IP"]}, "built-in"),
        ("egress_matrix_cell", "ANY-ANY", {**CELL, "source": "ANY", "destination": "ANY"}, "ANY"),
        ("egress_matrix_cell", "A-C", CELL, "SOURCE-DESTINATION"),
    ],
)  # fmt: skip
def test_what_ise_would_not_check_is_checked_here(kind: str, name: str, body: dict[str, Any], word: str) -> None:
    found = ise_objects.body_findings(DesiredObject(kind, name, {"description": "segwright:x", **body}))
    assert any(word in finding.message for finding in found), found


def test_an_sgacl_never_changes_its_ip_version() -> None:
    """Another list stands in, the cells move over, and it stays when the old one is gone."""
    item = DesiredObject("sgacl", "SW_x", {"ip_version": "IPV6", "content": "deny ip", "description": "segwright:x"})
    cell = DesiredObject("egress_matrix_cell", "A-B", {**CELL, "sgacls": ["SW_x"], "description": "segwright:x"})
    held = {"content": "deny ip", "description": "segwright:x", "owned": True, "internal": {"id": "7"}}
    old, new = {**held, "ip_version": "IPV4"}, {**held, "ip_version": "IPV6"}
    live_cell = {**cell.body, "owned": True, "internal": {"id": "8"}}
    steps = ise_operations(
        "ise1", [item, cell], Snapshot("ise1", "ise", {"sgacl/SW_x": old, "egress_matrix_cell/A-B": live_cell})
    )
    assert [(step.action, step.kind, step.name) for step in steps] == [
        ("create", "sgacl", "SW_x_v6"), ("update", "egress_matrix_cell", "A-B"), ("push", "matrix", "trustsec"),
        ("delete", "sgacl", "SW_x"), ("push", "matrix", "trustsec"),
    ]  # fmt: skip
    assert steps[1].after is not None and steps[1].after["sgacls"] == ["SW_x_v6"]
    assert "in place of SW_x" in steps[0].summary
    moved = {**live_cell, "sgacls": ["SW_x_v6"]}
    given_back = {**old, "owned": False, "description": "theirs"}
    for left in ({"sgacl/SW_x": old}, {"sgacl/SW_x": given_back}, {}):
        objects = {**left, "sgacl/SW_x_v6": new, "egress_matrix_cell/A-B": moved}
        again = ise_operations("ise1", [item, cell], Snapshot("ise1", "ise", objects))
        assert [step.name for step in again if not step.details.get("prune")] == []
    with pytest.raises(FindingError) as error:
        ise_operations("ise1", [item], Snapshot("ise1", "ise", {"sgacl/SW_x": {**old, "owned": False}}))
    assert error.value.findings[0].code == "SW4220"


def test_a_description_alone_is_never_written() -> None:
    item = DesiredObject(
        "downloadable_acl", "SW_x", {"dacl_type": "IPV4", "content": "deny ip any any", "description": "segwright:new"}
    )
    live = {"downloadable_acl/SW_x": {**item.body, "description": "segwright:old", "owned": True, "internal": {}}}
    assert ise_operations("ise1", [item], Snapshot("ise1", "ise", live), adopt=False) == ()


def answered(status: int, retry_after: str | None = None) -> Answered:
    return Answered(status, {} if retry_after is None else {"retry-after": retry_after}, "")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("0.5", 0.4, 0.6), ("3", 3, 3), ("86400", 10, 10), ("-5", 0, 0.1), ("soon", 0.1, 0.3), (None, 0.1, 0.3)],
)
def test_retry_after_is_bounded_whatever_it_says(text: str | None, low: float, high: float) -> None:
    wait = ise_answers.wait_after(answered(429, text), 1)
    assert wait is not None
    assert low <= wait <= high


def test_retry_after_may_be_a_date() -> None:
    wait = ise_answers.wait_after(answered(503, email.utils.formatdate(time.time() + 5, usegmt=True)), 1)
    assert wait is not None
    assert 2 < wait <= 6


@pytest.mark.parametrize(
    ("verb", "status", "repeated"),
    [("GET", 500, True), ("PUT", 500, False), ("DELETE", 500, False), ("POST", 500, False), ("POST", 503, False), ("PUT", 503, True),
     ("POST", 429, True), ("GET", 400, False), ("GET", 403, False)],
)  # fmt: skip
def test_what_may_be_sent_again(verb: str, status: int, repeated: bool) -> None:
    assert (
        ise_answers.may_repeat(verb, status) and ise_answers.wait_after(answered(status), 1) is not None
    ) is repeated


def test_the_bucket_keeps_the_rate() -> None:
    now = [0.0]
    sent: list[float] = []
    bucket = TokenBucket(100.0, lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))
    for number in range(1000):
        bucket.take()
        sent.append(now[0])
        now[0] += 0.5 if number == 500 else 0.0  # a pause saves up no more than the burst
    busiest = max(sum(1 for other in sent if start <= other < start + 1.0) for start in sent)
    assert 90 <= busiest <= 100
    assert 1000 / (now[0] - 0.5) >= 90


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ERSResponse":{"messages":[{"title":"Cell Already Exsits"}]}}', "Cell Already Exsits"),
        ('{"ERSResponse":{"messages":[{"code":"CRUD operation exception"}]}}', "CRUD operation exception"),
        ('{"code":404,"message":"Matrix not found"}', "Matrix not found"),
        ('{"error":{"message":"no"},"version":"1"}', "no"),
        ("<html><body>nonce</body></html>", ""),
        ("[]", ""),
    ],
)
def test_errors_of_ise_in_all_their_forms(text: str, expected: str) -> None:
    assert ise_answers.error_text(text) == expected


CONFIG = """Building configuration...

Current configuration : 1058 bytes
!
hostname acc1
!
interface GigabitEthernet1/0/1
 description icu
 ip access-group SW_hvac__b in
 ip access-group OTHER out
!
interface Vlan10
 ip address 192.0.2.1 255.255.255.0
!
ip access-list extended OTHER
 10 permit ip any any
ip access-list extended SW_hvac__a
 10 permit tcp any any eq 80
ip access-list extended SW_hvac__b
 5 remark rule hvac-1
 5 permit tcp any host 192.0.2.9 eq www
 10 deny ip any any
ip access-list extended SW_byhand
 10 permit ip any any
!
end
"""


def test_our_part_of_a_configuration() -> None:
    state = read_config(CONFIG.replace("\n", "\r\n"))
    assert state.groups == {
        ("GigabitEthernet1/0/1", "in", 4): "SW_hvac__b",
        ("GigabitEthernet1/0/1", "out", 4): "OTHER",
    }
    assert state.lists["SW_hvac__b"] == (
        "5 remark rule hvac-1",
        "5 permit tcp any host 192.0.2.9 eq www",
        "10 deny ip any any",
    )
    assert state.versions("SW_hvac") == ["SW_hvac__b", "SW_hvac__a"]  # the one in force first
    assert state.free_name("SW_hvac") == "SW_hvac__c"
    assert state.routed == {"Vlan10"}
    assert (ours("SW_hvac__a"), ours("SW_byhand"), ours("OTHER__a")) == (True, False, False)
    assert (base_name("SW_hvac__c"), base_name("OTHER__a")) == ("SW_hvac", "OTHER__a")
    objects = live_objects(state, ())
    assert set(objects) == {"access_list/SW_hvac", "attachment/GigabitEthernet1/0/1-in"}
    assert "www" in objects["access_list/SW_hvac"]["content"]


def test_a_list_of_our_prefix_that_we_did_not_build_is_not_ours() -> None:
    item = DesiredObject(
        "access_list", "SW_byhand", {"content": "ip access-list extended SW_byhand\n 10 deny ip any any\n"}
    )
    live = Snapshot("acc1", "ios", live_objects(read_config(CONFIG), [item]))
    with pytest.raises(FindingError) as error:
        ios_operations("acc1", [item], live, adopt=False)
    assert [finding.code for finding in error.value.findings] == ["SW4220"]


@pytest.mark.parametrize("name", ["Gi1/0/1", "gi 1/0/1", "GigabitEthernet1/0/1"])
def test_interfaces_by_any_usual_name(name: str) -> None:
    assert full_interface(name) == "GigabitEthernet1/0/1"


@pytest.mark.parametrize("name", ["Gi1/0/1\nno ip routing", "Gi1/0/1; reload", "", "range Gi1/0/1 - 4", "Gi1/0/1 in"])
def test_what_is_no_interface_is_never_typed(name: str) -> None:
    with pytest.raises(FindingError):
        full_interface(name)


# Two entries as conntrack 1.4 prints them, one with a mark and a timeout, one unanswered; and one of a protocol without ports.
CONNTRACK = """tcp      6 431999 ESTABLISHED src=192.0.2.5 dst=198.51.100.7 sport=40000 dport=22 \
src=198.51.100.7 dst=192.0.2.5 sport=22 dport=40000 [ASSURED] mark=0 use=1
ipv4     2 udp      17 29 src=192.0.2.5 dst=198.51.100.7 sport=123 dport=123 [UNREPLIED] src=198.51.100.7 dst=192.0.2.5 sport=123 dport=123 mark=0 use=1
icmp     1 29 src=192.0.2.5 dst=198.51.100.7 type=8 code=0 id=7 src=198.51.100.7 dst=192.0.2.5 type=0 code=0 id=7 mark=0 use=1
tcp      6 300 ESTABLISHED src=192.0.2.5 dst=192.0.2.1 sport=40001 dport=22 src=192.0.2.1 dst=192.0.2.5 sport=22 dport=40001 [ASSURED] mark=0 use=1
tcp      6 300 ESTABLISHED src=2001:db8::5 dst=2001:db8:1::7 sport=40001 dport=443 src=2001:db8:1::7 dst=2001:db8::5 sport=443 dport=40001 [ASSURED] use=1
unknown  47 500 src=192.0.2.5 dst=198.51.100.7 srckey=0x0 dstkey=0x0
garbage
"""  # noqa: E501


def test_connections_that_may_not_go_on() -> None:
    found = read_connections(CONNTRACK)
    assert len(found) == 5
    assert found[0] == Connection("tcp", "192.0.2.5", "198.51.100.7", 40000, 22)
    rules = registry.parse(
        "ios", "ip access-list extended x\npermit udp any any eq 123\npermit icmp any any echo\ndeny ip any any"
    )[0].first_match()
    dropped = no_longer_permitted(found, rules, frozenset({"192.0.2.1"}))
    assert [(each.client, each.server_port) for each in dropped] == [("192.0.2.5", 22), ("2001:db8::5", 443)]
    assert dropped[0].words() == "-f ipv4 -p tcp -s 192.0.2.5 -d 198.51.100.7 --sport 40000 --dport 22"


def test_a_spec_names_what_is_missing_and_hides_what_is_secret() -> None:
    spec = TargetSpec.of(
        {
            "name": "acc1",
            "platform": "ios",
            "username": "u",
            "password": "hunter2",
            "enable_password": "hunter3",
            "port": "2222",
            "verify": False,
        }
    )
    assert (spec.service_port, spec.address, spec.secrets) == (2222, "acc1", ("hunter2", "hunter3"))
    assert "hunter" not in repr(spec)
    for values, code in (
        ({"platform": "junos"}, "SW4201"), ({"platform": "ios"}, "SW4200"), ({"platform": "ios", "username": "u", "port": "x"}, "SW4200"),
        ({"platform": "ios", "username": "u", "known_hosts_file": "/nonexistent"}, "SW4200"),
        ({"platform": "ios", "username": "u", "host": "a;b"}, "SW0009"),
    ):  # fmt: skip
        with pytest.raises(FindingError) as error:
            TargetSpec.of({"name": "acc1", **values})
        assert error.value.findings[0].code == code
    assert (
        TargetSpec.of({"name": "ise1", "platform": "ise", "host": "2001:db8::1", "port": 9060}).url
        == "https://[2001:db8::1]:9060"
    )


@pytest.mark.parametrize(
    "text",
    [
        "permit ip any any\nend\nreload", "permit ip any any\n\x03", "exit", "10 permit ip any any ?", "no ip routing", "remark a\tb\x1bc",
        "ip access-list extended other\n!reload x", "interface Vlan1", "do reload", "10 evaluate mirror", "remark \u00e9",
    ],
)  # fmt: skip
def test_only_entries_are_ever_typed(text: str) -> None:
    with pytest.raises(FindingError):
        typed_lines(f"ip access-list extended SW_x\n{text}\n")


def test_what_is_typed_keeps_numbers_and_remarks() -> None:
    text = "ip access-list extended SW_x\r\n  5 remark  rule hvac-1\r\n!\n 5 permit tcp any  any eq www\n\n deny ip any any\n"
    assert typed_lines(text) == ("5 remark rule hvac-1", "5 permit tcp any any eq www", "deny ip any any")


def test_what_an_interrupted_run_of_a_firewall_may_have_left_is_dropped_by_its_own_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = NftablesTarget(TargetSpec.of({"name": "fw1", "platform": "nftables", "username": "root"}))
    tables = {"ours": "table inet ours {\n\tchain sw_forward {\n", "theirs": "table inet theirs {\n\tchain forward {\n"}
    dropped: list[str] = []
    monkeypatch.setattr(target, "_connected", lambda: None)
    monkeypatch.setattr(target, "_tables", lambda _session: list(tables))
    monkeypatch.setattr(target, "_read", lambda _session, table: tables[table])
    monkeypatch.setattr(target, "_dropped", lambda _session, text: dropped.append(text))
    assert target.finish() is False and dropped == [tables["ours"]]


@pytest.mark.parametrize(
    "before",
    [
        "flush ruleset\n",
        'include "/etc/passwd"\n',
        "table ip other { }\n",
        "define x = 1\n",
        "delete table inet other\n",
    ],
)
def test_only_our_own_rendering_of_a_ruleset_is_loaded(before: str) -> None:
    aces = registry.parse("ios", "ip access-list extended x\npermit tcp any host 192.0.2.1 eq 443\ndeny ip any any")[
        0
    ].aces
    content = registry.render("nftables", "segwright", aces)
    target = NftablesTarget(TargetSpec.of({"name": "fw1", "platform": "nftables", "username": "root"}))
    nothing = Snapshot("fw1", "nftables", {})
    step = target.diff([DesiredObject("ruleset", "segwright", {"table": "segwright", "content": content})], nothing)[0]
    assert step.after is not None
    assert step.after["content"] == content
    try:
        steps = target.diff(
            [DesiredObject("ruleset", "segwright", {"table": "segwright", "content": before + content})], nothing
        )
    except (FindingError, ValueError):
        return
    assert steps[0].after == step.after


def test_what_is_prepared_is_pushed_whether_or_not_leftovers_are_pruned() -> None:
    """Leftovers stand in ISE for a long time; a cell that is only monitored must not wait until somebody prunes them."""
    left = {"value": 22, "description": "segwright:site x", "owned": True, "internal": {"id": "1"}}
    body = {"source": "SW_a", "destination": "SW_a", "status": "MONITOR", "sgacls": [], "default_rule": "DENY_IP"}
    cell = DesiredObject("egress_matrix_cell", "SW_a-SW_a", {**body, "description": "segwright:site c"})
    steps = ise_operations("ise1", [cell], Snapshot("ise1", "ise", {"sgt/SW_gone": left}))
    shown = [(step.action, step.name, bool(step.details.get("prune"))) for step in steps]
    assert shown == [
        ("create", "SW_a-SW_a", False), ("push", "trustsec", False), ("delete", "SW_gone", True), ("push", "trustsec", True),
    ]  # fmt: skip


def test_giving_back_alone_pushes_nothing_and_takes_along_what_is_used() -> None:
    def body(**more: object) -> dict[str, object]:
        return {"description": "segwright:site x", "owned": True, "internal": {"id": "1"}, **more}

    theirs = "segwright:adopted: theirs"
    cell_ends = {"source": "Pumps", "destination": "SW_x", "status": "ENABLED", "default_rule": "NONE"}
    live = {
        "sgt/Pumps": body(value=20, description=theirs),
        "sgt/SW_x": body(value=21),
        "sgt/SW_gone": body(value=22),
        "sgacl/SW_l": body(ip_version="IPV4", content="deny ip"),
        "downloadable_acl/SW_d": body(dacl_type="IPV4", content="deny ip any any"),
        "authorization_profile/Ward": body(dacl_name="SW_d", ipv6_dacl_name="", access_type="x", description=theirs),
        "endpoint_group/Ward": body(parent="SW_g", description=theirs),
        "endpoint_group/SW_g": body(parent=""),
        "egress_matrix_cell/Pumps-SW_x": body(sgacls=["SW_l"], description=theirs, **cell_ends),
    }
    steps = {f"{step.kind}/{step.name}": step for step in ise_operations("ise1", [], Snapshot("ise1", "ise", live))}
    assert {key for key, step in steps.items() if step.action == "delete"} == {"sgt/SW_gone"}
    given = {key: step for key, step in steps.items() if step.details.get("hand_back")}
    assert set(given) == set(live) - {"sgt/SW_gone"}
    after = [step.after["description"] for step in given.values() if step.after]
    assert sorted(after) == ["site x"] * 4 + ["theirs"] * 4
    live.pop("sgt/SW_gone")
    assert not [step for step in ise_operations("ise1", [], Snapshot("ise1", "ise", live)) if step.action == "push"]
    journal = [{"event": "operation_started", "target": "ise1", "operation": asdict(each)} for each in given.values()]
    assert pending_in(journal) == frozenset()
    named = ise_operations("ise1", [], Snapshot("ise1", "ise", live), delete=["egress_matrix_cell/Pumps-SW_x"])
    assert {step.name for step in named if step.action == "delete"} == {"Pumps-SW_x", "SW_l", "SW_x"}


def test_a_group_that_is_taken_over_keeps_its_value() -> None:
    """Switches and mappings know it by that value; a wrong one in the policy would send its devices to other cells."""
    group = {"value": 20, "description": "", "owned": False, "internal": {"id": "1"}}
    live = Snapshot("ise1", "ise", {"sgt/Pumps": group})

    def wanted(value: int) -> list[DesiredObject]:
        return [DesiredObject("sgt", "Pumps", {"value": value, "description": "segwright: site s, segment pumps"})]

    for adopt in (True, ["sgt/Pumps"]):
        with pytest.raises(FindingError) as error:
            ise_operations("ise1", wanted(30), live, adopt=adopt)
        assert [finding.code for finding in error.value.findings] == ["SW4220"]
        assert "has the value 20, not 30" in error.value.findings[0].message
    taken = ise_operations("ise1", wanted(20), live, adopt=["sgt/Pumps"])
    assert [step.after["value"] for step in taken if step.kind == "sgt"] == [20]
    ours = Snapshot("ise1", "ise", {"sgt/Pumps": {**group, "owned": True}})
    assert any(step.kind == "sgt" for step in ise_operations("ise1", wanted(30), ours))
