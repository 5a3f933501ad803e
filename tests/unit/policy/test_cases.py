"""Each folder of tests/cases/policy is laid over the folder ``base`` and must give exactly the findings it lists."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from tests.unit.policy.test_seeded_faults import codes_of_faults

CASES = Path(__file__).resolve().parents[2] / "cases" / "policy"
TODAY = date(2026, 11, 23)
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
# Cannot be reached through files, because the schema or the parser says it first; tested in test_rules.py.
NOT_BY_FILES = {"SW2009", "SW2010", "SW2211", "SW2405"}


@pytest.mark.one_python
@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(CASES / "base", folder)
    shutil.copytree(CASES / name, folder, dirs_exist_ok=True)
    removed = folder / "remove.json"
    if removed.exists():
        for relative in json.loads(removed.read_text()):
            (folder / relative).unlink()
        removed.unlink()
    (folder / "expected.json").unlink()
    expected = sorted(
        (e["code"], e["file"], e["line"]) for e in json.loads((CASES / name / "expected.json").read_text())
    )
    result = load_checked(folder, TODAY)
    found = sorted((f.code, f.file, f.line) for f in result.findings)
    assert found == expected, "\n".join(map(str, result.findings))
    assert all(finding.hint and finding.message for finding in result.findings)


def test_every_code_has_a_case_or_a_class_of_faults() -> None:
    numbers = {code.number for code in vars(codes).values() if isinstance(code, Code)}
    seen = {item["code"] for name in NAMES for item in json.loads((CASES / name / "expected.json").read_text())}
    assert {number for number in numbers - seen - codes_of_faults() if number < "SW2800"} == NOT_BY_FILES
