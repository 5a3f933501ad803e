# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live ISE as a new policy directory for review. Reads ISE or a snapshot of it, and writes no target.

Nothing that the compiler would write otherwise than it stands in ISE is put under enforcement: such segments are observed, and the
report says what a person has to decide.
"""

from __future__ import annotations

import os
import tempfile
import zoneinfo
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import SIZE_LIMIT_BYTES
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.naming import PREFIX
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.splice import render
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.writer import COMMENT, segment_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.exports import export_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.exported_lists import (
    LISTS,
    MATRIX,
    Exported,
    exported_rules,
    judged,
    wrongly_compiled,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.objects import ise_target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes as target_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_export import NOT_SAID, Draft, draft_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_kinds import ALL_KINDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_preflight import preflight
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import read_snapshot

SCHEMAS = Path(schema.__file__).resolve().parent / "schemas"
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")


def run_ise_export(values: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Write the policy directory of a live ISE or of its snapshot, and the report; in check mode only say what would be written."""
    host, objects = _objects(values, variables)
    draft, paths, today = draft_of(objects), paths_of(values), today_of(values)
    head = _head(values, host)
    with tempfile.TemporaryDirectory(prefix="segwright-") as place:
        copy = Path(place) / "policy"
        texts = _texts(head, draft, Exported(), paths.policy)
        _write(copy, texts)
        made = exported_rules(draft, _sound(copy, today))
        texts = _texts(head, draft, made, paths.policy)
        _write(copy, texts)
        judged(draft, made, _sound(copy, today))
        texts = _texts(head, draft, made, paths.policy)
        _write(copy, texts)
        loaded = load_checked(copy, today)
        if loaded.site is None:
            raise FindingError(*errors_of(loaded.findings))
        compiled = compile_site(loaded.site)
        found = [*made.findings, *wrongly_compiled(draft, compiled.lists)]
        gate = errors_of([*loaded.findings, *compiled.findings])
        adopt = sorted(
            key
            for target in compiled.targets
            for key in (f"{item.kind}/{item.name}" for item in target.objects)
            if key in objects and not objects[key].get("owned")
        )
        hints = [item for item in (*loaded.findings, *compiled.findings) if item not in gate]
    standing = _standing(paths.policy, texts)
    if standing and standing != texts:
        text = f"{paths.policy} holds a policy already; nothing was written"
        raise FindingError(codes.BAD_ARGUMENT.at(text, hint="give a directory that does not exist yet"))
    decisions = [*draft.decisions, *made.decisions, *_always(head)]
    found += [target_codes.ISE_DECIDE.at(text) for text in decisions]
    lacking = Counter(key.split("/", 1)[0] for key, (outcome, _why) in draft.outcomes.items() if outcome == NOT_SAID)
    found += [target_codes.ISE_NOT_EXPORTED.at(f"{count} of kind {kind}") for kind, count in sorted(lacking.items())]
    if not values["check_mode"] and not standing:
        _write(paths.policy, texts)
    outcomes = Counter(outcome for outcome, _why in draft.outcomes.values())
    verdicts = Counter(item["verdict"] for item in (*made.cells, *made.lists))
    content: dict[str, Any] = {
        "source": host,
        "counts": {
            "objects": len(objects),
            **dict(sorted(outcomes.items())),
            "segments": len(draft.segments),
            "rules": sum(len(rules) for rules in made.rules.values()),
            "cells and lists": len(made.cells) + len(made.lists),
            **dict(sorted(verdicts.items())),
            "segments enforced": len(made.stages),
        },
        "objects": [
            {"object": key, "outcome": outcome, "why": why} for key, (outcome, why) in sorted(draft.outcomes.items())
        ],
        "cells": made.cells,
        "lists": made.lists,
        "segments": {name: made.stages.get(name, "observe") for name in sorted(draft.segments)},
        "decisions": decisions,
        "adopt_names": adopt,
        "gate": [item.as_dict() for item in gate],
        "remarks": [item.as_dict() for item in hints],
        "files": sorted(texts),
    }
    said = result("ise_export", found, "", **content)
    said["summary"] = _summary(said)
    if not values["check_mode"]:
        write_json(paths.output / "ise_export.json", said)
        write_atomic(paths.output / "ise_export.md", export_markdown(said))
    answer: dict[str, Any] = {
        "changed": not standing,
        **{
            name: said[name]
            for name in ("summary", "counts", "segments", "decisions", "adopt_names", "gate", "files", "cells", "lists")
        },
        "not_expressed": [item for item in said["objects"] if item["outcome"] == NOT_SAID],
        "findings": [*said["errors"], *said["warnings"]],
        "report": str(paths.output / "ise_export.md"),
    }
    if values["diff_mode"] and not standing:
        answer["diff"] = [
            {"before_header": name, "after_header": name, "before": "", "after": text}
            for name, text in sorted(texts.items())
        ]
    return answer


def _sound(policy: Path, today: date) -> Site:
    """Return the site of a policy directory; FindingError with its errors where it cannot be read."""
    loaded = load_checked(policy, today)
    if loaded.site is None:
        raise FindingError(*errors_of(loaded.findings))
    return loaded.site


def _objects(values: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[str, Mapping[str, Mapping[str, Any]]]:
    """Return the inventory name of the ISE and everything that it holds, live or as its snapshot says."""
    if values.get("src"):
        snapshot = read_snapshot(Path(str(values["src"])).expanduser())
        return str(values.get("target") or snapshot.target), snapshot.objects
    target = ise_target(values, variables)
    try:
        found = preflight(target.client, target.name).findings
        if errors_of(found):
            raise FindingError(*errors_of(found))
        return target.name, target.gathered(ALL_KINDS).objects
    finally:
        target.close()


def _head(values: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the arguments say about the site, checked."""
    head: dict[str, Any] = {
        "host": host,
        "site": str(values.get("site") or "site"),
        "time_zone": str(values.get("time_zone") or "Etc/UTC"),
        "zone": str(values.get("zone") or "existing"),
        "subnets": [str(item) for item in values.get("subnets") or PRIVATE],
        "owner": str(values.get("owner") or "to-be-named"),
    }
    if not ACL_NAME.match(head["site"]) or not IDENTIFIER.match(head["zone"]):
        raise FindingError(
            codes.BAD_ARGUMENT.at("site or zone: a name has letters, digits and '_' and begins with a letter")
        )
    try:
        zoneinfo.ZoneInfo(head["time_zone"])
    except (ValueError, OSError, KeyError):
        raise FindingError(codes.BAD_ARGUMENT.at(f"time_zone: {head['time_zone'][:40]!r} is not known")) from None
    return head


def _always(head: Mapping[str, Any]) -> list[str]:
    """Return what no ISE says and every policy has to."""
    return [
        f"every segment is in zone {head['zone']} with security level 1: divide the site into zones, with conduits between them",
        f"every segment has owner {head['owner']} and criticality medium: name who answers for it and what depends on it",
        "members.lock.json is empty: run collect and propose, which find the devices that the queries describe",
    ]


def _texts(head: Mapping[str, Any], draft: Draft, made: Exported, place: Path) -> dict[str, str]:
    """Return the files of the policy directory by their names."""
    texts: dict[str, str] = {}

    def add(relative: str, kind: str, content: Mapping[str, Any]) -> None:
        folder = (place / relative).parent.absolute()
        prefix = os.path.relpath(SCHEMAS, folder).replace(os.sep, "/")
        comment = f"{COMMENT}{prefix}/{kind}.schema.json"
        texts[relative] = (
            segment_text(content, comment) if kind == "segment" else f"{comment}\n{render(dict(content))}\n"
        )

    zone, owner = str(head["zone"]), str(head["owner"])
    add("site.yml", "site", {
        "name": head["site"], "description": f"As ISE {head['host']} had it", "time_zone": head["time_zone"],
        "zones": {zone: {
            "description": "Everything, until somebody divides it", "subnets": list(head["subnets"]), "security_level": 1,
            "owner": owner,
        }},
    })  # fmt: skip
    add("services.yml", "services", {"services": dict(sorted(made.services.items()))})
    add("networks.yml", "networks", {"networks": dict(sorted(made.networks.items()))})
    points: dict[str, Any] = {
        MATRIX: {"description": "The egress matrix as it is", "kind": "sgacl", "platform": "ise", "host": head["host"]},
        LISTS: {
            "description": "Downloadable ACLs as they are",
            "kind": "dacl",
            "platform": "ise",
            "host": head["host"],
        },
    }
    add("enforcement.yml", "enforcement", {
        "points": points,
        "segments": {
            name: {"stage": made.stages.get(name, "observe"), "points": made.points.get(name) or _kinds(draft, name)}
            for name in sorted(draft.segments)
        },
    })  # fmt: skip
    for name, segment in sorted(draft.segments.items()):
        parts = segment.members
        content: dict[str, Any] = {
            "segment": name, "zone": zone,
            "description": _description(segment.group, segment.lists),
            "owner": owner, "criticality": "medium",
            "members": parts[0] if len(parts) == 1 else {"any": parts},
        }  # fmt: skip
        if segment.sgt is not None:
            content["sgt"] = segment.sgt
            if IDENTIFIER.match(segment.group) and not segment.group.startswith(PREFIX):
                content["sgt_name"] = segment.group
        if made.rules.get(name):
            content["allow"] = made.rules[name]
        add(f"{zone}/{name}.yml", "segment", content)
    texts["members.lock.json"] = '{\n  "kind": "members",\n  "schema_version": "1.0",\n  "segments": {}\n}\n'
    return texts


def _description(group: str, lists: Mapping[int, str]) -> str:
    said = [f"security group {group}"] if group else []
    said += [f"downloadable ACL {name}" for _family, name in sorted(lists.items())]
    text = f"In ISE: {', '.join(said)}"
    return text if text.isprintable() else ascii(text)


def _kinds(draft: Draft, name: str) -> list[str]:
    segment = draft.segments[name]
    return [point for point, has in ((MATRIX, segment.sgt is not None), (LISTS, bool(segment.lists))) if has]


def _write(directory: Path, texts: Mapping[str, str]) -> None:
    for relative, text in sorted(texts.items()):
        write_atomic(directory / relative, text)


def _standing(directory: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return the policy files that stand in the directory, by name; those of other names count as well."""
    if not directory.is_dir():
        return {}
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*.yml")}
    found |= {name for name in texts if os.path.lexists(directory / name)}
    return {name: _present(directory / name) for name in sorted(found)}


def _present(path: Path) -> str:
    return read_text(path, SIZE_LIMIT_BYTES) if path.is_file() and not path.is_symlink() else ""


def _summary(made: Mapping[str, Any]) -> str:
    counts = made["counts"]
    text = (
        f"{made['source']}: {counts['objects']} objects as {counts['segments']} segments with {counts['rules']} rules;"
        f" {counts.get('equal', 0)} of {counts['cells and lists']} cells and lists equal,"
        f" {counts['segments enforced']} segments as they are enforced now, the others observed;"
        f" {len(made['decisions'])} decisions"
    )
    return text + (f"; the gate would refuse with {len(made['gate'])} errors" if made["gate"] else "")
