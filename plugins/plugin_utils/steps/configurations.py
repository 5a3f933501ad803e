# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations as they were read, held against the known-good ones that somebody signed (docs/devices-configuration.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import TrustedKeys, signed_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes, switch_facts
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.configuration import deviation, host_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.fleet import side_by_side

NAMESPACE = "segwright-configuration"
SHOWN = 100


@dataclass(frozen=True)
class Compared:
    """What came of the comparisons: by switch who signed and which lines differ, and findings."""

    deviations: Mapping[str, dict[str, Any]]
    findings: tuple[Finding, ...]


def keep(data_dir: str | Path, configurations: Mapping[str, str]) -> list[Finding]:
    """Write each configuration to ``<data>/switches/NAME.cfg``, readable by its owner only; a finding for each that cannot be written."""

    def write(item: tuple[str, str]) -> list[Finding]:
        host, text = item
        try:
            if HOST_NAME.match(host):
                write_atomic(switch_facts.folder_of(data_dir) / f"{host}.cfg", text, 0o600)
        except OSError as error:
            return [codes.SWITCH_FACTS_DAMAGED.at(f"{host}: not written: {error.strerror}")]
        return []

    return [finding for found in side_by_side(write, sorted(configurations.items())) for finding in found]


def compared(configurations: Mapping[str, str], baseline_dir: str | Path, keys: TrustedKeys) -> Compared:
    """Return how configurations differ from ``NAME.cfg`` in a directory, each with its signature ``NAME.cfg.sig``.

    A known-good state counts only where a trusted key signed it and its first line names the same switch.
    """
    found: dict[str, dict[str, Any]] = {}
    findings: list[Finding] = []
    for host, text in sorted(configurations.items()):
        if not HOST_NAME.match(host):
            continue
        path = Path(baseline_dir).expanduser() / f"{host}.cfg"
        if not path.is_file():
            findings.append(codes.BASELINE_MISSING.at(host, Location(str(path))))
            continue
        try:
            content, signer = signed_file(path, NAMESPACE, keys)
            good = content.decode("utf-8")
        except FindingError as error:
            findings.append(codes.BASELINE_REFUSED.at(f"{host}: {error.findings[0].message}", Location(str(path))))
            continue
        except UnicodeDecodeError:
            findings.append(codes.BASELINE_REFUSED.at(f"{host}: it is not UTF-8", Location(str(path))))
            continue
        if host_of(good) != host:
            named = host_of(good)[:60] or "none"
            findings.append(
                codes.BASELINE_REFUSED.at(f"{host}: it names another switch ({named})", Location(str(path)))
            )
            continue
        differs = deviation(good, text)
        found[host] = {
            "equal": differs.equal,
            "signed_by": signer,
            "added": list(differs.added[:SHOWN]),
            "missing": list(differs.missing[:SHOWN]),
            "lines": len(differs.added) + len(differs.missing),
        }
        if not differs.equal:
            count = f"{len(differs.added)} lines more and {len(differs.missing)} fewer than {signer} signed"
            first = next(iter((*differs.missing, *differs.added)))[:120]
            findings.append(codes.CONFIGURATION_DEVIATES.at(f"{host}: {count}; first: {first}", Location(str(path))))
    return Compared(found, tuple(findings))
