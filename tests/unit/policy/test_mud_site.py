"""MUD files against a whole site: rules exported and imported again, bindings, three-way conformance, no change in check mode."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_import
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import traffic_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import Resolution, bind
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.exporting import export_segment
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.writer import MudHead, mud_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conformance import conformance
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import SeenConversation
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.init import run_init
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.mud_check import run_mud_check
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_export import run_export
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import run_import
from tests.unit.policy.mud_cases import ALLOWED_WEB, CASES, UDP, Case, write_site

URL = "https://maker.example/device"
TODAY = date(2026, 11, 26)
EVERYTHING = {"check_mode": False, "diff_mode": True, "today": "2026-11-26"}


@pytest.fixture(scope="module")
def hospital(root: Path) -> Site:
    site = load_site(root / "policies").site
    assert site is not None
    return site


def permitted(site: Site, rules: Iterator[tuple[str, str, tuple[str, ...]]], services: Any = None) -> set[Any]:
    """Return (client, to, traffic) of rules: what they mean, whatever their ids and the names of their services."""
    known = {**site.services, **(services or {})}
    return {(client, to, item) for client, to, names in rules for name in names for item in traffic_of(known[name])}


def test_exported_rules_imported_again_are_the_same_rules(hospital: Site) -> None:
    checked = 0
    for segment in hospital.segments:
        made = export_segment(hospital, segment, URL, {})
        text = mud_text(MudHead(URL, "2026-11-26T00:00:00Z", segment), made.permissions)
        mud = read_mud(text, "again.json")
        permissions, findings = permissions_of(mud)
        assert not mud.findings and not [finding for finding in findings if finding.severity == "error"]
        bound = bind(hospital, segment, mud, permissions, made.bindings)
        assert not bound.services and not bound.networks and not bound.unbound
        before = permitted(
            hospital, ((r.client, r.to, r.services) for r in hospital.rules() if r.id in made.rules)
        )  # fmt: skip
        after = permitted(
            hospital,
            ((client, r["to"], tuple(r["services"])) for client, rules in bound.rules.items() for r in rules),
        )
        checked += len(before)
        lost = {finding.message.split()[1] for finding in made.findings if finding.code == "SW2825"}
        either = {
            (rule.to, rule.client, item)
            for rule in hospital.rules()
            if rule.id in lost
            for name in rule.services
            for item in traffic_of(hospital.services[name])
        }
        assert before <= after and after - before <= either, segment
    assert checked > 50
    said = export_segment(hospital, "imaging_modalities", URL, {}).findings
    assert [finding.code for finding in said] == ["SW2821"]  # the vendor's access ends one day


def test_bindings_given_to_an_export_are_the_names_in_the_file(hospital: Site) -> None:
    made = export_segment(hospital, "infusion_pumps", URL, {"my-controller": ["pump_servers"]})
    assert {str(peer) for item in made.permissions for peer in item.peers} == {
        "my-controller", "controller urn:ietf:params:mud:dns", "controller urn:ietf:params:mud:ntp",
    }  # fmt: skip


def case_site(case: Case, corpora: Path, tmp_path: Path) -> tuple[Path, Path]:
    write_site(tmp_path / "policy", case)
    return tmp_path / "policy", corpora / "policy-corpora" / "mud-nist-unit-cases" / case.folder / case.file


@pytest.mark.parametrize("case", CASES[:6], ids=[case.folder for case in CASES[:6]])
def test_what_nist_expects_to_pass_is_declared(case: Case, corpora: Path, tmp_path: Path) -> None:
    directory, source = case_site(case, corpora, tmp_path)
    site = load_site(directory).site
    assert site is not None
    mud = read_mud(source.read_text(encoding="utf-8"), source.name)
    resolved = {"www.nist.local": Resolution((ALLOWED_WEB,), "2026-11-26")}
    bound = bind(site, "device", mud, permissions_of(mud)[0], case.bindings, resolved)
    devices = {int(ipaddress.ip_address(f"10.0.0.{number}")) for number in case.devices}
    history, expected = [], []
    for item in case.expected:
        client, server = int(ipaddress.ip_address(item.client)), int(ipaddress.ip_address(item.server))
        # Replies' ports opened by the peer are no conversation of their own (pairing.py).
        if not {client, server} & devices or (
            item.protocol == UDP and item.client_port == item.port and client not in devices
        ):
            continue
        history.append(
            SeenConversation(4, client, server, item.protocol, item.port, item.client_port, 1, 1, 1, 0, 0)
        )  # fmt: skip
        expected.append(item.passes)
    found = conformance(site, "device", bound, history)
    assert [row.declared for row in found.seen] == expected
    assert not any(row.allowed for row in found.seen)  # nothing was imported
    assert found.allowed_not_declared == [] and found.declared_not_allowed


def test_conformance_three_ways(corpora: Path, tmp_path: Path) -> None:
    case = CASES[0]
    directory, source = case_site(case, corpora, tmp_path)
    given = {**EVERYTHING, "policy_dir": str(directory), "output_dir": str(tmp_path / "out"), "src": str(source)}
    given |= {"segment": "device", "bindings": case.bindings, "data_dir": str(tmp_path / "data")}
    run_import({**given, "format": "mud"})
    path = directory / "home" / "device.yml"
    path.write_text(
        path.read_text(encoding="utf-8")
        + "  - id: device-to-h4-udp-8008\n    to: h4\n    services: [udp-8008]\n    reason: By hand\n    origin: manual\n",
        encoding="utf-8",
    )
    site = load_site(directory).site
    assert site is not None
    mud = read_mud(source.read_text(encoding="utf-8"), source.name)
    bound = bind(site, "device", mud, permissions_of(mud)[0], case.bindings)
    addresses = [int(ipaddress.ip_address(f"10.0.0.{number}")) for number in range(10)]

    def seen(client: int, server: int, port: int, flows: int = 1) -> SeenConversation:
        return SeenConversation(4, addresses[client], addresses[server], UDP, port, 50000, flows, flows, 1, 0, 0)

    history = [seen(1, 2, 8008, 7), seen(1, 4, 8008), seen(1, 5, 9), seen(3, 5, 9)]
    found = conformance(site, "device", bound, history)
    assert found.counts() == {
        "declared and allowed": 1,
        "declared, denied": 0,
        "not declared, allowed": 1,
        "neither": 1,
    }
    assert [(item["seen"], item["allowed"]) for item in found.declared] == [(7, "yes"), (0, "yes")]
    assert {item["rule"]: item["declared"] for item in found.rules} == {
        "device-to-h2-udp-8008": "yes", "device-to-h3-tcp-8010": "yes", "device-to-h4-udp-8008": "no",
    }  # fmt: skip
    assert found.declared_not_allowed == []
    assert [box["text"] for box in found.allowed_not_declared] == ["udp 10.0.0.1/32 -> 10.0.0.4/32 port 8008"]
    answer = run_mud_check(given)  # no store: nothing was seen, and it says so
    assert answer["conforms"] and answer["counts"]["seen conversations"] == 0
    report = (tmp_path / "out" / "mud_check.md").read_text(encoding="utf-8")
    assert "Allowed by the policy, and not declared (1)" in report and "man0-frdev" in report


def test_nobody_is_bound_by_guess_and_every_skipped_entry_is_named(corpora: Path, tmp_path: Path) -> None:
    case = CASES[1]
    directory, source = case_site(case, corpora, tmp_path)
    given = {**EVERYTHING, "policy_dir": str(directory), "output_dir": str(tmp_path / "out"), "src": str(source)}
    answer = run_import({**given, "format": "mud", "segment": "device", "bindings": {"manufacturer x.example": ["h9"]}})
    assert answer["unbound"] == {"my-controller": 1, "local-networks": 1, "dns www.nist.local": 1}
    assert answer["rules"] == ["device-to-device-udp-4000"]  # the same manufacturer is the segment itself
    codes = [finding["code"] for finding in answer["findings"]]
    assert codes.count("SW2812") == 3 and "SW2814" in codes and "SW2815" in codes
    assert all(finding["file"] == source.name for finding in answer["findings"])


def test_check_mode_writes_nothing_and_shows_the_same_difference(corpora: Path, tmp_path: Path) -> None:
    case = CASES[0]
    directory, source = case_site(case, corpora, tmp_path)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    given = {**EVERYTHING, "policy_dir": str(directory), "output_dir": str(tmp_path / "out"), "src": str(source)}
    given |= {"format": "mud", "segment": "device", "bindings": case.bindings}
    dry = run_import({**given, "check_mode": True})
    assert dry["changed"] and {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "out").exists()
    assert len(list(directory.rglob("*"))) == len(before) + 1
    wet = run_import(given)
    assert wet["diff"] == dry["diff"] and sorted(wet["files"]) == ["home/device.yml", "services.yml"]
    for item in wet["diff"]:
        assert (directory / item["after_header"]).read_text(encoding="utf-8") == item["after"]


def test_an_import_that_needs_a_conduit_says_what_the_gate_will_say(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "policies", tmp_path / "policies")
    ace = {
        "name": "a",
        "matches": {"ietf-mud:mud": {"my-controller": [None]}, "udp": {"destination-port": {"port": 514}}},
        "actions": {"forwarding": "accept"},
    }
    text = json.dumps({
        "ietf-mud:mud": {"mud-url": URL, "from-device-policy": {"access-lists": {"access-list": [{"name": "fr"}]}}},
        "ietf-access-control-list:acls": {"acl": [{"name": "fr", "type": "ipv4-acl-type", "aces": {"ace": [ace]}}]},
    })  # fmt: skip
    answer = run_import({
        **EVERYTHING, "policy_dir": str(tmp_path / "policies"), "output_dir": str(tmp_path / "out"), "content": text,
        "format": "mud", "segment": "cameras", "bindings": {"my-controller": ["infusion_pumps"]},
    })  # fmt: skip
    assert [finding["code"] for finding in answer["gate"]] == ["SW2106"]
    assert answer["rules"] == ["cameras-to-infusion_pumps-udp-514"]


def test_export_writes_once(root: Path, tmp_path: Path) -> None:
    given = {**EVERYTHING, "policy_dir": str(root / "policies"), "segment": "infusion_pumps", "mud_url": URL}
    given |= {"dest": str(tmp_path / "x.json")}
    first = run_export({**given, "check_mode": True})
    assert first["changed"] and not (tmp_path / "x.json").exists()
    assert run_export(given)["changed"]
    again = run_export({**given, "last_update": "2030-01-01T00:00:00Z"})
    assert not again["changed"]
    assert again["evidence"]["infusion_pumps-to-pump_servers-mqtt"]["bands"]["devices"] == "all"
    assert again["evidence"]["infusion_pumps-to-pump_servers-mqtt"]["counts"]["flows"] > 0
    assert run_export({**given, "model": "P2"})["changed"]
    assert re.search(r'"systeminfo": "Infusion pumps at the bedside"', (tmp_path / "x.json").read_text())
    for url in ("http://x/y", "https://x", 'https://x/"', "https://x/y z"):
        with pytest.raises(FindingError, match="SW4601"):
            run_export({**given, "mud_url": url})
    with pytest.raises(FindingError, match="SW2824"):
        run_export({**given, "segment": "../x"})


ZEEK = "#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\torig_pkts\tresp_pkts\n"


def test_recorded_traffic_against_declaration_and_policy(root: Path, tmp_path: Path) -> None:
    """From a log through the store: what the pump of the sample hospital did, and what its maker and the policy say about it."""
    run_init({"pack": "hospital", "policy_dir": str(tmp_path / "p"), "check_mode": False, "diff_mode": False})
    page = (root / "docs" / "policy" / "mud.md").read_text(encoding="utf-8")
    rows = [
        ("10.20.10.11", 50001, "10.20.50.11", 8883, "tcp"),  # declared and allowed
        ("10.20.10.11", 50002, "192.0.2.80", 443, "tcp"),  # declared, and nobody has allowed it yet
        ("10.20.10.12", 50003, "10.20.50.2", 53, "udp"),  # allowed by the template, not declared
        ("10.20.10.12", 50004, "10.20.50.13", 445, "tcp"),  # neither
        ("0.0.0.0", 68, "255.255.255.255", 67, "udp"),  # asks for a lease
        ("10.20.10.12", 68, "10.20.50.2", 67, "udp"),  # renews it
        ("10.20.40.11", 50005, "10.20.50.17", 554, "tcp"),  # somebody else
    ]
    lines = [
        f"{1_764_000_000 + n}.5\t{client}\t{port}\t{server}\t{on}\t{protocol}\tSF\t3\t2\n"
        for n, (client, port, server, on, protocol) in enumerate(rows)
    ]
    (tmp_path / "conn.log").write_text(ZEEK + "".join(lines), encoding="utf-8")
    run_flow_import(
        {"paths": [str(tmp_path / "conn.log")], "data_dir": str(tmp_path / "data"), "kind": "auto", "check_mode": False}
    )
    answer = run_mud_check({
        **EVERYTHING, "policy_dir": str(tmp_path / "p"), "data_dir": str(tmp_path / "data"), "output_dir": str(tmp_path / "out"),
        "content": re.search(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1], "segment": "infusion_pumps",
        "bindings": {"my-controller": ["pump_gateway"], "local-networks": ["pump_gateway"]},
        "resolved": {"update.pump.example": ["192.0.2.80"]},
    })  # fmt: skip
    assert {key: value for key, value in answer["counts"].items() if key.startswith("seen: ")} == {
        "seen: declared and allowed": 1, "seen: declared, denied": 1, "seen: not declared, allowed": 1, "seen: neither": 1,
    }  # fmt: skip
    assert not answer["conforms"]
    said = {(finding["code"], finding["message"].split(",")[0]) for finding in answer["findings"]}
    assert {item for item in said if item[0] in ("SW2826", "SW2827")} == {
        ("SW2827", "pump1 to 192.0.2.80"), ("SW2826", "pump2 to infra1"), ("SW2826", "pump2 to emr1"),
    }  # fmt: skip
    assert {item["entry"]: item["seen"] for item in answer["declared"]} == {"gateway": 1, "update": 1, "service": 0}


def test_public_profiles_become_policy_files_that_load(corpora: Path, full: bool, tmp_path: Path) -> None:
    """Every profile with every peer named: the rules are written, the documents load, and nothing is left unbound."""
    files = sorted((corpora / "policy-corpora").glob("mud-*/**/*.json"))
    files = [path for path in files if '"from-device-policy"' in path.read_text(encoding="utf-8")]
    assert len(files) >= 29
    chosen = files if full else [path for path in files if path.name in ("chromecastMud.json", "bacnet.json")]
    for path in chosen:
        case = Case("", "", (1,))
        directory = tmp_path / path.stem / "policy"
        directory.parent.mkdir()
        write_site(directory, case)
        mud = read_mud(path.read_text(encoding="utf-8"), path.name)
        permissions, _findings = permissions_of(mud)
        peers = {peer for item in permissions for peer in item.peers}
        hosts = [peer.value for peer in peers if peer.kind == "dns"]
        answer = run_import({
            **EVERYTHING, "policy_dir": str(directory), "output_dir": str(tmp_path / "out"), "src": str(path), "format": "mud",
            "segment": "device",
            "bindings": {str(peer): ["h2", "h3"] for peer in peers if peer.kind not in ("dns", "address")},
            "resolved": {host: [f"192.0.2.{number % 250 + 1}"] for number, host in enumerate(sorted(hosts))},
        })  # fmt: skip
        assert not answer["unbound"] and not answer["gate"], (path.name, answer["gate"])
        site = load_site(directory).site
        assert site is not None and answer["rules"], path.name
        assert {rule.id for rule in site.rules()} == set(answer["rules"])
        assert {rule.origin for rule in site.rules()} == {"mud"}
