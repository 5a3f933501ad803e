# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a switch's live lists and attachments to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    Meaning,
    difference,
    not_compared,
    understood,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_config import (
    IosState,
    Place,
    attach_line,
    base_name,
    checked_name,
    dialect_of,
    family_of,
    full_interface,
    in_force,
    list_header,
    list_text,
    ours,
    shown_place,
    typed_lines,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import (
    Rules,
    leftover_keys,
    made_step,
    pruned,
    ways_back_of_others,
)

LIST, ATTACHMENT, REVERT = "access_list", "attachment", "revert"
# Lists and places of each family: their kinds as the compiler names them.
LISTS, ATTACHMENTS = {LIST: 4, f"ipv6_{LIST}": 6}, {ATTACHMENT: 4, f"ipv6_{ATTACHMENT}": 6}
KIND_OF_LIST, KIND_OF_PLACE = ({number: kind for kind, number in kinds.items()} for kinds in (LISTS, ATTACHMENTS))
_NAMED = re.compile(r"\A(ip access-list extended|ipv6 access-list) \S+(?=\n)")


def place_of(kind: str, body: Mapping[str, Any]) -> Place:
    """Return the place that a body names, checked."""
    direction = str(body["direction"])
    if direction not in ("in", "out"):
        raise FindingError(codes.BAD_BODY.at(f"{body['interface']}: direction {direction[:20]!r}"))
    return full_interface(str(body["interface"])), direction, ATTACHMENTS[kind]


def place_name(place: Place) -> str:
    """Return the name of a place's object, as the compiler names it."""
    return f"{place[0]}-{place[1]}"


def given_objects(values: Mapping[str, Any]) -> tuple[DesiredObject, ...]:
    """Return the objects for one list and its interfaces as a user gives them; FindingError for what cannot be written.

    ``content`` has a header (``ip access-list extended NAME`` or ``ipv6 access-list NAME``) or none, which means IPv4.
    """
    name, content = str(values["name"]), str(values.get("content") or "")
    made: list[DesiredObject] = []
    headed = content.lstrip().startswith(("ip access-list", "ipv6 access-list"))
    text = content if headed or not content else f"{list_header(checked_name(name))}\n{content}"
    family = family_of(text)
    if content:
        if reason := _understood(text):
            raise FindingError(codes.BAD_BODY.at(f"list {name}: {reason}"))
        typed_lines(text)
        made.append(DesiredObject(KIND_OF_LIST[family], checked_name(name), {"content": text}))
    for given in values.get("interfaces") or ():
        kind = KIND_OF_PLACE[family]
        place = place_of(kind, {"interface": str(given), "direction": str(values.get("direction") or "in")})
        body = {"interface": place[0], "direction": place[1], "access_list": name}
        made.append(DesiredObject(kind, place_name(place), body))
    return tuple(made)


def live_objects(
    state: IosState, desired: Sequence[DesiredObject], others: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return our lists, where they are attached, and what stands on interfaces that the policy names.

    ``others``: names of ways back that a run which may live has armed.
    """
    objects: dict[str, dict[str, Any]] = {}
    named = {
        (full_interface(str(item.body["interface"])), ATTACHMENTS[item.kind])
        for item in desired
        if item.kind in ATTACHMENTS
    }
    wanted_lists = {(item.name, LISTS[item.kind]) for item in desired if item.kind in LISTS}
    bases = {(base_name(name), state.family(name)) for name in state.lists if ours(name)}
    bases |= {(name, family) for name, family in wanted_lists if name in state.lists and state.family(name) == family}
    for base, family in sorted(bases):
        versions = state.versions(base, family)
        current = versions[0]
        objects[f"{KIND_OF_LIST[family]}/{base}"] = {
            "content": list_text(base, state.lists[current], family),
            "owned": ours(current),
            "internal": {
                "live": current,
                "versions": versions,
                "attached": [list(place) for place in state.attached(current)],
                "elsewhere": sorted(set(versions) & state.elsewhere),
            },
        }
    for place, live in sorted(state.groups.items()):
        if ours(live) or (place[0], place[2]) in named:
            objects[f"{KIND_OF_PLACE[place[2]]}/{place_name(place)}"] = {
                "interface": place[0],
                "direction": place[1],
                # A place that names a missing or empty list permits everything: it holds nothing of ours.
                "access_list": base_name(live) if ours(live) and in_force(state, live) else live,
                "owned": ours(live),
                "internal": {"live": live},
            }
    for way in state.ways_back:
        held = {"held": way.described()} if way.name in others else {}
        objects[f"{REVERT}/{way.name}"] = {"applet": way.name, "owned": True, **held}
    return objects


def ios_operations(
    target: str, desired: Sequence[DesiredObject], live: Snapshot, *, adopt: bool
) -> tuple[Operation, ...]:
    """Return steps: new lists (in force nowhere), changed lists (built beside, swapped), attachments; detaching and removal last.

    Raises FindingError for lists and attachments that are not ours (unless ``adopt``) and for texts that are not understood.
    """
    findings = ways_back_of_others(target, REVERT, live)
    steps: list[Operation] = []
    wanted: set[str] = set()
    known = [item for item in desired if item.kind in LISTS or item.kind in ATTACHMENTS]
    for item in sorted(known, key=lambda item: (item.kind not in LISTS, item.kind, item.name)):
        name, body = _desired(item)
        key = f"{item.kind}/{name}"
        wanted.add(key)
        present = live.objects.get(key)
        make = RULES.list_step if item.kind in LISTS else RULES.attachment_step
        found, step = make(target, item.kind, name, body, present, adopt)
        findings += found
        if step is not None:
            steps.append(step)
    if findings:
        raise FindingError(*findings)
    steps += _leftovers(target, wanted, live)
    return tuple(sorted(steps, key=lambda step: step.phase))


def _desired(item: DesiredObject) -> tuple[str, dict[str, Any]]:
    if item.kind in LISTS:
        return checked_name(item.name), {"content": str(item.body["content"])}
    place = place_of(item.kind, item.body)
    body = {"interface": place[0], "direction": place[1], "access_list": checked_name(str(item.body["access_list"]))}
    return place_name(place), body


def _unusable(kind: str, content: str) -> str:
    """Return why a text cannot be a list of a kind."""
    other = "its header is that of the other family" if family_of(content) != LISTS[kind] else ""
    return other or _understood(content)


def _unfinished(name: str, present: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what an interrupted run left beside the version in force."""
    internal = present["internal"]
    left = [version for version in internal["versions"] if version != internal["live"] and ours(version)]
    names = ", ".join(left)
    return (f"remove {names}, left of an interrupted run", f"{names} is left of an interrupted run") if left else None


@once(512)
def _understood(content: str) -> str:
    """Return why a text is not understood; a fleet holds the same texts many times over."""
    return understood(dialect_of(content), content)


def _difference(before: str, after: str) -> Meaning:
    try:
        return list_meaning(before, after)
    except (FindingError, ValueError) as error:
        return not_compared(error)


def list_meaning(before: str, after: str) -> Meaning:
    """Return what replacing one list by another means, whatever the first is called; FindingError, ValueError where it cannot be said.

    A fleet holds the same lists many times over: each pair of texts is compared once.
    """
    return _meaning(_NAMED.sub(r"\1 live", before, count=1), after)


@once(512)
def _meaning(before: str, after: str) -> Meaning:
    return difference(dialect_of(after), before, after)


def _shown(kind: str, body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    if "content" in body:
        return str(body["content"])
    if "applet" in body:
        return f"event manager applet {body['applet']}"
    return f"interface {body['interface']}\n {attach_line(str(body['access_list']), place_of(kind, body))}"


def _leftovers(target: str, wanted: set[str], live: Snapshot) -> list[Operation]:
    steps = []
    for key in leftover_keys(wanted, live, tuple(ATTACHMENTS)):
        kind, name = key.split("/", 1)
        if kind == REVERT:  # not asked for pruning: it would put an old list back
            summary, left = "cancel the way back that an interrupted run left armed", "is left of an interrupted run"
            steps.append(_made(target, REVERT, name, "delete", {"applet": name}, None, summary, "none", left))
        else:
            steps.append(pruned(target, key, live, _place_kind(kind), partial(_shown, kind)))
    return steps


def _made(target: str, kind: str, *values: Any) -> Operation:
    return made_step(target, kind, *values, attachment=_place_kind(kind), shown=partial(_shown, kind))


def _place_kind(kind: str) -> str:
    return kind if kind in ATTACHMENTS else ATTACHMENT


RULES = Rules(
    unusable=_unusable,
    understood=lambda _kind, content: _understood(content),
    compare=lambda _kind, before, after: _difference(before, after),
    made=_made,
    where=lambda kind, _name, body: shown_place(place_of(kind, body)),
    unfinished=_unfinished,
)
