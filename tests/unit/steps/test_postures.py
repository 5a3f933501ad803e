# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulled postures through the steps, what changes by itself, and checks of a site's own outside the policy directory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import only_steps, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pulled import pulled_in
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Situation
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.windows import coming_change
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.markdown import plan_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import plan as plan_step
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import pulled as pulled_step
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.beside_foreign import beside_foreign
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture import split_steps
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.posture_mixes import mixes_of_part, refusing
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.render import run_render
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import sound_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_gate, run_validate
from tests.unit.change.fake import FakeTarget
from tests.unit.change.test_change import plan_for
from tests.unit.steps.test_commits import checkout  # noqa: F401  (a fixture)

MONDAY = date(2026, 11, 23)
POSTURES = """\
postures:
  isolate_pumps:
    kind: isolate
    segment: infusion_pumps
    keeps: [infusion-documentation]
    owner: security-operations
    reason: The pumps' model is under attack
  open_pumps:
    kind: relax
    segment: infusion_pumps
    opens: all
    ask_after_minutes: 60
    owner: clinical-engineering
    reason: Nobody knows why pumps lose connections
"""
EXCEPTION = """\
exceptions:
  - id: diagnosis
    kind: exception
    who: A technician
    client: infusion_pumps
    to: pump_servers
    services: [ssh]
    valid_from: 2026-11-25
    expires: 2026-12-18
    ticket: CHG-1
    owner: clinical-engineering
    reason: A pump loses its connection
"""


def values(checkout: Path, **more: Any) -> dict[str, Any]:  # noqa: F811
    return {
        "policy_dir": checkout,
        "data_dir": checkout.parent / "data",
        "today": MONDAY.isoformat(),
        "diff_mode": False,
        "check_mode": False,
        **more,
    }


def texts(result: dict[str, Any]) -> dict[str, str]:
    return {f"{item['point']} {item['name']}": item["content"] for item in result["lists"]}


def test_render_shows_normal_operation_and_each_set_of_pulled_postures(checkout: Path) -> None:  # noqa: F811
    plain = texts(run_render(values(checkout)))
    (checkout / "postures.yml").write_text(POSTURES)
    assert texts(run_render(values(checkout))) == plain  # a posture that is not pulled changes no byte
    found = run_render(values(checkout, postures=["isolate_pumps"]))
    assert found["postures"] == ["isolate_pumps"] and texts(found) != plain
    site = sound_site(Paths.of(str(checkout), "unused"), MONDAY, cached=False).site
    wanted = compile_site(site, Situation(postures=("isolate_pumps",)))
    assert [item["name"] for item in found["lists"]] == [item.name for item in wanted.lists]
    assert found["targets"] == json.loads(json.dumps([
        {"host": t.host, "platform": t.platform,
         "objects": [{"kind": o.kind, "name": o.name, "body": dict(o.body)} for o in t.objects]}
        for t in wanted.targets
    ]))  # fmt: skip
    both = run_render(values(checkout, postures=["open_pumps", "isolate_pumps"]))
    assert both["postures"] == ["isolate_pumps", "open_pumps"]


def test_an_unknown_posture_and_one_that_cuts_a_workflow_are_refused(checkout: Path) -> None:  # noqa: F811
    (checkout / "postures.yml").write_text(POSTURES)
    with pytest.raises(FindingError, match=r"SW4601.*'isolate_all' is not defined"):
        run_render(values(checkout, postures=["isolate_all"]))
    kept = "    keeps: [infusion-documentation]\n"
    assert kept in POSTURES
    (checkout / "postures.yml").write_text(POSTURES.replace(kept, ""))
    with pytest.raises(FindingError) as caught:
        run_render(values(checkout, postures=["isolate_pumps"]))
    assert {item.code for item in caught.value.findings} <= {"SW2724", "SW3141", "SW3143"}


def test_a_posture_whose_name_no_platform_takes_is_a_finding(checkout: Path) -> None:  # noqa: F811
    (checkout / "postures.yml").write_text(POSTURES.replace("  isolate_pumps:", "  isolate-pumps:"))
    gate = run_gate(Paths.of(str(checkout), str(checkout.parent / "data")), MONDAY, with_replay=False)
    assert [(f.code, f.file, f.line) for f in gate.findings if f.severity == "error"] == [("SW0009", "postures.yml", 2)]


def test_validate_proves_pairs_of_postures(checkout: Path) -> None:  # noqa: F811
    (checkout / "postures.yml").write_text(POSTURES)
    gate = run_gate(Paths.of(str(checkout), str(checkout.parent / "data")), MONDAY, with_replay=False)
    names = [item["name"] for item in gate.content["situations"]]
    assert names[-3:] == ["posture isolate_pumps", "posture open_pumps", "postures isolate_pumps and open_pumps"]


def test_what_the_journal_says_is_pulled() -> None:
    def started(plan: str, *postures: str) -> dict[str, Any]:
        return {"event": "plan_started", "plan_id": plan, "postures": list(postures)}

    entries = [{"event": "plan_started", "plan_id": "a"}]
    assert pulled_in(entries) == ()
    entries.append(started("b", "two", "one"))
    assert pulled_in(entries) == ("one", "two")
    entries.append(started("c", "one"))
    assert pulled_in(entries) == ("one",)
    entries.append({"event": "rollback_started", "plan_id": "c"})
    assert pulled_in(entries) == ("one", "two")
    entries.append({"event": "rollback_started", "plan_id": "b"})
    assert pulled_in(entries) == ()


def test_another_plan_keeps_what_is_pulled_until_it_is_released(
    checkout: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulled_step, "pulled_postures", lambda _journal: ("isolate_pumps",))
    paths = Paths.of(str(checkout), "unused")
    assert pulled_step.postures_of({}, paths) == ("isolate_pumps",)
    assert pulled_step.postures_of({"postures": []}, paths) == ()
    assert pulled_step.postures_of({"postures": ["open_pumps"]}, paths) == ("open_pumps",)


def test_a_posture_that_no_journal_remembers_is_seen_in_live_state(checkout: Path) -> None:  # noqa: F811
    (checkout / "postures.yml").write_text(POSTURES)
    site = sound_site(Paths.of(str(checkout), "unused"), MONDAY, cached=False).site

    def live(*postures: str) -> dict[str, FakeTarget]:
        made = compile_site(site, Situation(postures=postures)).targets
        return {t.host: FakeTarget(t.host, {f"{o.kind}/{o.name}": o.body for o in t.objects}) for t in made}

    def said(targets: dict[str, Any]) -> list[tuple[str, str]]:
        snapshots = {host: target.snapshot(()) for host, target in targets.items()}
        found = plan_step.perhaps_pulled(site, Situation(), targets, snapshots)
        return [(finding.code, finding.message.rpartition(": ")[2]) for finding in found]

    assert said(live("isolate_pumps")) == [("SW4140", "posture isolate_pumps")]
    assert said(live("open_pumps")) == [("SW4140", "posture open_pumps")]
    assert said(live()) == said({"new": FakeTarget("new")}) == []


def test_the_next_change_is_a_first_day_a_last_day_or_a_window(checkout: Path) -> None:  # noqa: F811
    site = sound_site(Paths.of(str(checkout), "unused"), MONDAY, cached=False).site
    last = coming_change(site, datetime(2026, 11, 23, tzinfo=UTC))  # the sample's contract with a manufacturer
    assert last is not None and last.at.isoformat() == "2031-01-01T00:00:00+01:00"
    assert coming_change(site, datetime(2031, 1, 1, tzinfo=UTC)) is None
    (checkout / "exceptions.yml").write_text(EXCEPTION)
    site = sound_site(Paths.of(str(checkout), "unused"), MONDAY, cached=False).site
    wanted = [
        (datetime(2026, 11, 23, tzinfo=UTC), "2026-11-25T00:00:00+01:00", ("diagnosis",), ()),
        (datetime(2026, 11, 24, 23, 30, tzinfo=UTC), "2026-12-19T00:00:00+01:00", (), ("diagnosis",)),
    ]
    for moment, at, begins, ends in wanted:
        found = coming_change(site, moment)
        assert found is not None
        assert (found.at.isoformat(), found.begins, found.ends) == (at, begins, ends)
    assert coming_change(site, datetime(2026, 12, 19, tzinfo=UTC)) == last
    made = run_validate(values(checkout, replay=False))
    assert made["next_change"]["at"] == wanted[0][1]
    report = (checkout.parent / "data" / "out" / "validate.md").read_text()
    assert "At 2026-11-25T00:00+01:00 the lists change by themselves: diagnosis begin to hold." in report
    assert plan_step.in_time(site, Situation(), wanted[1][0]) == {"next_change": {
        "at": wanted[1][1], "begins": [], "ends": ["diagnosis"],
        "sentence": "at 2026-12-19T00:00+01:00 the lists change by themselves: diagnosis end",
    }}  # fmt: skip
    content = {
        "plan_id": "0" * 64, "policy_commit": "c", "created": "t", "targets": [],
        "effect": {"postures": ["isolate_pumps"], **plan_step.in_time(site, Situation(), wanted[1][0])},
    }  # fmt: skip
    text = plan_markdown(content)
    assert "Pulled" in text and "isolate_pumps" in text and "2026-12-19T00:00+01:00" in text


@pytest.mark.parametrize(("day", "lists", "codes"), [("2026-12-31", True, set()), ("2027-01-01", False, {"SW2305"})])
def test_a_rule_that_has_expired_leaves_the_lists_with_a_warning(
    checkout: Path,  # noqa: F811
    day: str,
    lists: bool,
    codes: set[str],
) -> None:
    path = next(path for path in sorted(checkout.rglob("infusion_pumps.yml")))
    text = path.read_text()
    assert "allow:\n" in text
    rule = (
        "allow:\n  - id: pumps-for-a-while\n    to: pump_servers\n    services: [ssh]\n    reason: A trial\n"
        "    origin: manual\n    owner: clinical-engineering\n    ticket: CHG-77\n    expires: 2026-12-31\n"
    )
    path.write_text(text.replace("allow:\n", rule))
    gate = run_gate(Paths.of(str(checkout), str(checkout.parent / "data")), date.fromisoformat(day), with_replay=False)
    assert gate.compiled is not None
    assert [str(f) for f in gate.findings if f.severity == "error"] == []
    labels = {ace.label for item in gate.compiled.lists for ace in item.aces}
    assert ("pumps-for-a-while" in labels) is lists
    expired = [f for f in gate.findings if f.code == "SW2305"]
    assert {f.code for f in expired} == codes
    for item in expired:
        assert item.severity == "warning" and item.line == text[: text.index("allow:")].count("\n") + 2
        assert "pumps-for-a-while of clinical-engineering, ticket CHG-77 expired on 2026-12-31" in item.message


def test_an_expired_rule_that_a_workflow_needs_is_refused(checkout: Path) -> None:  # noqa: F811
    workflows = (checkout / "workflows.yml").read_text()
    name = "infusion-documentation"
    assert name in workflows
    paths = Paths.of(str(checkout), str(checkout.parent / "data"))
    site = sound_site(paths, MONDAY, cached=False).site
    needed = next(workflow.rules[0] for workflow in site.workflows if workflow.id == name)
    for path in checkout.rglob("*.yml"):
        text = path.read_text()
        if f"- id: {needed}\n" in text:
            path.write_text(text.replace(f"- id: {needed}\n", f"- id: {needed}\n    expires: 2026-11-22\n"))
    found = run_gate(paths, MONDAY, with_replay=False).findings
    assert {f.code for f in found if f.severity == "error"} & {"SW2713", "SW3141"}
    assert any(f.code == "SW2305" and needed in f.message for f in found)


def test_checks_of_a_site_outside_the_policy_directory(checkout: Path, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "ours.yml").write_text(
        "rules:\n  - number: SW9001\n    severity: error\n    about: segment\n"
        "    when:\n      fact: name\n      equals: infusion_pumps\n    must:\n      fact: owner\n      equals: nobody\n"
        "    message: pumps belong to nobody\n    remedy: give them away\n"
    )
    refused = run_validate(values(checkout, replay=False, rules_dirs=[folder]))
    assert refused["failed"] and [e["code"] for e in refused["errors"]] == ["SW9001"]
    assert "failed" not in run_validate(values(checkout, replay=False))
    with pytest.raises(FindingError, match="SW9001"):
        sound_site(Paths.of(str(checkout), "unused", rules=[str(folder)]), MONDAY, cached=False)
    absent = run_validate(values(checkout, replay=False, rules_dirs=[tmp_path / "absent"]))
    assert [e["code"] for e in absent["errors"]] == ["SW0002"]


def test_what_puts_a_list_of_a_posture_in_force_is_no_drift_to_leave() -> None:
    """A cell switched off by hand, a port with another list, a cell that moves to a stand-in: else the isolation has no effect."""

    def target(deny: str) -> DesiredTarget:
        cell = {"source": "a", "destination": "b", "status": "ENABLED", "sgacls": ["a_b"]}
        names = {
            ("egress_matrix_cell", "a-b"): cell,
            ("egress_matrix_cell", "c-d"): {**cell, "sgacls": ["c_d"]},
            ("sgacl", "a_b"): {"text": deny},
            ("sgacl", "c_d"): {"text": "permit"},
            ("attachment", "Gi1-in"): {"access_list": "a_b"},
            ("attachment", "Gi2-in"): {"access_list": "c_d"},
        }
        return DesiredTarget("h", "x", tuple(DesiredObject(kind, name, body) for (kind, name), body in names.items()))

    before, after = target("permit"), target("deny")
    live = FakeTarget("h", {f"{item.kind}/{item.name}": {**item.body, "status": "DISABLED"} for item in before.objects})
    for key in ("attachment/Gi1-in", "attachment/Gi2-in"):
        live.objects[key] = {"access_list": "other"}
    plan = plan_for({"h": live}, [after])
    mine, left = split_steps(plan, [before], [after])
    assert {step.name for step in mine} == {"a_b", "a-b", "Gi1-in"}
    assert {step.name for step in left} == {"c-d", "Gi2-in"}
    stand_in = replace(
        plan,
        targets=(
            replace(
                plan.targets[0],
                operations=tuple(
                    replace(step, name="a_b_v4", action="create")
                    if step.name == "a_b"
                    else replace(step, after={**step.after, "sgacls": ["a_b_v4"]})
                    if step.name == "a-b" and step.after
                    else step
                    for step in plan.targets[0].operations
                ),
            ),
        ),
    )
    assert {step.name for step in split_steps(stand_in, [before], [after])[0]} == {"a_b_v4", "a-b", "Gi1-in"}


def test_a_posture_beside_drift_is_proved_as_it_really_is(checkout: Path) -> None:  # noqa: F811
    """Relaxed pumps are kept from the monitors by the monitors' own list; somebody has opened that one by hand, and it is left alone."""
    (checkout / "postures.yml").write_text(POSTURES)
    rules = checkout / "guardrails.yml"
    rules.write_text(
        rules.read_text() + "  - id: pumps-never-log-in-to-monitors\n    must: never\n    client: infusion_pumps\n"
        "    server: patient_monitors\n    services: [ssh]\n    owner: network-security\n    reason: Pumps have no business there\n"
    )
    paths = Paths.of(str(checkout), "unused")
    before = sound_site(paths, MONDAY, cached=False)
    after = sound_site(paths, MONDAY, cached=False, postures=["open_pumps"])

    def found(content: str) -> tuple[set[str], list[Finding]]:
        targets: dict[str, Any] = {
            item.host: FakeTarget(item.host, {f"{each.kind}/{each.name}": dict(each.body) for each in item.objects})
            for item in before.compiled.targets
        }
        if content:
            targets["ise1"].objects["downloadable_acl/SW_patient_monitors"]["content"] = content
        plan = plan_for(targets, list(after.compiled.targets))
        mine, left = split_steps(plan, before.compiled.targets, after.compiled.targets)
        part = only_steps(plan, {(step.target, step.id) for step in mine})
        return {step.name for step in left}, mixes_of_part(part, before, after)

    assert found("") == (set(), [])
    left, told = found("permit ip any any")
    assert left == {"SW_patient_monitors"}
    assert [item.code for item in told] == ["SW4166"] and "pumps-never-log-in-to-monitors" in told[0].message
    assert refusing(told) == []  # nobody is cut off by it
    left, told = found("deny ip any any")
    assert left == {"SW_patient_monitors"} and told == []  # they are cut off already, and not by the posture


def test_a_ring_beside_a_foreign_change_is_proved_as_it_really_is(checkout: Path) -> None:  # noqa: F811
    """The pumps' list is to be wider; the monitors' list, of another ring, kept both apart, until somebody changed that by hand."""
    (checkout / "postures.yml").write_text(POSTURES)
    rules = checkout / "guardrails.yml"
    rules.write_text(
        rules.read_text() + "  - id: pumps-never-log-in-to-monitors\n    must: never\n    client: infusion_pumps\n"
        "    server: patient_monitors\n    services: [ssh]\n    owner: network-security\n    reason: Pumps have no business there\n"
    )
    paths = Paths.of(str(checkout), "unused")
    before = sound_site(paths, MONDAY, cached=False)
    after = sound_site(paths, MONDAY, cached=False, postures=["open_pumps"])  # stands for a policy that is wider
    objects = {
        item.host: {f"{each.kind}/{each.name}": dict(each.body) for each in item.objects}
        for item in before.compiled.targets
    }
    targets: dict[str, Any] = {host: FakeTarget(host, held) for host, held in objects.items()}
    plan = plan_for(targets, list(after.compiled.targets))

    def found(content: str, name: str = "SW_patient_monitors") -> list[Finding]:
        if content:
            targets["ise1"].objects[f"downloadable_acl/{name}"]["content"] = content
        live = snapshot_all(targets, after.compiled.targets)
        return beside_foreign(after, live, plan.operations(), ["ise1"])

    own = objects["ise1"]["downloadable_acl/SW_patient_monitors"]["content"]
    assert found("") == []
    (told,) = found("permit ip any any")
    assert (told.code, told.severity) == ("SW4189", "error")
    assert "ise1" in told.message and "pumps-never-log-in-to-monitors" in told.message and "plan anew" in told.hint
    assert found("deny ip any any") == []  # who is cut off is so already, and not by these steps
    # A line that nobody here can read: what is known of the rest is said of the rest.
    (told,) = found(f"permit ip any any time-range NIGHTS\n{own}")
    assert (told.code, told.severity) == ("SW4189", "warning") and "nothing is proved" in told.message
    assert found(own) == []
