"""A plan says what it changes for all packets, and proves every mix of old and new lists within each of its phases."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan, TargetPlan, with_effect
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import plan_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan import meaning_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.plan_phases import phases_of


def test_a_first_rollout_only_tightens_and_an_unchanged_one_means_nothing(root: Path) -> None:
    site = load_checked(root / "policies", date(2026, 11, 23)).site
    assert site is not None
    compiled = compile_site(site)
    hosts = {target.host: target for target in compiled.targets}
    steps = [
        Operation("1", "ise1", "downloadable_acl", "SW_cameras", "create", None, {}, phase=3),
        Operation("2", "ise1", "egress_matrix_cell", "SW_pacs-SW_imaging_modalities", "create", None, {}, phase=3),
        Operation("3", "acc2", "attachment", "Gi1-in", "attach", None, {"access_list": "SW_hvac_controllers"}, phase=3),
    ]
    plan = Plan("", "c", "p", "m", "now", False, tuple(
        TargetPlan(name, "x", "", {}, tuple(step for step in steps if step.target == name)) for name in hosts
    ))  # fmt: skip
    found = phases_of(plan, compiled.lists)
    assert {point for point, _name in found} == {"ise-dacl", "ise-matrix", "acc2-ports"} and set(found.values()) == {3}
    nothing = {name: Snapshot(name, target.platform, {}) for name, target in hosts.items()}
    effect, findings = meaning_of(site, compiled, nothing, plan)
    assert findings == [] and effect["rollout"]["safe"]
    assert {row["change"] for row in effect["meaning"]["rows"]} == {"lost"}
    held = {}
    for name, target in hosts.items():
        objects = {f"{item.kind}/{item.name}": dict(item.body) for item in target.objects}
        held[name] = Snapshot(name, target.platform, objects)
    effect, findings = meaning_of(site, compiled, held, plan)
    assert (
        findings == [] and effect["meaning"]["sentence"] == "no change in meaning" and effect["rollout"]["steps"] == []
    )
    made = with_effect(plan, effect)
    assert made.plan_id and made.plan_id != with_effect(plan, {}).plan_id
    assert "no change in meaning" in plan_markdown(made.as_dict())
