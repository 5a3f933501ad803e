"""The examples of docs/register.md and docs/classification.md are real: they load, run and name options that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.segwright.microseg.plugins.action import device_sources, register_info
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, parse_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification import rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import CEILINGS
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.registry import (
    BUILT_IN,
    asked_of,
    kinds,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import ProposalSettings
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings

ACTIONS = {
    "segwright.microseg.device_sources": device_sources.ARGUMENTS,
    "segwright.microseg.register_info": register_info.ARGUMENTS,
}
PUMP = "00:1b:c5:00:00:11"


def blocks(root: Path, name: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", (root / "docs" / name).read_text(encoding="utf-8"))


def tasks(root: Path, name: str) -> list[dict[str, Any]]:
    return [
        task
        for block in blocks(root, name, "yaml")
        for task in yaml.safe_load(block)
        if isinstance(task, dict) and "name" in task
    ]


def test_every_entry_of_the_page_is_accepted_and_every_kind_is_on_it(root: Path) -> None:
    values = yaml.safe_load(blocks(root, "register.md", "yaml")[0])
    entries = values["microseg_device_sources"]
    asked = asked_of(entries, kinds(), 10**15)
    assert {kind.name for kind, _asked in asked} == {each.name for each in BUILT_IN}
    text = (root / "docs" / "register.md").read_text(encoding="utf-8")
    for kind in BUILT_IN:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind.name}` |"))
        assert set(re.findall(r"`([a-z_]+)`", row.rpartition(" | ")[2])) == set(kind.options), kind.name


def test_the_source_of_ones_own_runs(root: Path, tmp_path: Path) -> None:
    (script,) = blocks(root, "register.md", "python")
    (tmp_path / "biomed.py").write_text(script)
    (tmp_path / "list.csv").write_text(f"mac,kind,state\n{PUMP},Infusion pump,installed\n00:1b:c5:00:00:12,x,retired\n")
    entry = {"kind": "biomed", "path": str(tmp_path / "list.csv"), "site": "house 3"}
    ((kind, asked),) = asked_of([entry], kinds([tmp_path]), 10**16)
    (device,) = merge(kind.read(asked).observations).devices.values()
    assert (device.id, device.value("asset_type"), device.value("site")) == (PUMP, "Infusion pump", "house 3")


def test_tasks_have_options_that_exist(root: Path) -> None:
    found = [*tasks(root, "register.md"), *tasks(root, "classification.md")]
    assert len(found) >= 5
    for task in found:
        for name, arguments in ACTIONS.items():
            assert set(task.get(name) or {}) <= set(arguments), task["name"]


def test_documents_of_the_page_fit_their_schema_and_load(root: Path) -> None:
    documents = [text for text in blocks(root, "classification.md", "yaml") if text.startswith("# classification.yml")]
    assert len(documents) == 3
    together: dict[str, Any] = {}
    for text in documents:
        document = parse_yaml(text, "classification.yml")
        assert schema_findings("classification", document) == []
        together.update(document.value)
    base, faults = rules.with_site(rules.shipped(), Document("classification.yml", together))
    assert faults == []
    assert base.types["smart_bed"].looks_like == ("sensor_gateway",)
    assert "served-fox" not in {rule.id for rule in base.rules}
    assert ProposalSettings.of(together["proposals"]).zones["camera"] == "building"


def test_numbers_of_the_page_are_those_of_the_code(root: Path) -> None:
    text = (root / "docs" / "classification.md").read_text(encoding="utf-8")
    shown = {name: int(most) for name, most in re.findall(r"(?m)^\| `(\w+)` \| (\d+) \|", text)}
    assert shown == dict(CEILINGS)
    assert f"{len(rules.shipped().types)} types in seven families" in text
