# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a switch's live lists and attachments to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    Meaning,
    body_difference,
    understood,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    APPLET,
    IosState,
    base_name,
    checked_name,
    full_interface,
    in_force,
    ours,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import (
    leftover_keys,
    made_step,
    pruned,
)

LIST, ATTACHMENT, REVERT = "access_list", "attachment", "revert"


def list_text(name: str, lines: Sequence[str]) -> str:
    """Return a live list in the form of a desired one."""
    return "\n".join([f"ip access-list extended {name}", *(f" {line}" for line in lines)]) + "\n"


def live_objects(state: IosState, desired: Sequence[DesiredObject]) -> dict[str, dict[str, Any]]:
    """Return our lists, where they are attached, and what stands on interfaces that the policy names."""
    objects: dict[str, dict[str, Any]] = {}
    named = {full_interface(str(item.body["interface"])) for item in desired if item.kind == ATTACHMENT}
    wanted_lists = {item.name for item in desired if item.kind == LIST}
    bases = {base_name(name) for name in state.lists if ours(name)}
    bases |= {name for name in wanted_lists if name in state.lists}
    for base in sorted(bases):
        versions = state.versions(base)
        current = versions[0]
        objects[f"{LIST}/{base}"] = {
            "content": list_text(base, state.lists[current]),
            "owned": ours(current),
            "internal": {
                "live": current,
                "versions": versions,
                "attached": [list(place) for place in state.attached(current)],
            },
        }
    for (interface, direction), live in sorted(state.groups.items()):
        if ours(live) or interface in named:
            objects[f"{ATTACHMENT}/{interface}-{direction}"] = {
                "interface": interface,
                "direction": direction,
                # A place that names a missing or empty list permits everything: it holds nothing of ours.
                "access_list": base_name(live) if ours(live) and in_force(state, live) else live,
                "owned": ours(live),
                "internal": {"live": live},
            }
    if state.armed:
        objects[f"{REVERT}/{APPLET}"] = {"applet": APPLET, "owned": True}
    return objects


def ios_operations(
    target: str, desired: Sequence[DesiredObject], live: Snapshot, *, adopt: bool
) -> tuple[Operation, ...]:
    """Return steps: new lists (in force nowhere), changed lists (built beside, swapped), attachments; detaching and removal last.

    Raises FindingError for lists and attachments that are not ours (unless ``adopt``) and for texts that are not understood.
    """
    findings: list[Finding] = []
    steps: list[Operation] = []
    wanted: set[str] = set()
    known = [item for item in desired if item.kind in (LIST, ATTACHMENT)]  # the plan names the others as not written
    for item in sorted(known, key=lambda item: (item.kind != LIST, item.name)):
        name, body = _desired(item)
        key = f"{item.kind}/{name}"
        wanted.add(key)
        present = live.objects.get(key)
        make = _list_step if item.kind == LIST else _attachment_step
        found, step = make(target, name, body, present, adopt)
        findings += found
        if step is not None:
            steps.append(step)
    if findings:
        raise FindingError(*findings)
    steps += _leftovers(target, wanted, live)
    return tuple(sorted(steps, key=lambda step: step.phase))


def _desired(item: DesiredObject) -> tuple[str, dict[str, Any]]:
    if item.kind == LIST:
        return checked_name(item.name), {"content": str(item.body["content"])}
    interface, direction = full_interface(str(item.body["interface"])), str(item.body["direction"])
    if direction not in ("in", "out"):
        raise FindingError(codes.BAD_BODY.at(f"{item.name}: direction {direction!r}"))
    body = {"interface": interface, "direction": direction, "access_list": checked_name(str(item.body["access_list"]))}
    return f"{interface}-{direction}", body


def _list_step(
    target: str, name: str, body: Mapping[str, Any], present: Mapping[str, Any] | None, adopt: bool
) -> tuple[list[Finding], Operation | None]:
    reason = _understood(str(body["content"]))
    if reason:
        return [codes.BAD_BODY.at(f"{target}: list {name}: {reason}")], None
    if present is None:
        return [], _made(target, LIST, name, "create", None, body, f"build list {name}", "none", "is missing")
    if not present["owned"] and not adopt:
        return [codes.NOT_OURS.at(f"{target}: list {name} was not built by us")], None
    reason = _understood(str(present["content"]))
    if reason:
        return [codes.NOT_UNDERSTOOD.at(f"{target}: list {name}: {reason}")], None
    difference = _difference(str(present["content"]), str(body["content"]))
    if difference.equal:
        return [], _stale_versions(target, name, body, present)
    effect = difference.effect if present["internal"]["attached"] else "none"
    summary = f"replace list {name}: {difference.text}"
    witness = difference.lost or difference.gained
    return [], _made(
        target, LIST, name, "update", {"content": present["content"]}, body, summary, effect, difference.text, witness
    )


def _stale_versions(target: str, name: str, body: Mapping[str, Any], present: Mapping[str, Any]) -> Operation | None:
    """Return the step that removes versions which an interrupted run left beside the one in force."""
    internal = present["internal"]
    left = [version for version in internal["versions"] if version != internal["live"] and ours(version)]
    if not left:
        return None
    text = f"{', '.join(left)} is left of an interrupted run"
    summary = f"remove {', '.join(left)}, left of an interrupted run"
    content = {"content": present["content"]}
    return _made(target, LIST, name, "update", content, body, summary, "none", text)


@lru_cache(maxsize=512)
def _understood(content: str) -> str:
    """Return why a text is not understood; a fleet holds the same texts many times over."""
    return understood("ios", content)


@lru_cache(maxsize=512)
def _difference(before: str, after: str) -> Meaning:
    return body_difference(LIST, {"content": before}, {"content": after})


def _attachment_step(
    target: str, name: str, body: Mapping[str, Any], present: Mapping[str, Any] | None, adopt: bool
) -> tuple[list[Finding], Operation | None]:
    where = f"{body['interface']} {body['direction']}"
    if present is None:
        return [], _made(
            target,
            ATTACHMENT,
            name,
            "attach",
            None,
            body,
            f"attach {body['access_list']} to {where}",
            "narrows",
            "is missing",
        )
    before = {key: present[key] for key in body}
    if before == dict(body):
        return [], None
    if not present["owned"] and not adopt:
        return [codes.UNOWNED_ATTACHMENT.at(f"{target}: {where} has {present['access_list']}")], None
    text = f"access_list: {present['access_list']} -> {body['access_list']}"
    before["live"] = present["internal"]["live"]
    return [], _made(
        target, ATTACHMENT, name, "attach", before, body, f"change the list of {where}: {text}", "both", text
    )


def _shown(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    if "content" in body:
        return str(body["content"])
    if "applet" in body:
        return f"event manager applet {body['applet']}"
    return f"interface {body['interface']}\n ip access-group {body['access_list']} {body['direction']}"


def _leftovers(target: str, wanted: set[str], live: Snapshot) -> list[Operation]:
    steps = []
    for key in leftover_keys(wanted, live, ATTACHMENT):
        kind, name = key.split("/", 1)
        if kind == REVERT:  # not asked for pruning: it would put an old list back
            summary, left = "cancel the way back that an interrupted run left armed", "is left of an interrupted run"
            steps.append(_made(target, REVERT, name, "delete", {"applet": name}, None, summary, "none", left))
        else:
            steps.append(pruned(target, key, live, ATTACHMENT, _shown))
    return steps


_made = partial(made_step, attachment=ATTACHMENT, shown=_shown)
