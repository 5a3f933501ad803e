"""MUD files: public profiles, the unit cases of NIST with real expectations, export and import again, hostile files."""

from __future__ import annotations

import ipaddress
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import (
    MudFile,
    Peer,
    Permission,
    meanings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.writer import MudHead, mud_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import run_import
from tests.unit.policy.mud_cases import ALLOWED_WEB, CASES, Case, write_site

TODAY = date(2026, 11, 26)
HEAD = MudHead("https://maker.example/pump", "2026-11-26T00:00:00Z", "Infusion pump", "Maker", "P1")
FOLDERS = ("mud-unsw-via-nist", "mud-nist-unit-cases", "mud-daq-building-automation", "mud-mudparser")


def mud_files(corpora: Path) -> list[Path]:
    """Return the MUD files of the corpora; beside the unit cases lie mappings of roles, which are none."""
    found = [path for folder in FOLDERS for path in sorted((corpora / "policy-corpora" / folder).rglob("*.json"))]
    return [path for path in found if "ietf-mud:mud" in json.loads(path.read_text(encoding="utf-8"))]


def read(path: Path) -> MudFile:
    return read_mud(path.read_text(encoding="utf-8"), path.name)


def arguments(**changes: Any) -> dict[str, Any]:
    return {"check_mode": False, "diff_mode": True, "today": "2026-11-26", **changes}


# ---------------------------------------------------------------- public files


def test_every_public_profile_is_read_and_nothing_of_it_is_dropped_silently(corpora: Path) -> None:
    files = mud_files(corpora)
    assert len(files) >= 29
    said = {"SW2805", "SW2806", "SW2809"}
    for path in files:
        mud = read(path)
        permissions, findings = permissions_of(mud)
        raw = json.loads(path.read_text(encoding="utf-8"))
        lists = raw.get("ietf-access-control-list:acls") or raw.get("ietf-access-control-list:access-lists") or {}
        aces = [ace["name"] for acl in lists.get("acl", []) for ace in acl["aces"]["ace"]]
        everything = [*mud.findings, *findings]
        assert not [finding for finding in everything if finding.severity == "error"], path.name
        assert all(finding.file == path.name and finding.line for finding in everything), path.name
        text = path.read_text(encoding="utf-8").splitlines()
        for finding in everything:
            if finding.code in said:
                name = finding.message.split("'")[1]
                near = "\n".join(text[finding.line - 1 : finding.line + 3])
                assert f'"name": "{name}"' in near or f'"name" : "{name}"' in near, str(finding)
        refused = {finding.message.split("'")[1] for finding in everything if finding.code in said}
        assert {entry.name for entry in mud.entries} | refused == set(aces), path.name
        # Every entry that is not refused by name stands behind a permission: its peer and protocol occur.
        held = {(item.peers, item.family, item.protocol) for item in permissions}
        for entry in mud.entries:
            assert entry.name in refused or (entry.peers, entry.family, entry.protocol) in held, entry.name


def test_export_then_import_is_the_identity_for_every_public_profile(corpora: Path) -> None:
    for path in mud_files(corpora):
        permissions, _findings = permissions_of(read(path))
        again = read_mud(mud_text(HEAD, permissions), "again.json")
        assert not again.findings
        assert meanings(permissions_of(again)[0]) == meanings(permissions), path.name


@pytest.mark.parametrize("case", CASES, ids=[case.folder for case in CASES])
def test_the_unit_cases_of_nist_permit_and_deny_what_their_scripts_expect(
    case: Case, corpora: Path, tmp_path: Path
) -> None:
    source = corpora / "policy-corpora" / "mud-nist-unit-cases" / case.folder / case.file
    write_site(tmp_path / "policy", case)
    answer = run_import(
        arguments(
            format="mud",
            policy_dir=str(tmp_path / "policy"),
            output_dir=str(tmp_path / "out"),
            src=str(source),
            segment="device",
            bindings=case.bindings,
            resolved={"www.nist.local": [ALLOWED_WEB]},
        )
    )
    assert not answer["gate"] and not answer["unbound"]
    loaded = load_checked(tmp_path / "policy", TODAY)
    assert loaded.site is not None
    assert not [finding for finding in loaded.findings if finding.severity == "error"]
    evaluator = Evaluator(loaded.site, compile_site(loaded.site).lists)
    for item in case.expected:
        client, server = ipaddress.ip_address(item.client), ipaddress.ip_address(item.server)
        conversation = Conversation(4, int(client), int(server), item.protocol, item.port, item.client_port)
        verdict = evaluator.verdict(conversation)
        assert verdict.permitted == item.passes, f"{item}: {verdict.deciding()}"
    again = run_import(
        arguments(
            format="mud",
            policy_dir=str(tmp_path / "policy"),
            output_dir=str(tmp_path / "out"),
            src=str(source),
            segment="device",
            bindings=case.bindings,
            resolved={"www.nist.local": [ALLOWED_WEB]},
        )
    )
    assert not again["changed"], again["diff"]


# ---------------------------------------------------------------- random permissions


PORT = st.one_of(
    st.none(),
    st.tuples(st.integers(1, 65535), st.integers(0, 20)).map(lambda p: IntervalSet.of((p[0], min(65535, p[0] + p[1])))),
)
PEERS = st.sampled_from(
    [
        (),
        (Peer("address", "192.0.2.0/24"),),
        (Peer("dns", "update.maker.example"),),
        (Peer("local_networks"),),
        (Peer("my_controller"),),
        (Peer("controller", "urn:ietf:params:mud:dns"),),
        (Peer("manufacturer", "other.example"),),
        (Peer("same_manufacturer"),),
        (Peer("model", "https://other.example/x"),),
    ]
)


@st.composite
def permission(draw: st.DrawFn) -> Permission:
    protocol = draw(st.sampled_from([6, 6, 17, 1, 2]))
    server = client = icmp = None
    if protocol == 6:
        server, client = draw(PORT), draw(PORT)
    elif protocol == 17:
        server = IntervalSet.of(draw(st.integers(1, 65535)))
    elif protocol == 1:
        icmp = (8, draw(st.sampled_from([None, 0])))
    opener = draw(st.sampled_from(["device", "peer"]))
    answered = protocol in (6, 1) or draw(st.booleans())
    return Permission(draw(PEERS), 4, opener, protocol, server, client, icmp, answered)


@settings(max_examples=150, deadline=None)
@given(st.lists(permission(), max_size=1))
def test_any_permission_survives_writing_and_reading(permissions: list[Permission]) -> None:
    made, _findings = permissions_of(read_mud(mud_text(HEAD, permissions), "x.json"))
    wanted = meanings(permissions)
    got = meanings(made)
    # A protocol without ports, requests or direction that both send may be opened by both; nothing else is added.
    extra = {item for item in got - wanted if item[3] == 2 and item[7]}
    assert got - extra == wanted


def test_equal_permissions_give_equal_bytes() -> None:
    permissions = [Permission((Peer("my_controller"),), 4, "device", 6, IntervalSet.of(443), entry="a")]
    renamed = [Permission((Peer("my_controller"),), 4, "device", 6, IntervalSet.of(443), entry="b")]
    assert mud_text(HEAD, permissions) == mud_text(HEAD, renamed)


# ---------------------------------------------------------------- single entries


def one_ace(matches: dict[str, Any], kind: str = "ipv4-acl-type", forwarding: str = "accept") -> str:
    ace = {"name": "e1", "matches": matches, "actions": {"forwarding": forwarding}}
    return json.dumps(
        {
            "ietf-mud:mud": {
                "mud-version": 1,
                "mud-url": "https://maker.example/x",
                "from-device-policy": {"access-lists": {"access-list": [{"name": "fr"}]}},
            },
            "ietf-access-control-list:acls": {"acl": [{"name": "fr", "type": kind, "aces": {"ace": [ace]}}]},
        },
        indent=1,
    )


@pytest.mark.parametrize(
    ("matches", "code"),
    [
        ({"ipv4": {"protocol": 6, "dscp": 46}}, "SW2805"),
        ({"ipv4": {"protocol": 6}, "tcp": {"flags": "syn"}}, "SW2805"),
        ({"ipv4": {"source-ipv4-network": "10.0.0.1/32"}}, "SW2805"),
        ({"ipv4": {"ietf-acldns:src-dnsname": "me.example"}}, "SW2805"),
        ({"ipv4": {"protocol": 300}}, "SW2802"),
        ({"ipv4": {"destination-ipv4-network": "2001:db8::/32"}}, "SW2802"),
        ({"ipv6": {"protocol": 6}}, "SW2802"),
        ({"ipv4": {"protocol": 6}, "udp": {}}, "SW2802"),
        ({"tcp": {"destination-port": {"operator": "eq", "port": 70000}}}, "SW2802"),
        ({"tcp": {"destination-port": {"lower-port": 9, "upper-port": 8}}}, "SW2802"),
        ({"tcp": {"ietf-mud:direction-initiated": "sideways"}}, "SW2802"),
        ({"ietf-mud:mud": {"controller": "has blank"}}, "SW2802"),
        ({"ietf-mud:mud": {"new-class": "x"}}, "SW2805"),
        ({"egress-interface": {}}, "SW2805"),
        ({"eth": {"ethertype": "0x88b8"}}, "SW2806"),
        ({"eth": {"source-mac-address": "00:00:00:00:00:01"}}, "SW2805"),
        ({"icmp": {"code": 0}}, "SW2805"),
    ],
)
def test_what_no_rule_can_say_is_named_with_its_line_and_not_imported(matches: dict[str, Any], code: str) -> None:
    text = one_ace(matches)
    mud = read_mud(text, "x.json")
    assert [finding.code for finding in mud.findings] == [code]
    assert '"name": "e1"' in "\n".join(text.splitlines()[mud.findings[0].line - 1 : mud.findings[0].line + 1])
    assert mud.entries == ()


def test_a_denial_before_what_it_cuts_is_an_error_and_after_it_is_none() -> None:
    value = json.loads(one_ace({"ipv4": {"destination-ipv4-network": "192.0.2.0/24"}}))
    aces = value["ietf-access-control-list:acls"]["acl"][0]["aces"]["ace"]
    drop = {
        "name": "d",
        "matches": {"ipv4": {"destination-ipv4-network": "192.0.2.7/32"}},
        "actions": {"forwarding": "drop"},
    }
    aces.insert(0, drop)
    permissions, findings = permissions_of(read_mud(json.dumps(value), "x.json"))
    assert permissions == [] and [finding.code for finding in findings] == ["SW2811"]
    aces.append(aces.pop(0))
    permissions, _findings = permissions_of(read_mud(json.dumps(value), "x.json"))
    assert len(permissions) == 1
    drop["matches"] = {"ipv4": {"destination-ipv4-network": "198.51.100.0/24"}}
    aces.insert(0, aces.pop())
    permissions, findings = permissions_of(read_mud(json.dumps(value), "x.json"))
    assert len(permissions) == 1 and not [finding for finding in findings if finding.code == "SW2811"]


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "SW0006"),
        ("{", "SW0006"),
        ('{"a": 1} {}', "SW0006"),
        ('{"a": 01}', "SW0006"),
        ('{"a": NaN}', "SW0006"),
        ('{"a": "\\ud800"}', "SW0006"),
        ('{"a": 1, "a": 2}', "SW0005"),
        ("[" * 40 + "]" * 40, "SW0004"),
        ("[" + "1," * 500_001 + "1]", "SW0004"),
        ('{"ietf-mud:mud": []}', "SW2801"),
        ("[1]", "SW2801"),
    ],
)
def test_hostile_files_are_refused_with_a_finding(text: str, code: str) -> None:
    with pytest.raises(FindingError) as caught:
        read_mud(text, "x.json")
    assert caught.value.findings[0].code == code


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.text(max_size=5), st.just("from-device")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["ipv4", "tcp", "ietf-mud:mud", "protocol", "name", "port", "aces", "ace", "acl", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.one_python
@settings(max_examples=150, deadline=None)
@given(JSON, JSON, JSON)
def test_no_value_in_any_place_makes_the_reader_raise(first: Any, second: Any, third: Any) -> None:
    value = json.loads(one_ace({"ipv4": first}))
    value["ietf-mud:mud"]["to-device-policy"] = second
    value["ietf-mud:mud"]["systeminfo"] = third
    value["ietf-access-control-list:acls"]["acl"].append(third)
    permissions_of(read_mud(json.dumps(value), "x.json"))
    value["ietf-access-control-list:acls"] = second
    mud = read_mud(json.dumps(value), "x.json")
    assert mud.url == "https://maker.example/x"
