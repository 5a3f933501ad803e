# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, operation, snapshot and the protocol that every target implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject

PLAN_SCHEMA = "1.1"
JOURNAL_SCHEMA = "1.0"


@dataclass(frozen=True)
class Snapshot:
    """Live state of the objects that concern us on one target, canonical and without secrets.

    ``objects`` maps ``kind/name`` to a body in the shape of ``DesiredObject.body`` (plus ``owned``: bool and
    target-internal ids under ``internal``, which are not part of the hash). ``raw`` keeps the text a byte-exact undo
    needs. ``sha256`` is over the canonical objects and says whether live state moved since the plan.
    """

    target: str
    platform: str
    objects: Mapping[str, Any] = field(hash=False)
    sha256: str = ""
    raw: Mapping[str, str] = field(default_factory=dict, hash=False)
    taken_at: str = ""


@dataclass(frozen=True)
class Operation:
    """One step on one target. ``action``: create, update, delete, attach, detach, push.

    ``before`` and ``after`` are bodies (None where absent). ``phase`` orders steps over all targets: permits are added
    everywhere before anything is tightened (design.md section 5 item 10). ``effect`` tells the change of meaning:
    ``widens``, ``narrows``, ``both``, ``none``.
    """

    id: str
    target: str
    kind: str
    name: str
    action: str
    before: Mapping[str, Any] | None = field(hash=False)
    after: Mapping[str, Any] | None = field(hash=False)
    summary: str = ""
    diff: str = ""
    effect: str = "both"
    phase: int = 0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class OperationResult:
    """What an executed operation did: whether something was written, how many requests or lines, and its findings.

    ``report`` tells how far it got, part by part (a push: device by device), as plain values for results.
    """

    operation: str
    changed: bool
    writes: int = 0
    findings: tuple[Finding, ...] = ()
    undo: Mapping[str, Any] = field(default_factory=dict, hash=False)
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)


class ReportedError(FindingError):
    """An operation that failed, with what ``OperationResult.report`` would have held."""

    def __init__(self, report: Mapping[str, Any], *findings: Finding) -> None:
        super().__init__(*findings)
        self.report = dict(report)


class Target(Protocol):
    """A device or service that can be read, changed and put back. Implementations live in ``targets/``.

    Methods raise FindingError; a failed ``execute`` leaves the object as it was or says exactly what it left.
    """

    name: str
    platform: str

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return the live state of the desired objects and of all objects this collection owns there."""

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired, by meaning; empty where both mean the same. Pure."""

    def execute(self, operation: Operation) -> OperationResult:
        """Carry out one step: re-read, compare with ``before``, write, read back, prove equal to ``after``."""

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Check from a new connection that the target holds the desired objects and still can be managed."""

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Bring back ``before`` of an executed step, using what ``execute`` returned in ``undo``."""

    def close(self) -> None:
        """Release connections; never raises."""
