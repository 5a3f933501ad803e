# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of a run: which hosts, how to reach them, connected for the time of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import platform_of, target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import connect

# Files that are flushed to disk at a time: a thousand one after another wait for the disk a thousand times.
WRITERS = 16
Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what work that waits for the disk gives for each item, in their order; the first error is raised."""
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, items))


def run_hosts(values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """Return the hosts of this run: the argument ``targets``, else the play's hosts within ``--limit`` and the batch."""
    named = values.get("targets")
    hosts = (
        list(named) if named else list(variables.get("ansible_play_batch") or variables.get("ansible_play_hosts") or ())
    )
    hostvars = variables.get("hostvars") or {}
    unknown = [host for host in hosts if host not in hostvars]
    if unknown:
        raise FindingError(codes.NO_TARGET.at(f"the inventory has no host {', '.join(unknown)}"))
    return [host for host in hosts if named or platform_of(hostvars[host])]


@contextmanager
def connected(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    needed: Sequence[str] | None,
    faults: list[Finding] | None = None,
) -> Iterator[dict[str, Target]]:
    """Yield the targets of this run that are needed (all of them where ``needed`` is None), and close them in any case.

    With ``faults`` (the way back) hosts that cannot be connected as the inventory describes them are told there and left out.
    """
    hosts = [host for host in run_hosts(values, variables) if needed is None or host in needed]
    specs = []
    for host in hosts:
        try:
            specs += target_specs(variables.get("hostvars") or {}, [host])
        except (FindingError, ValueError) as error:
            if faults is None:
                raise
            faults += error.findings if isinstance(error, FindingError) else [codes.NO_TARGET.at(f"{host}: {error}")]
    files = {str(host): str(path) for host, path in (values.get("ise_snapshots") or {}).items()}
    unknown = sorted(set(files) - {spec["name"] for spec in specs if spec["platform"] == "ise"})
    if unknown:
        raise FindingError(codes.NO_TARGET.at(f"ise_snapshots: {', '.join(unknown)} is no ISE of this run"))
    targets = connect([{**spec, "snapshot_file": files.get(spec["name"], "")} for spec in specs], faults)
    try:
        yield targets
    finally:
        for target in targets.values():
            target.close()


def hosts_of(desired: Sequence[DesiredTarget]) -> list[str]:
    """Return the hosts that the policy writes to."""
    return sorted({item.host for item in desired})
