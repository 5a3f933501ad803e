# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MUD file that changed is imported again: what it declares no longer goes, unless people changed it or rest on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.init import run_init
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import run_import

URL = "https://pump.example/infusion"
PORTS = {"gateway": 8883, "backup": 8443, "remote": 2222}
OLD = "infusion_pumps-to-pump_gateway-tcp-2222"


def entries(names: list[str], peer: dict[str, Any], back: bool) -> list[dict[str, Any]]:
    side = "source-port" if back else "destination-port"
    return [
        {
            "name": f"{name}{'-back' if back else ''}",
            "matches": {
                "ietf-mud:mud": peer,
                "ipv4": {"protocol": 6},
                "tcp": {side: {"operator": "eq", "port": PORTS[name]}, "ietf-mud:direction-initiated": "from-device"},
            },
            "actions": {"forwarding": "accept"},
        }
        for name in names
    ]


def mud(names: list[str], peer: dict[str, Any] | None = None, url: str = URL) -> str:
    said = {"my-controller": [None]} if peer is None else peer
    lists = [("from", False), ("to", True)]
    return json.dumps({
        "ietf-mud:mud": {
            "mud-version": 1, "mud-url": url, "last-update": "2026-11-01T00:00:00Z", "cache-validity": 48, "is-supported": True,
            "systeminfo": "Infusion pump",
            "from-device-policy": {"access-lists": {"access-list": [{"name": "from"}]}},
            "to-device-policy": {"access-lists": {"access-list": [{"name": "to"}]}},
        },
        "ietf-access-control-list:acls": {
            "acl": [{"name": name, "type": "ipv4-acl-type", "aces": {"ace": entries(names, said, back)}} for name, back in lists]
        },
    })  # fmt: skip


def load(directory: Path, text: str, **more: Any) -> dict[str, Any]:
    values = {
        "format": "mud", "segment": "infusion_pumps", "content": text, "bindings": {"my-controller": ["pump_gateway"]},
        "policy_dir": directory, "data_dir": directory.parent / "data", "today": "2026-12-15", "check_mode": False, "diff_mode": False,
    }  # fmt: skip
    return run_import({**values, **more})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    run_init({"pack": "hospital", "policy_dir": str(directory), "check_mode": False, "diff_mode": False})
    made = load(directory, mud(["gateway", "remote"]))
    assert made["removed"] == [] and OLD in made["rules"]
    return directory


def rules(directory: Path) -> dict[str, str]:
    loaded = load_site(directory).site
    assert loaded is not None
    return {rule.id: rule.reason for rule in loaded.rules() if rule.origin == "mud"}


def test_what_is_declared_no_longer_goes_and_what_is_new_comes(site: Path) -> None:
    before = (site / "bedside" / "infusion_pumps.yml").read_text()
    preview = load(site, mud(["gateway", "backup"]), check_mode=True)
    assert preview["removed"] == [OLD] and (site / "bedside" / "infusion_pumps.yml").read_text() == before
    made = load(site, mud(["gateway", "backup"]))
    assert made["removed"] == [OLD] and made["counts"]["rules removed"] == 1
    assert len(made["rules"]) == 1 and OLD not in rules(site) and made["rules"][0] in rules(site)
    assert f"Declared no longer, and removed: `{OLD}`." in (site.parent / "data" / "out" / "import.md").read_text()
    again = load(site, mud(["gateway", "backup"]))
    assert not again["changed"] and again["removed"] == []


def with_owner(text: str) -> str:
    return text.replace(f"  - id: {OLD}\n", f"  - id: {OLD}\n    owner: clinical-engineering\n")


def with_reason(text: str) -> str:
    start = text.index(f"id: {OLD}\n")
    return text[:start] + text[start:].replace("Declared by the maker: ", "Agreed with the ward: ", 1)


def with_service(text: str) -> str:
    start = text.index(f"id: {OLD}\n")
    return text[:start] + text[start:].replace("services: [", "services: [https, ", 1)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (with_owner, "somebody gave it owner"),
        (with_reason, "somebody changed its reason"),
        (with_service, "changed its services"),
    ],
)
def test_what_people_changed_stays_and_is_a_finding_at_its_line(
    site: Path, edit: Callable[[str], str], words: str
) -> None:
    path = site / "bedside" / "infusion_pumps.yml"
    changed = edit(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    line = changed[: changed.index(f"id: {OLD}\n")].count("\n") + 1
    made = load(site, mud(["gateway"]))
    assert made["removed"] == [] and path.read_text() == changed
    said = [(f["code"], f["file"], f["line"]) for f in made["findings"] if f["code"] in ("SW2830", "SW2831")]
    assert said == [("SW2830", "bedside/infusion_pumps.yml", line)]
    assert any(words in f["message"] for f in made["findings"])


def test_what_a_workflow_needs_stays(site: Path) -> None:
    path = site / "workflows.yml"
    text = path.read_text()
    path.write_text(
        text + f"  - id: remote\n    name: Remote\n    owner: it\n    criticality: low\n    rules: [{OLD}]\n"
    )
    made = load(site, mud(["gateway"]))
    assert made["removed"] == [] and OLD in rules(site)
    assert any(f["code"] == "SW2830" and "workflow remote of it needs it" in f["message"] for f in made["findings"])


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (mud(["gateway"], {"controller": "https://other.example/x"}), {"bindings": {}}, "1 peers have no name here"),
        (mud(["gateway"], url="https://pump.example/another"), {}, ""),
        (mud(["gateway"]), {"segment": "patient_monitors"}, ""),
    ],
    ids=["an unknown peer", "another file", "another segment"],
)
def test_nothing_goes_where_the_new_file_says_less_than_all(
    site: Path, text: str, more: dict[str, Any], said: str
) -> None:
    made = load(site, text, **more)
    assert made["removed"] == [] and OLD in rules(site)
    found = [f["message"] for f in made["findings"] if f["code"] == "SW2831"]
    assert len(found) == (1 if said else 0) and all(said in message and OLD in message for message in found)


def test_a_rule_that_the_same_file_made_for_another_segment_stays(site: Path) -> None:
    before = rules(site)
    text = mud(["gateway", "remote"])
    back = load(site, text, segment="pump_gateway", bindings={"my-controller": ["infusion_pumps"]})
    assert back["removed"] == [] and before.items() <= rules(site).items()
    assert sum("it may be of infusion_pumps" in item["message"] for item in back["findings"]) == len(before)
    again = load(site, text)
    assert again["removed"] == [] and set(back["rules"]) <= set(rules(site))
