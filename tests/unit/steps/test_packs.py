"""Sector packs: each sample site passes the gate, and each refuses a planted bad pull request in words of its owner."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.init import packs, run_init
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import Gate, run_gate

PACKS = ("campus", "hospital", "plant", "substation")
TODAY = date(2026, 12, 15)


def gate(directory: Path, tmp_path: Path) -> Gate:
    return run_gate(Paths.of(str(directory), str(tmp_path / "data")), TODAY, with_replay=False)


def said(found: Gate) -> list[str]:
    """Return errors and warnings. That a sample's host name was resolved long ago is true, and said to whoever copies it."""
    return [str(item) for item in found.findings if item.severity != "info" and item.code != "SW2406"]


def begin(pack: str, directory: Path) -> Path:
    run_init({"pack": pack, "policy_dir": str(directory), "check_mode": False, "diff_mode": False})
    return directory


def test_the_packs_are_those_that_the_documentation_names(root: Path) -> None:
    assert tuple(packs()) == PACKS
    for text in (root / "plugins/modules/policy_init.py", root / "docs/policy/packs.md"):
        assert all(pack in text.read_text(encoding="utf-8") for pack in PACKS)


@pytest.mark.one_python
@pytest.mark.parametrize("pack", PACKS)
def test_the_sample_site_passes_the_gate_without_a_warning(pack: str, tmp_path: Path) -> None:
    found = gate(begin(pack, tmp_path / "policies"), tmp_path)
    assert said(found) == []
    content = found.content
    assert all(item["equal"] for item in content["equivalence"]) and len(content["equivalence"]) >= 5
    for kind, least in (("guardrails", 7), ("workflows", 4)):
        assert {item["outcome"] for item in content[kind]} == {"proved"} and len(content[kind]) >= least
    assert all(item["met"] for item in content["expectations"]) and len(content["expectations"]) >= 7
    assert {item["expect"] for item in content["expectations"]} == {"permit", "deny"}


@pytest.mark.one_python
@pytest.mark.parametrize("pack", PACKS)
def test_the_example_of_a_vendors_access_passes_as_well(pack: str, root: Path, tmp_path: Path) -> None:
    directory = begin(pack, tmp_path / "policies")
    example = root / "extensions" / "packs" / pack / "exceptions.example.yml"
    shutil.copy(example, directory / "exceptions.yml")
    found = gate(directory, tmp_path)
    # A DACL is the same for all devices of its segment: that one of them is meant is kept by the firewall alone, and said.
    assert [text for text in said(found) if not text.startswith("SW3012")] == []
    assert found.site is not None and len(found.site.exceptions) == 1


@pytest.mark.parametrize("pack", PACKS)
def test_every_service_names_the_source_of_its_port_and_every_pack_what_lists_cannot_see(pack: str, root: Path) -> None:
    site = load_site(root / "extensions" / "packs" / pack / "site").site
    assert site is not None
    for service in site.services.values():
        assert re.search(r"\. Source: \S.+\Z", service.description), service.name
    value = load_yaml(root / "extensions" / "packs" / pack / "pack.yml").value
    assert set(value) == {"pack", "title", "description", "not_enforceable", "adapt"} and value["pack"] == pack
    assert len(value["not_enforceable"]) >= 2 and len(value["adapt"]) >= 3
    assert all(set(item) == {"protocol", "why", "instead"} for item in value["not_enforceable"])


@dataclass(frozen=True)
class BadRequest:
    """A pull request that reads well and must not be merged: what it changes, and what the gate has to say to whom."""

    pack: str
    title: str
    change: Callable[[Path], None]
    code: str
    words: tuple[str, ...]


def edit(path: str, pattern: str, new: str) -> Callable[[Path], None]:
    """Return a change that replaces what a pattern finds, exactly once."""

    def change(directory: Path) -> None:
        text = (directory / path).read_text(encoding="utf-8")
        made, count = re.subn(pattern, new, text, flags=re.DOTALL)
        assert count == 1, (path, pattern, count)
        (directory / path).write_text(made, encoding="utf-8")

    return change


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        for item in changes:
            item(directory)

    return change


RULE = "  - id: {id}\n    to: {to}\n    services: [{service}]\n    reason: {reason}\n    origin: manual\n"


def rule(path: str, name: str, to: str, service: str, reason: str) -> Callable[[Path], None]:
    """Return a change that adds a rule to a segment's file."""

    def change(directory: Path) -> None:
        file = directory / path
        text = re.sub(r"^allow: \[\]\n", "allow:\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        file.write_text(text + RULE.format(id=name, to=to, service=service, reason=reason), encoding="utf-8")

    return change


CONDUIT = "conduits:\n  - id: {0}-to-{1}\n    client: {0}\n    server: {1}\n    owner: {2}\n    description: {3}\n"

BAD = (
    BadRequest(
        "hospital",
        "Tidy up the pumps: telemetry is not needed any more",
        edit(
            "bedside/infusion_pumps.yml", r"allow:\n  - id: infusion_pumps-to-pump_gateway-mqtt-tls\n.*", "allow: []\n"
        ),
        "SW2604",
        ("Infusion alarms and data", "clinical-engineering", "life_support", "infusion_pumps-to-pump_gateway-mqtt-tls"),
    ),
    BadRequest(
        "hospital",
        "The new pump software uses another port",
        edit("services.yml", r"ports: \[8883\]", "ports: [8884]"),
        "SW3120",
        ("pump-raises-alarm", "pump1 to pumpgw1 is expected to be permitted: Alarms"),
    ),
    BadRequest(
        "hospital",
        "Remote support for the pumps, as the manufacturer asks",
        both(
            edit("site.yml", "conduits:\n", CONDUIT.format("vendor", "bedside", "network-security", "Remote support")),
            rule("vendor/vendor_gateway.yml", "vendor-pumps", "infusion_pumps", "https", "Remote support of pumps"),
        ),
        "SW3111",
        (
            "vendors-never-reach-pumps",
            "No manufacturer changes a pump while a patient depends on it",
            "clinical-engineering",
        ),
    ),
    BadRequest(
        "plant",
        "Production figures straight from the PLC",
        both(
            edit("site.yml", "conduits:\n", CONDUIT.format("enterprise", "cell_a", "production", "Production figures")),
            rule("enterprise/office_clients.yml", "office-plc", "cell_a_plcs", "ethernet-ip", "Production figures"),
        ),
        "SW3111",
        ("offices-never-reach-plcs-a", "Level 4 never reaches level 1", "office_clients to cell_a_plcs"),
    ),
    BadRequest(
        "plant",
        "Operators read the PLC, no conduit drawn",
        rule("enterprise/erp.yml", "erp-scada", "scada_servers", "opc-ua", "Orders to the line"),
        "SW2106",
        ("erp-scada", "enterprise", "supervision"),
    ),
    BadRequest(
        "substation",
        "Engineers may switch from the jump host",
        rule("engineering/engineering_jump_host.yml", "jump-bays", "bay_controllers", "mms", "Tests of the bays"),
        "SW3111",
        ("jump-host-never-steers-the-bays", "they do not switch breakers", "grid-operations"),
    ),
    BadRequest(
        "substation",
        "IEC 104 moves to its encrypted port, the front ends follow later",
        edit("services.yml", r"ports: \[2404\]", "ports: [19998]"),
        "SW3120",
        ("centre-reads-station", "front_ends to gw1 is expected to be permitted: Telecontrol"),
    ),
    BadRequest(
        "campus",
        "Cameras with a cloud of their own",
        both(
            edit("networks.yml", "networks:\n", "networks:\n  camera_cloud:\n    prefixes: [203.0.113.0/24]\n"),
            rule("physical_security/cameras.yml", "cameras-cloud", "camera_cloud", "https", "Updates from the maker"),
        ),
        "SW3120",
        ("camera-does-not-reach-internet", "cameras to 203.0.113.9 is expected to be denied: No cloud for cameras"),
    ),
    BadRequest(
        "campus",
        "Facility management steers the air from any desk",
        both(
            edit(
                "site.yml",
                "conduits:\n",
                CONDUIT.format("staff", "building", "facility-management", "Air from any desk"),
            ),
            rule("staff/staff_clients.yml", "staff-air", "hvac_controllers", "bacnet", "Air from any desk"),
        ),
        "SW3111",
        ("staff-never-reach-air-handling", "Modbus and BACnet have no authentication", "facility-management"),
    ),
)


@pytest.mark.one_python
@pytest.mark.parametrize("bad", BAD, ids=[f"{bad.pack}: {bad.title}" for bad in BAD])
def test_a_bad_pull_request_is_refused_in_words_of_its_owner(bad: BadRequest, tmp_path: Path) -> None:
    directory = begin(bad.pack, tmp_path / "policies")
    bad.change(directory)
    found = [finding for finding in gate(directory, tmp_path).findings if finding.severity == "error"]
    right = [item for item in found if item.code == bad.code and all(word in item.message for word in bad.words)]
    assert right, [str(finding) for finding in found]
    assert all(finding.file and finding.line and finding.hint for finding in right)


def test_every_workflow_rule_that_is_removed_fails_the_gate_by_name(full: bool, tmp_path: Path) -> None:
    """For each sample site (the hospital alone in the quick run) and each rule that a workflow needs."""
    checked = 0
    for pack in PACKS if full else ("hospital",):
        directory = begin(pack, tmp_path / pack)
        site = load_site(directory).site
        assert site is not None
        places = {rule.id: rule.location.file for rule in site.rules()}
        for workflow in site.workflows:
            for name in workflow.rules:
                path = directory / places[name]
                before = path.read_text(encoding="utf-8")
                after = re.sub(rf"  - id: {re.escape(name)}\n(?:    .*\n)+", "", before)
                assert after != before
                path.write_text(re.sub(r"^allow:\n\Z", "allow: []\n", after, flags=re.MULTILINE), encoding="utf-8")
                found = gate(directory, tmp_path).findings
                assert any(name in f.message and workflow.id in f.message and f.severity == "error" for f in found), (
                    name
                )
                path.write_text(before, encoding="utf-8")
                checked += 1
    assert checked >= (20 if full else 10)


# ---------------------------------------------------------------- init


def arguments(directory: Path, **changes: Any) -> dict[str, Any]:
    return {"pack": "plant", "policy_dir": str(directory), "check_mode": False, "diff_mode": True, **changes}


def test_init_writes_a_new_directory_once_and_never_over_anything(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "policies"
    dry = run_init(arguments(target, check_mode=True))
    assert dry["changed"] and not target.exists()
    made = run_init(arguments(target))
    assert made["files"] == dry["files"] and made["diff"] == dry["diff"]
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()) == made["files"]
    first = (target / "cell_a" / "cell_a_plcs.yml").read_text(encoding="utf-8").splitlines()[0]
    schema = first.partition("$schema=")[2]
    assert ((target / "cell_a") / schema).resolve().is_file()
    assert not run_init(arguments(target))["changed"]
    (target / "site.yml").write_text("name: mine\n", encoding="utf-8")
    with pytest.raises(FindingError, match="holds a policy already"):
        run_init(arguments(target))
    with pytest.raises(FindingError, match="holds a policy already"):
        run_init(arguments(target, pack="hospital"))
    assert (target / "site.yml").read_text(encoding="utf-8") == "name: mine\n"
    (target / "site.yml").unlink()
    (target / "site.yml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FindingError, match="holds a policy already"):
        run_init(arguments(target))
    for name in ("../plant", "nothing", ""):
        with pytest.raises(FindingError, match="pack:"):
            run_init(arguments(tmp_path / "x", pack=name))


def test_init_writes_through_no_link(tmp_path: Path) -> None:
    target, outside = tmp_path / "policies", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "safety").symlink_to(outside)
    with pytest.raises(FindingError, match="is a link"):
        run_init({"pack": "plant", "policy_dir": str(target), "check_mode": False, "diff_mode": False})
    assert not list(outside.iterdir()) and [path.name for path in target.iterdir()] == ["safety"]
