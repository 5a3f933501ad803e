# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves that ends between two entries of the journal, and what the next one has to make up for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import means
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot, Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256, operation_from

RUN_ENDS = ("plan_done", "ring_done", "plan_failed", "rollback_done", "rollback_failed")


def taken_back(entries: Iterable[Mapping[str, Any]], plan_id: str) -> bool:
    """Return whether a plan, or a part of it, was rolled back after it was carried out for the last time."""
    events = ("plan_started", "rollback_started")
    last = [entry["event"] for entry in entries if entry["event"] in events and entry.get("plan_id") == plan_id][-1:]
    return last == ["rollback_started"]


def unconfirmed_in(entries: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the targets on which a plan began a step and was not read back as it should be since, nor taken back: its run was interrupted
    or stopped, so what it wrote may stand there and not be saved."""
    plans: set[str] = set()
    begun: dict[str, set[tuple[str, str]]] = {}
    for entry in entries:
        event, plan, target = entry["event"], str(entry.get("plan_id", "")), str(entry.get("target", ""))
        if event == "plan_started":
            plans.add(plan)
        elif event == "operation_started" and plan in plans and entry["operation"]["action"] != PUSH:
            begun.setdefault(target, set()).add((plan, str(entry["operation"]["id"])))
        elif event == "undo_done":
            begun.get(target, set()).discard((plan, str(entry["operation_id"])))
        elif event == "target_confirmed" and not _faults(entry):
            begun.pop(target, None)
    return frozenset(target for target, steps in begun.items() if steps)


def half_made(
    snapshot: Snapshot, steps: Iterable[Operation], entries: Iterable[Mapping[str, Any]], plan_id: str
) -> Snapshot:
    """Return live state without what a step of the plan began to create and did not end: a list of which some lines are typed.

    It is not somebody else's, and in force nowhere; the target sees it by itself and makes it whole. What is attached stays.
    """
    begun: set[str] = set()
    for entry in entries:
        if str(entry.get("plan_id", "")) != plan_id or entry.get("target") != snapshot.target:
            continue
        if entry["event"] == "operation_started":
            begun.add(str(entry["operation"]["id"]))
        elif entry["event"] in ("operation_done", "undo_done"):
            begun.discard(str(entry["operation_id"]))
    half = set()
    for step in steps:
        key = f"{step.kind}/{step.name}"
        found = snapshot.objects.get(key)
        if found is None or step.id not in begun or step.before is not None or step.after is None:
            continue
        attached = (found.get("internal") or {}).get("attached")
        if not attached and not means(step.kind, {name: found.get(name) for name in step.after}, step.after):
            half.add(key)
    if not half:
        return snapshot
    objects = {key: value for key, value in snapshot.objects.items() if key not in half}
    return replace(snapshot, objects=objects, sha256=objects_sha256(objects))


def interrupted_plan(entries: Iterable[Mapping[str, Any]], only: Callable[[Operation], bool] | None = None) -> str:
    """Return the plan whose run, or rollback, has begun last and has no end in the journal; empty where there is none.

    A rollback without a plan's name is about it, though nothing of it may be left: the plan before it was not asked for. With ``only``
    it is one of which a step was begun that it chooses. A way back to a commit begins anew with the commit's name.
    """
    found, concerned = "", False
    for entry in entries:
        event, plan = entry["event"], str(entry.get("plan_id", ""))
        if event in ("plan_started", "rollback_started"):
            if plan != found:
                concerned = False
            found = "" if entry.get("to_commit") else plan
        elif event in RUN_ENDS and plan == found:
            found = ""
        elif event in ("operation_started", "undo_started") and plan == found and only is not None:
            concerned = concerned or only(operation_from(entry["operation"]))
    return found if only is None or concerned else ""


def undos_in(entries: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return (target, step) of undos that began and have no end: brought back perhaps, and not saved."""
    begun: set[tuple[str, str]] = set()
    for entry in entries:
        if entry["event"] == "undo_started":
            begun.add((str(entry.get("target", "")), str(entry["operation"]["id"])))
        elif entry["event"] == "undo_done":
            begun.discard((str(entry.get("target", "")), str(entry["operation_id"])))
    return frozenset(begun)


def _faults(entry: Mapping[str, Any]) -> bool:
    return any(item.get("severity") == "error" for item in entry.get("findings") or ())


def save_left(target: Target) -> bool:
    """Save what an interrupted run changed on a target and did not save; return whether there was any. FindingError where that fails."""
    finish = getattr(target, "finish", None)
    return bool(finish()) if finish is not None else False


def finished(finish: Callable[[], Sequence[Finding]], plan_id: str) -> tuple[Sequence[Finding], tuple[Finding, ...]]:
    """Return what the end of a ring finds, and what it fails with: it has ended in the journal all the same, as failed."""
    try:
        return finish(), ()
    except FindingError as error:
        return (), error.findings
    except Exception as error:
        return (), (codes.TARGET_FAILED.at(f"finishing plan {plan_id[:12]}: unexpected {type(error).__name__}"),)
