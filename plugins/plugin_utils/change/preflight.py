# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What targets say of themselves before a plan is made or carried out: the wrong node, a role without rights, a mode in the way."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target


def find_nodes(targets: Mapping[str, Target]) -> None:
    """Let targets with several nodes find the one that takes writes. What else they find does not stop the way back, nor do faults."""
    for target in targets.values():
        if len(getattr(getattr(target, "client", None), "nodes", ())) > 1:
            with contextlib.suppress(Exception):
                target.preflight(writing=False)  # type: ignore[attr-defined]


def preflight_all(targets: Mapping[str, Target], *, writing: bool, workers: int = 8) -> list[Finding]:
    """Return the warnings of all targets that have a ``preflight``; FindingError with all findings where one of them is an error."""
    asked = [getattr(targets[name], "preflight", None) for name in sorted(targets)]
    able = [each for each in asked if each is not None]
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(able)))) as pool:
        found = [finding for findings in pool.map(lambda each: each(writing=writing), able) for finding in findings]
    if errors_of(found):
        raise FindingError(*found)
    return found


def refusals(targets: Mapping[str, Target], names: Collection[str]) -> list[Finding]:
    """Return, as warnings, what would keep an apply from writing to the named targets: a plan may be made by a role that only reads."""
    found: list[Finding] = []
    for name in sorted(names):
        ask = getattr(targets.get(name), "may_write", None)
        with contextlib.suppress(FindingError):  # what else is wrong with the target stands in its snapshot
            found += ask() if ask is not None else ()
    return [replace(finding, severity="warning") for finding in found]
