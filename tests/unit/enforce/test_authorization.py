# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What binds devices to lists and tags in ISE is rendered where a point asks for it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.authorization import group_condition
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Posture, Site
from tests.unit.proof.small_sites import World

BOUND = ("endpoint_group", "authorization_rule", "endpoint", "ip_sgt_mapping", "anc_policy")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03")


def site(stage: str = "enforce", **options: dict[str, Any]) -> Site:
    """Return two segments on one ISE, with options of the points ``dacl`` and ``matrix``; the last device has no MAC address."""
    made = World(
        members={
            "a": [("10.0.1.1", "acc1", "GigabitEthernet1/0/1"), ("10.0.1.2", "acc1", "GigabitEthernet1/0/2")],
            "b": [("10.0.2.2", "acc1", "GigabitEthernet1/0/10")],
        },
        rules=[("a1", "a", "b", ["web"])],
        networks={},
        stages={name: (stage, ["dacl", "matrix"]) for name in "ab"},
        points={"dacl": ("dacl", options.get("dacl", {})), "matrix": ("sgacl", options.get("matrix", {}))},
    ).site()
    macs = iter((*MACS[:2], "asset-17"))
    members = {name: tuple(replace(m, device=next(macs)) for m in found) for name, found in made.members.items()}
    posture = Posture("outbreak", "isolate", "owner", "because")
    return replace(made, members=members, postures={"outbreak": posture})


def bound(given: Site) -> tuple[dict[str, Any], list[str]]:
    compiled = compile_site(given)
    objects = {f"{item.kind}/{item.name}": item.body for target in compiled.targets for item in target.objects}
    found = {key: body for key, body in objects.items() if key.split("/")[0] in BOUND}
    return found, [finding.code for finding in compiled.findings]


def test_nothing_is_bound_unless_asked_for() -> None:
    assert bound(site())[0] == {}
    assert bound(site("observe", dacl={"authorization": {}}))[0] == {}


def test_a_segment_has_one_rule_with_its_list_and_its_tag() -> None:
    objects, codes = bound(site(dacl={"authorization": {"before": "Printers"}}))
    assert objects["authorization_rule/SW_a@Default"] == {
        "policy_set": "Default", "state": "enabled", "condition": group_condition("SW_a"), "profiles": ["SW_a"],
        "security_group": "SW_a", "description": "", "before": "Printers",
    }  # fmt: skip
    assert {key for key in objects if key.startswith("endpoint/")} == {f"endpoint/{mac}" for mac in MACS[:2]}
    assert objects["endpoint/02:00:00:00:00:01"]["group"] == "SW_a"
    assert objects["endpoint_group/SW_b"]["description"].startswith("segwright:")
    assert "SW3028" in codes
    both = bound(site(dacl={"authorization": {"before": "Printers"}}, matrix={"authorization": {"before": "Printers"}}))
    assert both[0] == objects
    assert bound(site(dacl={"authorization": {"before": "Printers"}})) == (objects, codes)


def test_a_matrix_alone_hands_out_a_tag_and_permits() -> None:
    given = site(matrix={"authorization": {"endpoints": "profiled"}, "mappings": True, "anc_policies": True})
    alone = replace(given, assignments={k: replace(v, points=("matrix",)) for k, v in given.assignments.items()})
    objects, codes = bound(alone)
    rule = objects["authorization_rule/SW_a@Default"]
    assert (rule["profiles"], rule["security_group"]) == (["PermitAccess"], "SW_a")
    assert not [key for key in objects if key.startswith("endpoint/")]
    assert "SW3028" not in codes
    assert objects["ip_sgt_mapping/SW_10_0_1_1"] == {
        "host": "10.0.1.1", "sgt": "SW_a", "deploy_type": "ALL", "deploy_to": "", "description": "",
    }  # fmt: skip
    assert objects["anc_policy/SW_outbreak"] == {"actions": ["QUARANTINE"], "description": ""}
