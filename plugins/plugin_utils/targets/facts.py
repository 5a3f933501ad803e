# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading the facts of one host gives, and the choice of its reader."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.switch_facts import Section

Clock = Callable[[], float]


@dataclass(frozen=True)
class HostFacts:
    """The observations that one host gave, and what it did not give.

    ``counts`` has the number of rows by what was asked. ``infrastructure`` are MACs of switches and routers that the host
    knows as neighbours. ``software`` and ``transport`` are for people. ``findings`` name the host. ``switch``: sections
    about the host itself (docs/formats/switch-facts.md); ``configuration``: its configuration for keeping (devices.configuration).
    """

    name: str
    platform: str
    observations: tuple[Observation, ...] = ()
    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    infrastructure: frozenset[str] = frozenset()
    software: str = ""
    transport: str = ""
    configuration: str = field(default="", repr=False)
    switch: Mapping[str, Section] = field(default_factory=dict, hash=False)


def micros(clock: Clock = time.time) -> int:
    """Return the present moment in microseconds since 1970 UTC."""
    return int(clock() * 1_000_000)


def at_host(host: str, finding: Finding) -> Finding:
    """Return a finding that names its host."""
    return finding if host in finding.message else replace(finding, message=f"{host}: {finding.message}")
