"""The step of device sources: order of sources and runs, vendors, check mode, decisions, failures."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.device_sources import run_device_sources
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.register_info import run_register_info

PUMP, CAMERA = "00:1b:c5:00:00:11", "00:40:8c:00:00:12"
OUI = "Registry,Assignment,Organization Name,Organization Address\nMA-L,00408C,Axis Communications AB,x\n"


def entry(folder: Path, name: str, text: str, at: str = "2026-11-26T08:00:00Z") -> dict[str, Any]:
    path = folder / f"{name}.csv"
    path.write_text(text)
    return {"kind": "table", "name": name, "path": str(path), "at": at}


def values(folder: Path, *sources: Any, **more: Any) -> dict[str, Any]:
    return {
        "policy_dir": str(folder / "policies"),
        "data_dir": str(folder / "data"),
        "sources": list(sources),
        "check_mode": False,
        "flows": False,
        **more,
    }


def register(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "data" / "register" / "register.json").read_text())
    return {**document, "generated_at": ""}


def test_sources_in_any_order_in_one_run_or_several_give_one_register(tmp_path: Path) -> None:
    oui = tmp_path / "oui.csv"
    oui.write_text(OUI)
    texts = {
        "assets": ("mac,ip,type\n" + f"{PUMP},,Infusion pump\n,192.0.2.12,Camera\n", "2026-11-26T08:00:00Z"),
        "leases": (
            "mac,ip,name\n" + f"{PUMP},192.0.2.11,pump-11\n{CAMERA},192.0.2.12,cam-12\n",
            "2026-11-26T08:00:00Z",
        ),
        "old": ("mac,type\n" + f"{PUMP},Infusion pump\n", "2026-10-01T08:00:00Z"),
    }
    made = []
    for number, order in enumerate(itertools.permutations(texts)):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources = [entry(folder, name, *texts[name]) for name in order]
        if number % 2:
            for each in sources:
                run_device_sources(values(folder, each, oui_files=[str(oui)]))
        else:
            run_device_sources(values(folder, *sources, oui_files=[str(oui)]))
        again = run_device_sources(values(folder, *sources, oui_files=[str(oui)]))
        assert again["changed"] is False
        made.append(register(folder))
    assert all(each == made[0] for each in made)
    devices = {each["id"]: each for each in made[0]["devices"]}
    assert devices[CAMERA]["facts"]["oui_vendor"]["value"] == "Axis Communications AB"
    assert devices[CAMERA]["facts"]["asset_type"]["source"] == "assets:by-address"


def test_check_mode_writes_nothing_and_a_decision_settles(tmp_path: Path) -> None:
    first = entry(tmp_path, "ise", f"mac,endpoint_profile\n{PUMP},Lab-Infusion-Pump\n", "2026-11-01T00:00:00Z")
    made = run_device_sources(values(tmp_path, first, check_mode=True))
    assert (made["changed"], made["devices"], made["new_devices"]) == (True, 1, [PUMP])
    assert not (tmp_path / "data").exists()
    run_device_sources(values(tmp_path, first))
    second = entry(tmp_path, "ise", f"mac,endpoint_profile\n{PUMP},Windows10-Workstation\n", "2026-11-20T00:00:00Z")
    made = run_device_sources(values(tmp_path, second))
    assert made["disputed"] == [PUMP]
    assert [each["code"] for each in made["findings"]] == ["SW1340"]
    info = run_register_info(
        {"data_dir": str(tmp_path / "data"), "policy_dir": str(tmp_path / "policies"), "device": PUMP}
    )
    assert info["devices"][0]["classification"]["disputed"].startswith("was infusion_pump and is workstation")
    assert "device_type" not in info["devices"][0]["facts"]
    (tmp_path / "policies").mkdir()
    decision = f"devices:\n  - {{device: '{PUMP}', type: workstation, owner: it, reason: pump was replaced}}\n"
    other = "  - {device: '00:1b:c5:00:00:99', type: camera, owner: it, reason: ordered}\n"
    (tmp_path / "policies" / "classification.yml").write_text(decision + other)
    made = run_device_sources(values(tmp_path))
    assert made["disputed"] == []
    assert [each["code"] for each in made["findings"]] == ["SW1344"]
    asked = {
        "data_dir": str(tmp_path / "data"),
        "policy_dir": str(tmp_path / "policies"),
        "facts": {"device_type": "workstation"},
    }
    assert [each["id"] for each in run_register_info(asked)["devices"]] == [PUMP]
    # A faulty document is told, and the shipped rules are used.
    (tmp_path / "policies" / "classification.yml").write_text("devices: 1\n")
    assert {each["severity"] for each in run_device_sources(values(tmp_path))["findings"]} >= {"error"}


def test_one_source_that_fails_costs_the_others_nothing(tmp_path: Path) -> None:
    good = entry(tmp_path, "good", f"mac,type\n{PUMP},Infusion pump\n")
    bad = {"kind": "kea", "path": str(tmp_path / "none")}
    plugin = tmp_path / "odd.py"
    plugin.write_text(
        "from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Kind\n"
        "KIND = Kind('odd', 'odd', lambda asked: 1 / 0, needs_path=False)\n"
    )
    made = run_device_sources(values(tmp_path, good, bad, {"kind": "odd"}, source_plugins=[str(plugin)]))
    assert "failed" not in made
    assert made["failed_sources"] == ["kea", "odd"]
    assert made["devices"] == 1
    assert {each["code"] for each in made["findings"]} == {"SW1351", "SW0002"}
    strict = run_device_sources(values(tmp_path, good, bad, strict=True))
    assert strict["failed"] is True
    none = run_device_sources(values(tmp_path, bad))
    assert none["failed"] is True
    with pytest.raises(FindingError, match="SW1350"):
        run_device_sources(values(tmp_path, {"kind": "none"}))


def test_a_register_of_version_1_0_is_still_read(tmp_path: Path) -> None:
    run_device_sources(values(tmp_path, entry(tmp_path, "a", f"mac,type\n{PUMP},Infusion pump\n")))
    path = tmp_path / "data" / "register" / "register.json"
    document = json.loads(path.read_text())
    document["schema_version"] = "1.0"
    del document["hosts"]
    path.write_text(json.dumps(document))
    assert storage.read(tmp_path / "data").devices[PUMP].value("asset_type") == "Infusion pump"
