# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register with what its devices are, by the shipped rules and those beside the policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, errors_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import Document, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.decide import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import (
    Classification,
    RuleBase,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.rules import shipped, with_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Register
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import ProposalSettings, with_types
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings

NAME = "classification.yml"


@dataclass(frozen=True)
class Classified:
    """A register, its document with ``device_type`` and ``device_family`` as facts, and each device's classification by id."""

    register: Register
    document: Mapping[str, Any]
    classified: Mapping[str, Classification]
    base: RuleBase
    settings: ProposalSettings
    findings: tuple[Finding, ...] = ()


def site_document(policy_dir: str | Path) -> tuple[Document | None, list[Finding]]:
    """Return classification.yml of a policy directory, None where there is none or it cannot be used, and what is wrong with it."""
    path = Path(policy_dir) / NAME
    if not path.is_file():
        return None, []
    document = load_yaml(path, NAME)
    found = schema_findings("classification", document)
    return (None, found) if errors_of(found) else (document, found)


def rule_base_of(document: Document | None) -> tuple[RuleBase, list[Finding]]:
    """Return the shipped rules with a site's on top."""
    return with_site(shipped(), document)


def classified_register(data_dir: str | Path, document: Document | None) -> Classified:
    """Return the register of a data directory, classified; ``document`` is the site's classification.yml or None."""
    base, faults = rule_base_of(document)
    return classify(storage.read(data_dir), base, document, faults)


def classify(register: Register, base: RuleBase, document: Document | None, faults: list[Finding]) -> Classified:
    """Return a register, classified."""
    classified = Classifier(base).all_of(register)
    typed = with_types(storage.as_document(register), classified, base.types)
    settings = ProposalSettings.of((document.value.get("proposals") if document else None) or {})
    return Classified(register, typed, classified, base, settings, tuple(faults))
