# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export a segment's rules as a MUD file, with the evidence behind them beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_json, read_text, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.exporting import (
    ORIGINS,
    Exported,
    export_segment,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.model import meanings
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.writer import MudHead, mud_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import known_segment, loaded_site

MUD_URL = re.compile(r"\Ahttps://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?/[A-Za-z0-9._~/%-]{0,300}\Z")


def run_export(values: dict[str, Any]) -> dict[str, Any]:
    """Write the MUD file of a segment; the file is left alone where it says the same already."""
    paths = paths_of(values)
    site = loaded_site(paths)
    segment = known_segment(site, values["segment"])
    url = str(values["mud_url"])
    if not MUD_URL.match(url):
        raise FindingError(codes.BAD_ARGUMENT.at("mud_url: a MUD URL begins with https:// and has a host and a path"))
    made = export_segment(site, segment, url, values.get("bindings") or {}, values.get("origins") or ORIGINS)
    head = MudHead(
        url,
        str(values.get("last_update") or iso_now()),
        values.get("systeminfo") or site.segments[segment].description or segment,
        values.get("manufacturer") or "",
        values.get("model") or "",
    )
    text = mud_text(head, made.permissions)
    target = Path(str(values["dest"])).expanduser()
    before = read_text(target) if target.exists() else ""
    changed = not _says_the_same(before, text)
    if changed and not values["check_mode"]:
        write_atomic(target, text)
    answer: dict[str, Any] = {
        "changed": changed,
        "dest": str(target),
        "summary": f"segment {segment}: {len(made.rules)} rules as {len(made.permissions)} conversations",
        "rules": made.rules,
        "bindings": made.bindings,
        "evidence": _evidence(site, paths.policy, segment, made),
        "findings": [finding.as_dict() for finding in made.findings],
    }
    if values["diff_mode"]:
        after = text if changed else before
        answer["diff"] = [
            {"before_header": target.name, "after_header": target.name, "before": before, "after": after}
        ]  # fmt: skip
    return answer


def _says_the_same(before: str, after: str) -> bool:
    """Return whether two MUD files differ in nothing but their date."""
    if not before:
        return False
    try:
        one, two = read_mud(before, "before"), read_mud(after, "after")
    except FindingError:
        return False
    heads = [(m.url, m.systeminfo, m.manufacturer_name, m.model_name) for m in (one, two)]
    return heads[0] == heads[1] and meanings(permissions_of(one)[0]) == meanings(permissions_of(two)[0])


def _evidence(site: Site, directory: Path, segment: str, made: Exported) -> dict[str, Any]:
    """Return what stands behind the exported rules: bands of the rules, and the counts of evidence/SEGMENT.json where there are some."""
    path = directory / "evidence" / f"{segment}.json"
    counts: dict[str, Any] = {}
    if path.is_file() and not path.is_symlink():
        document = read_json(path)
        counts = document.get("rules", {}) if isinstance(document, dict) else {}
    rules = {rule.id: rule for rule in site.rules()}
    return {
        name: {"origin": rules[name].origin, "bands": dict(rules[name].evidence), "counts": counts.get(name, {})}
        for name in made.rules
        if name in rules
    }
