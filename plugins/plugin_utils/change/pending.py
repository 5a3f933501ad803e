# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes that the journal still owes: changed matrix objects reach devices only when they are pushed (facts/ise.md section 0)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation

PUSH = "push"
# Detail of a step that changes no more than whom an object belongs to: nothing for devices.
HAND_BACK = "hand_back"
# Detail of a push: the names of the lists whose content changed.
LISTS = "lists"
PUSHED_KINDS = frozenset(("sgt", "sgacl", "egress_matrix_cell", "matrix_cell"))
# Kinds that a step saves and then deploys by a second request, which reading back does not show.
DEPLOYED_KINDS = frozenset(("ip_sgt_mapping",))
# What a push carries, in this order: the lists, then the cells that name them (facts/ise.md section 1.7). Environment data (the
# names of tags) is never pushed: nothing that is enforced depends on it, and devices fetch it by themselves.
COA_TYPES = ("SGACL", "POLICY")
_COA = {"sgacl": "SGACL", "egress_matrix_cell": "POLICY", "sgt": "POLICY"}


def pushes_pending(journal: str | Path) -> frozenset[str]:
    """Return the targets on which a pushed kind was written and no push was carried out since, as far as the journal says."""
    return pending_in(known_entries(journal))


def deployments_in(entries: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return (target, step) of changes of a deployed kind that began and did not end well: saved perhaps, and not deployed."""
    begun: set[tuple[str, str]] = set()
    for entry in entries:
        if entry["event"] == "operation_started" and entry["operation"]["kind"] in DEPLOYED_KINDS:
            begun.add((str(entry.get("target", "")), str(entry["operation"]["id"])))
        elif entry["event"] in ("operation_done", "undo_done"):
            begun.discard((str(entry.get("target", "")), str(entry["operation_id"])))
    return frozenset(begun)


def pending_in(
    entries: Iterable[Mapping[str, Any]], begins: Collection[str] = ("operation_started", "undo_started")
) -> frozenset[str]:
    """Return the targets that wait for a push; a step that began without an end counts as written.

    ``begins``: the events that count, those of applying and of undoing.
    """
    open_targets: set[str] = set()
    kinds: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in entries:
        target = str(entry.get("target", ""))
        if entry["event"] in ("operation_started", "undo_started"):
            operation = entry["operation"]
            kinds[target, str(operation["id"])] = operation
            if entry["event"] in begins and _reaches_devices(operation):
                open_targets.add(target)
        elif entry["event"] == "operation_done":
            operation = kinds.get((target, str(entry["operation_id"])), {})
            if operation.get("action") == PUSH:
                open_targets.discard(target)
    return frozenset(open_targets)


def needs_push(operation: Operation) -> bool:
    """Return whether a step changes something that devices learn by a push."""
    return operation.kind in PUSHED_KINDS and operation.action != PUSH and not operation.details.get(HAND_BACK)


def _reaches_devices(operation: Mapping[str, Any]) -> bool:
    """As ``needs_push``, of a step as the journal has it."""
    given_back = (operation.get("details") or {}).get(HAND_BACK)
    return operation["kind"] in PUSHED_KINDS and operation["action"] != PUSH and not given_back


def coa_types(operations: Iterable[Operation]) -> tuple[str, ...]:
    """Return what a push after these steps has to carry, and nothing more.

    ``POLICY@NAME`` stands for the cells of a named matrix. A new list or tag reaches a device with the cell that names it; a tag that
    exists matters where its value changes.
    """
    found: set[str] = set()
    named: set[str] = set()
    for step in operations:
        if not needs_push(step) or (step.kind in ("sgacl", "sgt") and step.action == "create"):
            continue
        if step.kind == "sgt" and step.action == "update" and _value(step.before) == _value(step.after):
            continue
        if step.kind == "matrix_cell":
            named.add(f"POLICY@{(step.after or step.before or {}).get('matrix', '')}")
        else:
            found.add(_COA[step.kind])
    return (*(kind for kind in COA_TYPES if kind in found), *sorted(named))


def _value(body: Mapping[str, Any] | None) -> Any:
    return (body or {}).get("value")


def changed_lists(operations: Iterable[Operation]) -> tuple[str, ...] | None:
    """Return the lists that a push after these steps is about, None where it concerns every matrix: a tag has a new value."""
    carried = [step for step in operations if coa_types([step])]
    if any(step.kind == "sgt" for step in carried):
        return None
    return tuple(sorted({step.name for step in carried if step.kind == "sgacl"}))


def push_operation(
    target: str, phase: int = 0, number: int = 0, coa: Iterable[str] = (), lists: Iterable[str] | None = None
) -> Operation:
    """Return the step that makes devices of a target fetch what was changed: ``coa`` of COA_TYPES, lists and cells where empty.

    ``lists``: which lists changed, None where that is not known.
    """
    name = f"trustsec-{number}" if number else "trustsec"
    return Operation(
        f"push-{target}-{phase}-{number}",
        target,
        "matrix",
        name,
        PUSH,
        None,
        None,
        "push the changed matrix to devices",
        "",
        "none",
        phase,
        {**({"coa": list(coa)} if coa else {}), **({LISTS: list(lists)} if lists is not None else {})},
    )
