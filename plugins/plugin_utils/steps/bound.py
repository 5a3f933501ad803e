# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is bound to beside documents and live state: the tools that made it, addresses, and who was in which segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.commit import DIRTY
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.merged import branch_tip, is_ancestor
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.pending import PUSH
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import Plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.rings import Segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import COLLECTION_VERSION
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.committed import lock_segments

SHOWN = 5


def tools() -> dict[str, str]:
    """Return the versions of what makes and carries out plans, by name."""
    try:
        core = version("ansible-core")
    except PackageNotFoundError:
        core = ""
    return {"ansible-core": core, "segwright.microseg": COLLECTION_VERSION}


def tool_findings(plan: Plan) -> list[Finding]:
    """Return a warning where other tools carry a plan out than made it; nothing for a plan that names none."""
    now = tools()
    moved = [f"{name} {was}, now {now.get(name) or 'none'}" for name, was in plan.tools.items() if was != now.get(name)]
    return [codes.OTHER_TOOLS.at("; ".join(moved))] if moved else []


def address_findings(part: Plan, addresses: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each target that steps are for and that the inventory (``addresses``) has elsewhere than was planned."""
    return [
        codes.OTHER_ADDRESS.at(f"{target.name}: planned for {target.address}, now {addresses[target.name]}")
        for target in part.targets
        if target.operations and target.address and addresses.get(target.name, target.address) != target.address
    ]


def newest_commit(policy_dir: Path, planned: str, branch: str, checked_out: str) -> str:
    """Return the commit after ``planned`` whose membership counts: the protected branch's, else the checkout's; empty without one."""
    if not planned or planned.startswith(DIRTY):
        return ""
    for name in (branch_tip(policy_dir, branch), checked_out):
        if name and name != planned and is_ancestor(policy_dir, planned, name):
            return name
    return ""


def reassigned(policy_dir: Path, earlier: str, later: str) -> dict[str, tuple[str, str]]:
    """Return each device that a later commit has in another segment, by MAC: its segment then and now, empty where in none."""
    before, after = (_segment_of(policy_dir, commit) for commit in (earlier, later))
    return {mac: (name, after.get(mac, "")) for mac, name in sorted(before.items()) if after.get(mac, "") != name}


def _segment_of(policy_dir: Path, commit: str) -> dict[str, str]:
    try:
        segments = lock_segments(policy_dir, commit).items()
        return {str(item["device"]).lower(): name for name, found in segments for item in found["devices"]}
    except (KeyError, TypeError):
        return {}


def member_findings(
    part: Plan, ring: str, site: Site, lists: Sequence[PointList], moved: Mapping[str, tuple[str, str]], commit: str
) -> list[Finding]:
    """Return a finding (SW4183) for each target of a ring (``part``) with a step on a segment that devices have left or come to.

    A step that is for all segments, or nobody knows for which, counts; a push only brings what others wrote.
    """
    if not moved:
        return []
    segments = Segments(site, lists)
    touched = {name for ends in moved.values() for name in ends if name}
    found = []
    for target in part.targets:
        reached: set[str] = set()
        for step in target.operations:
            if step.action != PUSH:
                reached |= segments.of(target.name, step) or touched
        if here := sorted(reached & touched):
            names = {item.device.lower(): item.name or item.device for each in site.members.values() for item in each}
            who = [
                f"{names.get(mac, mac)} from {a} to {b or 'none'}" for mac, (a, b) in moved.items() if {a, b} & {*here}
            ]
            more = f" and {len(who) - SHOWN} more" if who[SHOWN:] else ""
            text = f"ring {ring}, {target.name}: {', '.join(who[:SHOWN])}{more} (commit {commit[:12]})"
            found.append(codes.MEMBERS_MOVED.at(text))
    return found
