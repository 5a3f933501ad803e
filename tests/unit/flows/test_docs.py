"""The examples of docs/flows.md are real: options exist, and the Python runs as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.action import flow_import, flow_info
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_info
from tests.unit.flows import operations

ACTIONS = {"segwright.microseg.flow_info": flow_info.ARGUMENTS, "segwright.microseg.flow_import": flow_import.ARGUMENTS}


def test_examples_of_the_page_on_flows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root / "docs" / "flows.md").read_text(encoding="utf-8")
    tasks = [task for block in re.findall(r"(?s)```yaml\n(.*?)```", text) for task in yaml.safe_load(block)]
    assert len(tasks) >= 4
    monkeypatch.chdir(tmp_path)
    operations.made(tmp_path / ".microseg")
    (tmp_path / "policies").mkdir()
    lock = {"kind": "members", "schema_version": "1.0", "segments": {"building-controllers": {"devices": []}}}
    (tmp_path / "policies" / "members.lock.json").write_text(json.dumps(lock))
    fixed = {"data_dir": ".microseg", "engine": ""}
    for task in tasks:
        for name, arguments in ACTIONS.items():
            if name in task:
                assert set(task[name]) <= set(arguments)
        if "segwright.microseg.flow_info" in task:
            answer = run_flow_info({**task["segwright.microseg.flow_info"], "policy_dir": "policies", **fixed})
            assert answer["counts"]["flows"]
    for script in re.findall(r"(?s)```python\n(.*?)```", text):
        exec(compile(script, "docs/flows.md", "exec"), {})
    assert "client_binding" in capsys.readouterr().out
