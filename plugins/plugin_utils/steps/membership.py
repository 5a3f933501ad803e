# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain one device: which segments' queries it fulfils, by which facts, and in which segment the committed lock has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import find_device
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.membership import explain_device
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.explain import run_explain


def run_explain_any(values: dict[str, Any], variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Explain a device where one is named, else the conversation between client and server; FindingError for neither or both."""
    ends = [name for name in ("client", "server") if values.get(name)]
    if values.get("device"):
        if ends:
            raise FindingError(
                codes.BAD_ARGUMENT.at(f"device: give it alone, or without it client and server, not {ends[0]} as well")
            )
        return run_explain_device(values)
    if len(ends) < 2:
        raise FindingError(codes.BAD_ARGUMENT.at("give client and server, or a device alone"))
    return run_explain(values, variables)


def run_explain_device(values: dict[str, Any]) -> dict[str, Any]:
    """Return why a device is in its segment: each segment's query with what it found in the register, those that hold first.

    The register is that of the data directory; the lock is what lists are made from. Where the two differ the summary says so.
    """
    paths, device = paths_of(values), str(values["device"])
    loaded = load_checked(paths.policy, today_of(values))
    if loaded.site is None:
        raise FindingError(*errors_of(loaded.findings))
    site = loaded.site
    locked = find_device(site, device)
    if not paths.register.exists():
        raise FindingError(codes.NO_REGISTER.at(f"{paths.register} does not exist"))
    register = read_document(paths.register, "register", 1)
    found = explain_device(site.segments.values(), register, device)
    if not found and locked is not None:  # the lock may know it by another name
        found = explain_device(site.segments.values(), register, locked[1].device)
    if not found and locked is None:
        raise FindingError(codes.END_UNKNOWN.at(f"{device[:80]!r} is neither in the register nor in the membership"))
    holding = [item.segment for item in found if item.holds]
    segment = locked[0] if locked else ""
    return {
        "changed": False,
        "segment": segment,
        "fulfils": holding,
        "memberships": [
            {"segment": item.segment, "holds": item.holds, "lines": list(item.lines)}
            for item in sorted(found, key=lambda item: (not item.holds, item.segment))
        ],
        "summary": _summary(device, segment, holding, bool(found)),
    }


def _summary(device: str, segment: str, holding: list[str], known: bool) -> str:
    text = (
        f"{device}: the membership has it in segment {segment}"
        if segment
        else f"{device}: the membership has it nowhere"
    )
    if not known:
        return f"{text}; the register does not know it any more"
    if len(holding) > 1:
        return (
            f"{text}; the register fulfils the queries of {', '.join(holding)}, so that it is in none of them (SW2208)"
        )
    now = holding[0] if holding else ""
    if now == segment:
        return f"{text}, and the register agrees"
    return f"{text}; by the register it is in {now or 'none'}: run propose and review the change of membership"
