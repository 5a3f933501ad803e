# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a Nexus switch's live lists and attachments to the steps that bring them to what the policy says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import (
    body_difference,
    understood,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Operation, Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import PRUNE
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.list_steps import (
    Rules,
    leftover_keys,
    made_step,
    pruned,
    ways_back_of_others,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos_config import (
    COMMANDS,
    NxosState,
    Place,
    base_name,
    checked_command,
    checked_name,
    family_of,
    full_interface,
    list_header,
    list_text,
    ours,
    typed_lines,
)

LIST, ATTACHMENT, WAY_BACK_JOB = "nxos_access_list", "nxos_attachment", "nxos_way_back"
PLACE_KEYS = ("interface", "direction", "command")


def place_of(body: Mapping[str, Any]) -> Place:
    """Return the place that a body names, checked."""
    direction = str(body["direction"])
    return full_interface(str(body["interface"])), direction, checked_command(str(body["command"]), direction)


def place_name(place: Place) -> str:
    """Return the name of a place's object, as the compiler names it."""
    return f"{place[0]}-{place[1]}-ipv{COMMANDS[place[2]]}"


def given_objects(values: Mapping[str, Any]) -> tuple[DesiredObject, ...]:
    """Return the objects for one list and its interfaces as a user gives them; FindingError for what cannot be written.

    ``content`` has a header or none, which means IPv4. ``point`` is port_acl or router_acl; without it interfaces that can only be
    routed (Vlan, mgmt, loopback, sub-interfaces) get a router list and all others a port list.
    """
    name, content = checked_name(str(values["name"])), str(values.get("content") or "")
    made: list[DesiredObject] = []
    headed = content.lstrip().startswith(("ip access-list", "ipv6 access-list"))
    text = content if headed or not content else f"{list_header(name, 4)}\n{content}"
    if content:
        if reason := understood("nxos", text):
            raise FindingError(codes.BAD_BODY.at(f"list {name}: {reason}"))
        typed_lines(text)
        made.append(DesiredObject(LIST, name, {"content": text}))
    six, direction = family_of(text) == 6, str(values.get("direction") or "in")
    for given in values.get("interfaces") or ():
        interface = full_interface(str(given))
        routed = interface.startswith(("Vlan", "mgmt", "loopback")) or "." in interface
        port = not routed if not values.get("point") else values["point"] == "port_acl"
        command = f"{'ipv6' if six else 'ip'} {'port ' if port else ''}{'traffic-filter' if six else 'access-group'}"
        place = (interface, direction, checked_command(command, direction))
        body = {**dict(zip(PLACE_KEYS, place, strict=True)), "access_list": name}
        made.append(DesiredObject(ATTACHMENT, place_name(place), body))
    return tuple(made)


def in_force(state: NxosState, live: str) -> bool:
    """Return whether a list of ours that is attached is there, has entries, and is the version that counts."""
    return bool(state.lists.get(live)) and state.versions(base_name(live))[0] == live


def live_objects(state: NxosState, desired: Sequence[DesiredObject]) -> dict[str, dict[str, Any]]:
    """Return our lists, where they are attached, and what stands on places that the policy names."""
    objects: dict[str, dict[str, Any]] = {}
    named = {place_of(item.body) for item in desired if item.kind == ATTACHMENT}
    bases = {base_name(name) for name in state.lists if ours(name)}
    bases |= {item.name for item in desired if item.kind == LIST and item.name in state.lists}
    for base in sorted(bases):
        versions = state.versions(base)
        current = versions[0]
        objects[f"{LIST}/{base}"] = {
            "content": list_text(base, state.lists[current], state.families[current]),
            "owned": ours(current),
            "internal": {
                "live": current,
                "versions": versions,
                "attached": [list(place) for place in state.attached(current)],
                "elsewhere": sorted(set(versions) & state.elsewhere),
            },
        }
    for name in sorted({name for _kind, name in state.way_back}):
        objects[f"{WAY_BACK_JOB}/{name}"] = {"owned": True}
    for place, live in sorted(state.groups.items()):
        if not ours(live) and place not in named:
            continue
        name = place_name(place)
        # Port and router list of one interface: the one that the policy does not name has its command in the name.
        twin = any(other != place and place_name(other) == name and other in named for other in (*state.groups, *named))
        key = f"{ATTACHMENT}/{name}" + (f"-{place[2].replace(' ', '-')}" if twin and place not in named else "")
        objects[key] = {
            "interface": place[0],
            "direction": place[1],
            "command": place[2],
            # A place that names a list without entries, or not the one in force, permits what it should not.
            "access_list": base_name(live) if ours(live) and in_force(state, live) else live,
            "owned": ours(live),
            "internal": {"live": live},
        }
    return objects


def judged_places(steps: Sequence[Operation], live: Snapshot) -> list[tuple[str, list[Place]]]:
    """Return (text of a list, the places whose packets it judges after the steps) for every list that comes into force."""
    texts = {
        key.partition("/")[2]: str(body["content"]) for key, body in live.objects.items() if key.startswith(f"{LIST}/")
    }
    texts |= {step.name: str(step.after["content"]) for step in steps if step.kind == LIST and step.after}
    found: list[tuple[str, list[Place]]] = []
    for step in steps:
        if step.kind == ATTACHMENT and step.after and not step.details.get(PRUNE):
            name, places = str(step.after["access_list"]), [place_of(step.after)]
        elif step.kind == LIST and step.after:
            internal = live.objects.get(f"{LIST}/{step.name}", {}).get("internal", {})
            name, places = step.name, [(str(a), str(b), str(c)) for a, b, c in internal.get("attached", ())]
        else:
            continue
        if places and name in texts:
            found.append((texts[name], places))
    return found


def nxos_operations(
    target: str, desired: Sequence[DesiredObject], live: Snapshot, *, adopt: bool
) -> tuple[Operation, ...]:
    """Return steps: new lists (in force nowhere), changed lists (built beside, swapped), attachments; detaching and removal last.

    Raises FindingError for lists and attachments that are not ours (unless ``adopt``) and for texts that are not understood.
    """
    findings = ways_back_of_others(target, WAY_BACK_JOB, live)
    steps: list[Operation] = []
    wanted: set[str] = set()
    known = [item for item in desired if item.kind in (LIST, ATTACHMENT)]
    for item in sorted(known, key=lambda item: (item.kind != LIST, item.name)):
        if item.kind == LIST:
            name, body = checked_name(item.name), {"content": str(item.body["content"])}
        else:
            place = place_of(item.body)
            name = place_name(place)
            body = {
                **dict(zip(PLACE_KEYS, place, strict=True)),
                "access_list": checked_name(str(item.body["access_list"])),
            }
        key = f"{item.kind}/{name}"
        wanted.add(key)
        make = RULES.list_step if item.kind == LIST else RULES.attachment_step
        found, step = make(target, item.kind, name, body, live.objects.get(key), adopt)
        findings += found
        if step is not None:
            steps.append(step)
    if findings:
        raise FindingError(*findings)
    steps += _leftovers(target, wanted, live)
    return tuple(sorted(steps, key=lambda step: step.phase))


def _unfinished(name: str, present: Mapping[str, Any]) -> tuple[str, str] | None:
    if len(present["internal"]["versions"]) > 1 and present["owned"]:
        return f"remove what an interrupted run left of list {name}", "other versions are left behind"
    return None


def _shown(body: Mapping[str, Any] | None) -> str:
    if not body:
        return ""
    if "content" in body:
        return str(body["content"])
    return f"interface {body['interface']}\n  {body['command']} {body['access_list']} {body['direction']}"


def _leftovers(target: str, wanted: set[str], live: Snapshot) -> list[Operation]:
    steps = []
    for key in leftover_keys(wanted, live, ATTACHMENT):
        kind, name = key.split("/", 1)
        if kind == WAY_BACK_JOB:
            what = "configuration session" if name == "session" else f"way back {name}"
            summary, left = f"remove the {what} that an interrupted run left", f"a {what} is left behind"
            steps.append(_made(target, kind, name, "delete", None, None, summary, "none", left))
        else:
            steps.append(pruned(target, key, live, ATTACHMENT, _shown))
    return steps


_made = partial(made_step, attachment=ATTACHMENT, shown=_shown)
RULES = Rules(
    unusable=lambda _kind, content: understood("nxos", content),
    understood=lambda _kind, content: understood("nxos", content),
    compare=lambda kind, before, after: body_difference(kind, {"content": before}, {"content": after}),
    made=_made,
    where=lambda _kind, _name, body: f"{body['interface']} {body['direction']}",
    unfinished=_unfinished,
)
