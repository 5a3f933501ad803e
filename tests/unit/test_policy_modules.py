"""policy_init, policy_import, policy_export and mud_check through Ansible: their examples and those of docs/policy/mud.md."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_acl_modules import PLUGINS, ansible_playbook

MODULES = ("policy_init", "policy_import", "mud_check", "policy_export")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def play(tasks: list[dict[str, Any]]) -> str:
    return yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], sort_keys=False)


@pytest.mark.one_python
def test_the_page_and_the_examples_run_as_they_stand(root: Path, tmp_path: Path) -> None:
    page = (root / "docs" / "policy" / "mud.md").read_text(encoding="utf-8")
    (file,) = blocks(page, "json")
    (tmp_path / "pump.mud.json").write_text(file, encoding="utf-8")
    tasks = [task for block in blocks(page, "yaml") for task in yaml.safe_load(block)]
    assert len(tasks) >= 8
    for name in MODULES:
        tasks += yaml.safe_load(importlib.import_module(f"{PLUGINS}.modules.{name}").EXAMPLES)
    tasks.append(
        {
            "name": "Nothing is written in check mode",
            "segwright.microseg.policy_import": {
                "format": "dacl", "segment": "cameras", "content": "permit tcp any host 10.20.50.17 eq 5000",
            },
            "check_mode": True,
            "diff": True,
            "register": "dry",
        }
    )  # fmt: skip
    tasks.append({"ansible.builtin.assert": {"that": ["dry is changed", "dry.diff | length == 2"]}})
    tasks.append(
        {
            "name": "Neither src nor content",
            "segwright.microseg.policy_import": {"format": "mud", "segment": "cameras"},
            "register": "refused",
            "ignore_errors": True,
        }
    )
    tasks.append({"ansible.builtin.assert": {"that": "refused.errors[0].code == 'SW4601'"}})
    book = tmp_path / "page.yml"
    book.write_text(play(tasks), encoding="utf-8")
    done = ansible_playbook(root, tmp_path, book)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "tcp-5000" not in (tmp_path / "policies" / "services.yml").read_text(encoding="utf-8")
    assert (tmp_path / "exported.mud.json").is_file() and (tmp_path / "hospital" / "site.yml").is_file()
    assert (tmp_path / ".microseg" / "out" / "mud_check.md").is_file()
