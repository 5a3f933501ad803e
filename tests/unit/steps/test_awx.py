# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What extensions/awx names exists: playbooks, variables, credentials, environment variables; and the workflow leads where it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

# The keys of each object, as the roles of infra.aap_configuration document them.
KEYS = {
    "controller_projects": """name description organization scm_type scm_url scm_branch scm_update_on_launch
        scm_update_cache_timeout default_environment""",
    "controller_execution_environments": "name description image pull",
    "controller_credential_types": "name description kind inputs injectors",
    "controller_inventories": "name description organization",
    "controller_inventory_sources": """name inventory organization source source_project source_path overwrite
        overwrite_vars update_on_launch""",
    "controller_templates": """name description organization project inventory execution_environment playbook job_type
        job_slice_count allow_simultaneous ask_variables_on_launch ask_limit_on_launch diff_mode credentials extra_vars
        survey_enabled survey_spec""",
    "controller_workflows": """name description organization inventory allow_simultaneous ask_variables_on_launch
        survey_enabled simplified_workflow_nodes""",
    "controller_schedules": "name organization unified_job_template rrule",
}


class Loader(yaml.SafeLoader):
    """YAML with the tag that Ansible knows for text that is not a template."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture(scope="module")
def awx(root: Path) -> dict[str, list[dict[str, Any]]]:
    """All objects by variable name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((root / "extensions" / "awx").glob("controller_*.yml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
        assert list(content) == [path.stem]
        found.update(content)
    assert set(found) == set(KEYS)
    return found


def names(items: list[dict[str, Any]]) -> set[str]:
    return {item["name"] for item in items}


def test_objects_have_known_keys_and_names_of_their_own(awx: dict[str, Any]) -> None:
    for kind, items in awx.items():
        assert items and len(names(items)) == len(items)
        for item in items:
            assert set(item) <= set(KEYS[kind].split()), (kind, item["name"])


def test_templates_name_what_exists(awx: dict[str, Any], root: Path) -> None:
    for template in awx["controller_templates"]:
        assert (root / template["playbook"]).is_file(), template["playbook"]
        assert template["project"] in names(awx["controller_projects"])
        assert template["inventory"] in names(awx["controller_inventories"])
        assert template["execution_environment"] in names(awx["controller_execution_environments"])
        assert set(template["credentials"]) <= names(awx["controller_credential_types"])
        assert template["job_slice_count"] == 1
    for project in awx["controller_projects"]:
        assert project["default_environment"] in names(awx["controller_execution_environments"])
    for source in awx["controller_inventory_sources"]:
        assert (root / source["source_path"]).is_file()
        assert source["inventory"] in names(awx["controller_inventories"])
        assert source["source_project"] in names(awx["controller_projects"])


def test_every_step_that_a_job_can_do_has_a_template(awx: dict[str, Any], root: Path) -> None:
    used = {template["playbook"] for template in awx["controller_templates"]}
    # These write files for a person to commit, need the person's own key, or change devices beside plan and approval.
    by_hand = {
        "playbooks/device_policy.yml",
        "playbooks/approve.yml",
        "playbooks/init.yml",
        "playbooks/propose.yml",
        "playbooks/promote.yml",
    }
    assert {f"playbooks/{path.name}" for path in (root / "playbooks").glob("*.yml")} - by_hand <= used


def test_what_a_schedule_goes_on_with_was_begun_by_a_person(awx: dict[str, Any]) -> None:
    for template in awx["controller_templates"]:
        ring = template["extra_vars"].get("microseg_ring", "")
        assert ring == {"Segwright first ring": "next", "Segwright rings": "continue"}.get(template["name"], "")


def test_every_variable_is_read_by_the_role_of_its_playbook(awx: dict[str, Any], root: Path) -> None:
    for template in awx["controller_templates"]:
        path = root / template["playbook"]
        role = root / "roles" / path.stem
        text = path.read_text(encoding="utf-8")
        if role.is_dir():
            text += (role / "defaults" / "main.yml").read_text(encoding="utf-8")
        asked = [question["variable"] for question in template.get("survey_spec", {}).get("spec", ())]
        for name in [*template["extra_vars"], *asked]:
            assert re.search(rf"\b{name}\b", text), (template["name"], name)


def test_what_a_node_hands_on_is_what_the_next_one_reads(root: Path) -> None:
    handed = set()
    for path in (root / "roles" / "plan" / "tasks" / "main.yml", root / "extensions" / "awx" / "sync_policies.yml"):
        handed |= set(re.findall(r"^ +(microseg_\w+): ", path.read_text(encoding="utf-8"), re.MULTILINE))
    read = "".join(path.read_text(encoding="utf-8") for path in root.glob("roles/*/defaults/main.yml"))
    assert {"microseg_plan_id", "microseg_plan_parts", "microseg_policy_dir"} <= handed
    # The commit and the number of operations are for people and for notifications.
    for name in handed - {"microseg_policy_commit", "microseg_operations"}:
        assert name in read, name


def test_secrets_go_by_environment_and_the_inventory_reads_them(awx: dict[str, Any], root: Path) -> None:
    given: set[str] = set()
    for kind in awx["controller_credential_types"]:
        assert set(kind["injectors"]) <= {"env", "file"}, kind["name"]
        assert kind["kind"] in ("cloud", "net")
        fields = {field["id"] for field in kind["inputs"]["fields"]}
        assert set(kind["inputs"]["required"]) <= fields
        hidden = {field["id"] for field in kind["inputs"]["fields"] if field.get("secret")}
        assert hidden >= fields & {"password", "enable", "private_key"}
        files = {name.partition(".")[2] for name in kind["injectors"]["file"]}
        for text in [*kind["injectors"]["env"].values(), *kind["injectors"]["file"].values()]:
            what = re.fullmatch(r"\{\{ (?:tower\.filename\.)?(\w+) \}\}", text)
            assert what and what[1] in fields, text
            if "tower.filename" in text:
                assert what[1] in files
        given |= set(kind["injectors"]["env"])
    read: set[str] = set()
    for path in [
        *(root / "inventory" / "awx").rglob("*.yml"),
        root / "extensions" / "awx" / "controller_templates.yml",
    ]:
        read |= set(re.findall(r"'(SEGWRIGHT_\w+)'", path.read_text(encoding="utf-8")))
    assert read == given


def test_a_workflow_begins_once_ends_and_applies_only_after_a_person(awx: dict[str, Any]) -> None:
    for workflow in awx["controller_workflows"]:
        nodes = {node["identifier"]: node for node in workflow["simplified_workflow_nodes"]}
        assert len(nodes) == len(workflow["simplified_workflow_nodes"])
        edges = {
            name: [*node.get("success_nodes", ()), *node.get("failure_nodes", ()), *node.get("always_nodes", ())]
            for name, node in nodes.items()
        }
        assert {name for found in edges.values() for name in found} <= set(nodes)
        starts = set(nodes) - {name for found in edges.values() for name in found}
        assert len(starts) == 1
        for node in nodes.values():
            assert ("approval_node" in node) != ("unified_job_template" in node)
            if "unified_job_template" in node:
                assert node["unified_job_template"] in names(awx["controller_templates"])
            else:
                assert node["approval_node"]["timeout"] > 0
        writing = {"Segwright apply", "Segwright first ring", "Segwright rollback"}
        waiting: list[tuple[str, bool, int]] = [(name, False, 0) for name in starts]
        while waiting:
            name, asked, depth = waiting.pop()
            assert depth < len(nodes), "the workflow goes round in a circle"
            assert asked or nodes[name].get("unified_job_template") not in writing, name
            waiting += [(after, asked or "approval_node" in nodes[name], depth + 1) for after in edges[name]]


def test_schedules_start_only_what_writes_to_no_target(awx: dict[str, Any]) -> None:
    workflows = {item["name"]: item for item in awx["controller_workflows"]}
    for schedule in awx["controller_schedules"]:
        name = schedule["unified_job_template"]
        assert name in names(awx["controller_templates"]) | set(workflows)
        nodes = workflows[name]["simplified_workflow_nodes"] if name in workflows else [{"unified_job_template": name}]
        started = {node.get("unified_job_template") for node in nodes}
        assert not started & {"Segwright apply", "Segwright first ring", "Segwright rollback", "Segwright posture"}
        assert re.fullmatch(
            r"DTSTART;TZID=[\w/]+:\d{8}T\d{6} RRULE:FREQ=(HOURLY|DAILY|WEEKLY);INTERVAL=\d+", schedule["rrule"]
        )
