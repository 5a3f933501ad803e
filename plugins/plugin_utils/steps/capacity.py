# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches said of their hardware, for the compiler's budgets; how old it is, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import switch_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.measured import Capacity, Measured, measured_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths

OLD_HOURS = 7 * 24


@dataclass(frozen=True)
class Figures:
    """What switches said, by name, with findings about it."""

    measured: Mapping[str, Measured] = field(default_factory=dict, hash=False)
    findings: tuple[Finding, ...] = ()


def figures_of(paths: Paths, site: Site, now: datetime | None = None) -> Figures:
    """Return the hardware figures of the switches that a site's devices are at or that hold its lists.

    Figures older than a week are used and said to be old (SW3029); those of which a line was not understood are not used (SW3030).
    """
    moment = now or datetime.now(UTC)
    hosts = {each.switch for members in site.members.values() for each in members if each.switch}
    hosts |= set(site.switches) | {point.host for point in site.points.values()}
    known, findings = switch_facts.read_known(paths.data, (host for host in hosts if HOST_NAME.match(host)))
    measured = {}
    for host, facts in known.items():
        found = measured_of(facts)
        if found is None:
            continue
        place = Location(str(switch_facts.path_of(paths.data, host)))
        if not found.whole:
            findings.append(codes.FIGURES_UNSURE.at(f"switch {host}, read at {found.read_at}", place))
            continue
        age = switch_facts.age_hours(found.read_at, moment)
        if age > OLD_HOURS:
            findings.append(codes.FIGURES_OLD.at(f"switch {host}: {age / 24:.0f} days, read at {found.read_at}", place))
        measured[host] = found
    return Figures(measured, tuple(findings))


def capacity_rows(rows: Iterable[Capacity], now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the fullest region of each kind of each switch for a report, with the age of its figures, the fullest first."""
    moment = now or datetime.now(UTC)
    worst: dict[tuple[str, str, str, str], Capacity] = {}
    for row in rows:
        key = (row.switch, row.kind, row.direction, row.family)
        if key not in worst or row.peak / row.limit > worst[key].peak / worst[key].limit:
            worst[key] = row
    ordered = sorted(worst.values(), key=lambda row: (-row.peak / row.limit, row.switch, row.kind))
    return [{**row.as_dict(), "age_hours": round(switch_facts.age_hours(row.read_at, moment), 1)} for row in ordered]
