# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a MUD file with recorded traffic and with the policy. Offline; writes only its reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import bind
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.conformance import (
    Conformance,
    SeenRow,
    conformance,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import address_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.imports import conformance_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import commit_name, paths_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import recorded_history
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import (
    known_segment,
    loaded_site,
    resolutions,
    source_text,
)

ROW_LIMIT = 1000


def run_mud_check(values: dict[str, Any]) -> dict[str, Any]:
    """Compare, write mud_check.json and mud_check.md, and return the result."""
    paths = paths_of(values)
    site = loaded_site(paths)
    segment = known_segment(site, values["segment"])
    text, name = source_text(values)
    mud = read_mud(text, name)
    permissions, findings = permissions_of(mud)
    bound = bind(site, segment, mud, permissions, values.get("bindings") or {}, resolutions(values))
    history = recorded_history(paths.data, values.get("window_days"), limits=limits_of(site.learning))
    compared = conformance(site, segment, bound, history)
    found = [*mud.findings, *findings, *bound.findings, *_findings(site, segment, compared, name)]
    seen = compared.counts()
    content = {
        "source": name,
        "segment": segment,
        "mud_url": mud.url,
        "recorded": len(history),
        "counts": {
            "declared conversations": len(permissions),
            "of unnamed peers": len(permissions) - len(bound.permissions),
            "seen conversations": len(compared.seen),
            **{f"seen: {key}": value for key, value in seen.items()},
        },
        "declared": compared.declared,
        "seen": [_row(site, row) for row in compared.seen[:ROW_LIMIT]],
        "rules": compared.rules,
        "declared_not_allowed": compared.declared_not_allowed,
        "allowed_not_declared": compared.allowed_not_declared,
        "unbound": bound.unbound,
    }
    made = result("mud_check", found, commit_name(paths.policy), **content)
    made["conforms"] = not seen["not declared, allowed"] and not seen["neither"] and not seen["declared, denied"]
    made["summary"] = _summary(made)
    write_json(paths.output / "mud_check.json", made)
    write_atomic(paths.output / "mud_check.md", conformance_markdown(made))
    return {
        "changed": False,
        "conforms": made["conforms"],
        "summary": made["summary"],
        "counts": made["counts"],
        "declared": made["declared"],
        "seen": made["seen"],
        "unbound": made["unbound"],
        "findings": [*made["errors"], *made["warnings"]],
        "report": str(paths.output / "mud_check.md"),
    }


def _findings(site: Site, segment: str, compared: Conformance, name: str) -> list[Finding]:
    found = []
    if not any(member.addresses for member in site.members.get(segment, ())):
        found.append(codes.NO_ADDRESSES.at(f"segment {segment}", site.members_location))
    place = Location(name)
    for row in compared.seen:
        if not row.counts:
            continue
        if not row.declared:
            found.append(codes.NOT_DECLARED.at(_text(site, row), place))
        elif not row.allowed:
            found.append(codes.DECLARED_DENIED.at(_text(site, row), place))
    places = {rule.id: rule.location for rule in site.rules()}
    for item in compared.rules:
        if item["declared"] != "yes":
            text = f"rule {item['rule']} is declared {'only in part' if item['declared'] == 'partly' else 'nowhere'}"
            found.append(codes.NEVER_DECLARED.at(text, places.get(item["rule"], Location())))
    return found


def _text(site: Site, row: SeenRow) -> str:
    made = _row(site, row)
    return (
        f"{made['client']} to {made['server']}, protocol {made['protocol']} port {made['port']}, {made['flows']} flows"
    )


def _row(site: Site, row: SeenRow) -> dict[str, Any]:
    item = row.conversation
    return {
        "client": _name(site, item.family, item.client),
        "server": _name(site, item.family, item.server),
        "protocol": item.protocol,
        "port": item.server_port,
        "opener": "device" if row.by_device else "peer",
        "flows": item.flows,
        "days": item.days,
        "declared": row.declared,
        "allowed": row.allowed,
        "doubt": "bootstrap" if item.bootstrap else item.suspect or ("direction" if item.weak else ""),
    }


def _name(site: Site, family: int, address: int) -> str:
    text = address_text(family, address)
    for members in site.members.values():
        for member in members:
            if text in member.addresses:
                return member.name or member.device
    return text


def _summary(made: Mapping[str, Any]) -> str:
    counts: Sequence[str] = [f"{value} {key}" for key, value in made["counts"].items()]
    return f"{made['source']} and segment {made['segment']}: {', '.join(counts)}"
