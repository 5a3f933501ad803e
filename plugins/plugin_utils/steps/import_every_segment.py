# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of a firewall or router, imported for every segment at once: each line goes to the segments that its source holds."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.additions import add_items
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.acl import (
    Candidates,
    Scope,
    candidates,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.imported import compiled_list, list_difference

# What became of a line somewhere says more than what it is elsewhere: the first of these that some segment has.
ORDER = (
    "not understood", "condition", "rule", "answer", "not imported", "blanket answer", "deny", "written by the compiler itself",
    "decides nothing", "inactive", "other devices",
)  # fmt: skip
# About a line that is nobody's in one segment there is nothing to say while another has it.
_ELSEWHERE = {codes.OTHER_SOURCE.number}


def every_segment(
    directory: Path, site: Site, source: ParsedAcl, scopes: Mapping[str, Scope]
) -> tuple[Candidates, list[Finding]]:
    """Return what a list becomes for all scopes together, and its findings, each once.

    New names are shared: what one segment's import adds to ``services.yml`` and ``networks.yml`` the next one finds. Only a temporary
    copy of the policy directory is written. An entry's outcome is the most telling of all segments; ``segments`` says whose rules it
    gave.
    """
    made, found = Candidates(), []
    outcomes: list[Counter[str]] = []
    owners: list[set[str]] = []
    with tempfile.TemporaryDirectory(prefix="segwright-") as place:
        copy = Path(place) / "policy"
        shutil.copytree(directory, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "evidence"))
        for name, scope in sorted(scopes.items()):
            part = candidates(site, source, scope, compiled_list(site, scope, rules=False))
            for client, rules in part.rules.items():
                known = {rule["id"] for rule in made.rules.setdefault(client, [])}
                made.rules[client] += [rule for rule in rules if rule["id"] not in known]
            if not made.entries:
                made.entries = [{**entry, "rules": [], "segments": []} for entry in part.entries]
                outcomes = [Counter() for _entry in part.entries]
                owners = [set() for _entry in part.entries]
            for number, entry in enumerate(part.entries):
                outcomes[number][entry["outcome"]] += 1
                made.entries[number]["rules"] += entry["rules"]
                if entry["rules"]:
                    owners[number].add(name)
            found += part.findings
            if part.services or part.networks:
                made.services |= part.services
                made.networks |= part.networks
                add_items(copy, "services", part.services)
                add_items(copy, "networks", part.networks)
                site = load_site(copy).site or site
    nobody = set()
    for number, entry in enumerate(made.entries):
        entry["outcome"] = next(name for name in ORDER if name in outcomes[number])
        entry["rules"] = sorted(set(entry["rules"]))
        entry["segments"] = sorted(owners[number])
        if entry["outcome"] == "other devices":
            nobody.add(entry["line"])
    for rules in made.rules.values():
        rules.sort(key=lambda rule: str(rule["id"]))
    kept = [item for item in found if item.code not in _ELSEWHERE or item.line in nobody]
    return made, list(dict.fromkeys(kept))


def differences(site: Site, source: ParsedAcl, scopes: Mapping[str, Scope]) -> tuple[dict[str, Any], list[Finding]]:
    """Return for each segment whether list and compiled import permit the same, and one finding where some do not."""
    made = {name: list_difference(site, source, scope) for name, scope in sorted(scopes.items())}
    content: dict[str, Any] = {
        "equal": all(item.equal for item in made.values()),
        "segments": {name: item.equal for name, item in made.items()},
    }
    unlike = [name for name, equal in content["segments"].items() if not equal]
    if not unlike:
        return content, []
    shown = ", ".join(unlike[:5]) + (f" and {len(unlike) - 5} more" if len(unlike) > 5 else "")
    text = f"for {len(unlike)} of {len(made)} segments ({shown})"
    return content, [codes.LIST_DIFFERS.at(text, Location(next(iter(scopes.values())).file))]
