# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of exceptions, conditions, postures and templates."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.faults.base import LOCK, Expected, Spoiled, fault

DAY_WINDOW = {"windows": [{"days": ["mon"], "start": "08:00", "end": "17:00"}]}


@fault
def exception_that_has_expired(site: Spoiled) -> list[Expected]:
    return [("SW2701", *site.exception(valid_from="2026-09-01", expires="2026-11-22"))]


@fault
def exception_that_expires_soon(site: Spoiled) -> list[Expected]:
    return [("SW2702", *site.exception(expires=site.chance.choice(["2026-11-23", "2026-12-07"])))]


@fault
def exception_that_has_not_begun(site: Spoiled) -> list[Expected]:
    return [("SW2703", *site.exception(valid_from="2026-11-24", expires="2027-01-24"))]


@fault
def exception_that_ends_before_it_begins(site: Spoiled) -> list[Expected]:
    return [("SW2704", *site.exception(valid_from="2027-02-01", expires="2027-01-01"))]


@fault
def exception_for_too_long(site: Spoiled) -> list[Expected]:
    return [("SW2705", *site.exception(valid_from="2026-11-01", expires="2099-12-31"))]


@fault
def exception_for_longer_than_the_site_allows(site: Spoiled) -> list[Expected]:
    items = site["exceptions.yml"]["exceptions"]
    for item in items:
        item.update(valid_from="2026-11-23", expires="2026-12-22")  # 30 days, both included
    site["site.yml"]["defaults"]["exceptions"] = {"maximum_days": 30}
    items[-1]["expires"] = "2026-12-23"
    return [("SW2705", "exceptions.yml", ("exceptions", len(items) - 1))]


@fault
def exception_with_a_day_that_does_not_exist(site: Spoiled) -> list[Expected]:
    return [("SW2307", *site.exception(expires="2026-11-31"))]


@fault
def exception_of_an_unknown_client(site: Spoiled) -> list[Expected]:
    item = dict(site["exceptions.yml"]["exceptions"][0], id="spoilt", client="absent", to="outside")
    site["exceptions.yml"]["exceptions"].append(item)
    return [("SW2706", "exceptions.yml", ("exceptions", 3))]


@fault
def exception_for_an_unknown_device(site: Spoiled) -> list[Expected]:
    return [("SW2707", *site.exception(devices=["nobody-1"]))]


@fault
def exception_for_one_device_and_itself(site: Spoiled) -> list[Expected]:
    name, devices = next((n, found["devices"]) for n, found in site[LOCK]["segments"].items() if found["devices"])
    item = dict(
        site["exceptions.yml"]["exceptions"][0], id="spoilt", client=name, to=name, devices=[devices[0]["device"]]
    )
    site["exceptions.yml"]["exceptions"].append(item)
    return [("SW2708", "exceptions.yml", ("exceptions", 3))]


@fault
def exception_called_like_a_rule(site: Spoiled) -> list[Expected] | None:
    made = site.rule()
    if made is None:
        return None
    file, path = site.exception(id="spoilt-rule")
    return [("SW2301", file, path)]


@fault
def exception_for_an_unknown_service(site: Spoiled) -> list[Expected]:
    item = dict(site["exceptions.yml"]["exceptions"][0], id="spoilt", services=["absent"])
    site["exceptions.yml"]["exceptions"].append(item)
    return [("SW2303", "exceptions.yml", ("exceptions", 3))]


@fault
def window_that_says_nothing(site: Spoiled) -> list[Expected] | None:
    windows = [{"days": ["mon", "tue"], "start": "08:00", "end": "08:00"}]
    made = site.rule(conditions={"windows": windows})
    return made and [("SW2711", *made)]


@fault
def condition_on_an_unknown_posture(site: Spoiled) -> list[Expected] | None:
    made = site.rule(conditions={"posture": "absent"})
    return made and [("SW2712", *made)]


def _workflow_rule(site: Spoiled, critical: bool, **changes: Any) -> tuple[str, tuple[Any, ...]] | None:
    """Let the rule of a workflow hold only sometimes; return its file and path."""
    for workflow in site["workflows.yml"]["workflows"]:
        if (workflow["criticality"] in ("life_support", "process_critical")) is critical:
            for name in site.segments():
                for number, item in enumerate(site[name]["allow"]):
                    if item["id"] in workflow["rules"]:
                        item.update(changes)
                        return name, ("allow", number)
    return None


@fault
def critical_workflow_by_day_only(site: Spoiled) -> list[Expected] | None:
    made = _workflow_rule(site, True, conditions=DAY_WINDOW)
    return made and [("SW2713", *made)]


@fault
def critical_workflow_that_ends(site: Spoiled) -> list[Expected] | None:
    made = _workflow_rule(site, True, expires="2027-06-30")
    return made and [("SW2713", *made)]


@fault
def critical_workflow_only_in_an_emergency(site: Spoiled) -> list[Expected] | None:
    made = _workflow_rule(site, True, conditions={"posture": "outage"})
    return made and [("SW2713", *made)]


@fault
def workflow_by_day_only(site: Spoiled) -> list[Expected] | None:
    made = _workflow_rule(site, False, conditions=DAY_WINDOW)
    return made and [("SW2714", *made)]


def _posture(name: str) -> tuple[str, tuple[Any, ...]]:
    return "postures.yml", ("postures", name)


@fault
def posture_about_an_unknown_segment(site: Spoiled) -> list[Expected]:
    site["postures.yml"]["postures"]["apart"]["segment"] = "absent"
    return [("SW2721", *_posture("apart"))]


@fault
def posture_about_an_unknown_device(site: Spoiled) -> list[Expected]:
    site["postures.yml"]["postures"]["alone"]["device"] = "nobody-1"
    return [("SW2721", *_posture("alone"))]


@fault
def posture_that_keeps_nothing_known(site: Spoiled) -> list[Expected]:
    site["postures.yml"]["postures"]["apart"].setdefault("keeps", []).append("removed-rule")
    return [("SW2722", *_posture("apart"))]


@fault
def posture_that_suspends_nothing_known(site: Spoiled) -> list[Expected]:
    listed = site["postures.yml"]["postures"]["apart"].setdefault("suspends", [])
    listed.append(_suspension("removed-workflow", "plant-operations"))
    return [("SW2723", "postures.yml", ("postures", "apart", "suspends", len(listed) - 1))]


def _suspension(workflow: str, owner: str, **changes: str) -> dict[str, str]:
    return {
        "workflow": workflow,
        "consent_owner": owner,
        "consent_date": "2026-11-01",
        "expires": "2027-11-01",
        **changes,
    }


@fault
def posture_that_cuts_a_workflow(site: Spoiled) -> list[Expected] | None:
    """An isolation of a workflow's client that neither keeps nor suspends the workflow."""
    workflow = site.chance.choice(site["workflows.yml"]["workflows"])
    for name in site.segments():
        if any(item["id"] in workflow["rules"] for item in site[name]["allow"]):
            posture = site["postures.yml"]["postures"]["apart"]
            posture["segment"] = site[name]["segment"]
            for key, what in (("keeps", lambda item: item), ("suspends", lambda item: item["workflow"])):
                left = [item for item in posture.pop(key, []) if what(item) != workflow["id"]]
                if left:
                    posture[key] = left
            return [("SW2724", *_posture("apart"))]
    return None


def _suspended(site: Spoiled, **changes: str) -> tuple[str, tuple[Any, ...]]:
    """Let the posture suspend a workflow with changed words; return the place."""
    workflow = site.chance.choice(site["workflows.yml"]["workflows"])
    posture = site["postures.yml"]["postures"]["apart"]
    left = [item for item in posture.get("suspends", []) if item["workflow"] != workflow["id"]]
    posture["suspends"] = [*left, _suspension(workflow["id"], workflow["owner"], **changes)]
    return "postures.yml", ("postures", "apart", "suspends", len(left))


@fault
def suspension_without_the_owners_consent(site: Spoiled) -> list[Expected]:
    return [("SW2725", *_suspended(site, consent_owner="somebody-else"))]


@fault
def suspension_whose_consent_has_expired(site: Spoiled) -> list[Expected]:
    return [("SW2726", *_suspended(site, expires="2026-11-22"))]


@fault
def suspension_whose_consent_ends_soon(site: Spoiled) -> list[Expected]:
    return [("SW2727", *_suspended(site, expires="2026-12-01"))]


@fault
def suspension_that_ends_before_its_consent(site: Spoiled) -> list[Expected]:
    return [("SW2728", *_suspended(site, consent_date="2027-12-01"))]


@fault
def isolation_without_a_point(site: Spoiled) -> list[Expected]:
    name = site.new_segment()
    site["enforcement.yml"]["segments"]["zz_new"]["points"] = []
    site["postures.yml"]["postures"]["apart"]["segment"] = "zz_new"
    return [("SW2507", name, ("segment",)), ("SW2729", *_posture("apart"))]


@fault
def relaxation_that_opens_nothing(site: Spoiled) -> list[Expected]:
    postures = site["postures.yml"]["postures"]
    postures["useless"] = {**postures["outage"], "opens": "rules"}
    return [("SW2730", *_posture("useless"))]


@fault
def posture_called_like_a_segment(site: Spoiled) -> list[Expected]:
    postures = site["postures.yml"]["postures"]
    name = site[site.segment()]["segment"]
    postures[name] = postures.pop("apart")
    return [("SW2206", *_posture(name))]


@fault
def posture_with_the_tag_of_a_segment(site: Spoiled) -> list[Expected]:
    site["postures.yml"]["postures"]["alone"]["sgt"] = site[site.segment()]["sgt"]
    return [("SW2204", *_posture("alone"))]


@fault
def template_that_nothing_uses(site: Spoiled) -> list[Expected]:
    rule = {"id": "{segment}-lonely", "to": "outside", "services": ["telnet"], "reason": "Nobody knows"}
    site["templates.yml"]["templates"]["lonely"] = {"allow": [rule]}
    return [("SW2744", "templates.yml", ("templates", "lonely"))]


@fault
def posture_with_a_name_that_no_platform_takes(site: Spoiled) -> list[Expected]:
    postures = site["postures.yml"]["postures"]
    name = sorted(postures)[0]
    made = site.chance.choice(["isolate-one", "9isolate", "isolate one"])
    postures[made] = postures.pop(name)
    return [("SW0009", "postures.yml", ("postures", made))]
