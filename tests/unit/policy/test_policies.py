"""The worked site: it loads without a word, it says what tests/lab/hospital.yml says, and nothing more."""

from __future__ import annotations

import ipaddress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import LoadResult, load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.members import resolve_members
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site

NUMBERS = {"tcp": 6, "udp": 17}


@pytest.fixture(scope="module")
def hospital(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "tests" / "lab" / "hospital.yml").read_text())


@pytest.fixture(scope="module")
def loaded(root: Path) -> LoadResult:
    return load_checked(root / "policies", date(2026, 11, 23))


@pytest.fixture(scope="module")
def site(loaded: LoadResult) -> Site:
    assert loaded.site is not None, "\n".join(map(str, loaded.findings))
    return loaded.site


def test_no_finding_at_all(root: Path, loaded: LoadResult) -> None:
    assert loaded.findings == ()
    assert load_site(root / "policies").findings == ()


def test_rules_permit_every_legitimate_conversation_and_nothing_else(site: Site, hospital: dict[str, Any]) -> None:
    segment = {name: host["segment"] for name, host in hospital["hosts"].items()}
    wanted = {
        (segment[client], segment[server], NUMBERS[talk["protocol"]], talk["port"])
        for talk in hospital["conversations"]
        if talk["service"] != "dhcp"
        for client in talk["clients"]
        for server in talk["servers"]
    }
    permitted = {
        (rule.client, rule.to, match.protocol, port)
        for rule in site.rules()
        for name in rule.services
        for match in site.services[name].matches
        for low, high in match.ports
        for port in range(low, high + 1)
    }
    assert permitted == wanted


def test_membership_is_the_hospital(site: Site, hospital: dict[str, Any]) -> None:
    wanted = {
        (host["segment"], host["mac"], name, (host["address"],), host["switch"], host["interface"])
        for name, host in hospital["hosts"].items()
    }
    locked = {
        (name, m.device, m.name, m.addresses, m.switch, m.interface)
        for name, members in site.members.items()
        for m in members
    }
    assert locked == wanted


def test_queries_resolve_to_the_lock(site: Site, loaded: LoadResult, hospital: dict[str, Any]) -> None:
    devices = [
        {
            "id": host["mac"],
            "facts": {
                "endpoint_profile": {"value": host["profile"], "source": "ise1", "confidence": 0.9},
                "hostname": {"value": name},
                "switch": {"value": host["switch"]},
                "interface": {"value": host["interface"]},
            },
            "addresses": [{"address": host["address"], "from": "2026-11-01T00:00:00Z", "to": None}],
        }
        for name, host in hospital["hosts"].items()
    ]
    lock, findings = resolve_members(site.segments.values(), {"devices": devices})
    assert findings == []
    locked = {
        name: [(m.device, m.name, m.addresses, m.switch, m.interface) for m in members]
        for name, members in site.members.items()
    }
    resolved = {
        name: [(d["device"], d["name"], tuple(d["addresses"]), d["switch"], d["interface"]) for d in segment["devices"]]
        for name, segment in lock["segments"].items()
    }
    assert resolved == locked


def test_classification_proposes_the_same_segments(site: Site, loaded: LoadResult) -> None:
    proposed = {
        (r.name, r.zone, r.sgt, r.owner, r.criticality, r.when == site.segments[r.name].members)
        for r in loaded.classification
    }
    assert proposed == {(s.name, s.zone, s.sgt, s.owner, s.criticality, True) for s in site.segments.values()}


def test_zones_are_the_subnets(site: Site, hospital: dict[str, Any]) -> None:
    wanted = {
        ("data_center" if name == "servers" else name, subnet["prefix"]) for name, subnet in hospital["subnets"].items()
    }
    assert {(zone.name, prefix) for zone in site.zones.values() for prefix in zone.subnets} == wanted


def test_firewall_knows_its_own_addresses(site: Site, hospital: dict[str, Any]) -> None:
    own = {hospital["management"]["firewall"], *(subnet["gateway"] for subnet in hospital["subnets"].values())}
    assert set(site.points["fw1"].options["addresses"]) == own


def test_not_building_management_is_everything_else(site: Site, hospital: dict[str, Any]) -> None:
    covered = {a for prefix in site.networks["not_building_management"].prefixes for a in ipaddress.ip_network(prefix)}
    everything = {a for subnet in hospital["subnets"].values() for a in ipaddress.ip_network(subnet["prefix"])}
    assert everything - covered == {ipaddress.ip_address(hospital["hosts"]["bms1"]["address"])}
    assert covered <= everything


def test_files_name_their_schema(root: Path) -> None:
    files = sorted((root / "policies").rglob("*.yml"))
    assert len(files) > 15
    for path in files:
        first = path.read_text().split("\n", 1)[0]
        assert first.startswith("# yaml-language-server: $schema="), path
        assert (path.parent / first.split("=", 1)[1]).is_file(), path


def test_device_sets_are_zones_without_the_gateway(site: Site, hospital: dict[str, Any]) -> None:
    infra = hospital["hosts"]["infra1"]["address"]
    sets = (
        ("clinical_devices", "clinical", []),
        ("imaging_devices", "imaging", []),
        ("application_servers", "servers", [infra]),
    )
    for name, subnet, more in sets:
        covered = {a for prefix in site.networks[name].prefixes for a in ipaddress.ip_network(prefix)}
        everything = set(ipaddress.ip_network(hospital["subnets"][subnet]["prefix"]))
        assert everything - covered == {
            ipaddress.ip_address(text) for text in (hospital["subnets"][subnet]["gateway"], *more)
        }
        assert covered <= everything
