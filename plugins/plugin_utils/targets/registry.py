# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs to connected targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Target
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.asa import AsaTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios import IosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_gate import LoginGates
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import OfflineIse
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nftables import NftablesTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.nxos import NxosTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec


def ise_client(spec: TargetSpec, gates: LoginGates | None = None) -> IseClient:
    """Return a client of ISE for a spec; nothing is sent yet. ``gates``: a login that fails is tried once among all that share them."""
    return IseClient(
        spec.url,
        spec.username,
        spec.password,
        version=spec.version,
        ca_file=spec.ca_file,
        client_certificate=spec.client_certificate,
        client_key=spec.client_key,
        proxy=spec.proxy,
        timeout=spec.timeout,
        rate=spec.rate,
        other_nodes=spec.other_urls,
        gates=gates,
    )


def make_target(spec: TargetSpec, gates: LoginGates | None = None) -> Target:
    """Return the target of a spec; it connects when it is first used."""
    if spec.platform == "ise" and spec.snapshot_file:
        return OfflineIse(
            spec.name,
            spec.snapshot_file,
            adopt=spec.adopt or spec.adopt_names,
            cascade=spec.cascade,
            delete=spec.delete,
            assignment_pause=spec.assignment_pause,
            version=spec.version,
        )
    if spec.platform == "ise":
        return IseTarget(
            spec.name,
            ise_client(spec, gates),
            adopt=spec.adopt or spec.adopt_names,
            cascade=spec.cascade,
            delete=spec.delete,
            assignment_pause=spec.assignment_pause,
        )
    if spec.platform == "ios":
        return IosTarget(spec)
    if spec.platform == "nxos":
        return NxosTarget(spec)
    if spec.platform == "asa":
        return AsaTarget(spec)
    return NftablesTarget(spec)


def connect(target_specs: Iterable[Mapping[str, Any]], faults: list[Finding] | None = None) -> dict[str, Target]:
    """Return targets by name. FindingError with all faults of all specs; the caller closes every target (``close_all``).

    With ``faults`` they are added there instead, and the targets that they are about are left out: the way back of one target does
    not wait for another's inventory variables.
    """
    made: dict[str, Target] = {}
    findings: list[Finding] = []
    gates = LoginGates()
    for values in target_specs:
        try:
            spec = TargetSpec.of(values)
            made[spec.name] = make_target(spec, gates)
        except FindingError as error:
            findings.extend(error.findings)
    if faults is not None:
        faults.extend(findings)
    elif findings:
        close_all(made)
        raise FindingError(*findings)
    return made


def close_all(targets: Mapping[str, Target]) -> None:
    """Close every target; never raises."""
    for target in targets.values():
        target.close()
