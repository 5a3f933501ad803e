# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ISE held at one moment, as a file (docs/formats/ise-snapshot.md), and a target that knows nothing else.

A plan can be made from it where ISE cannot be reached; nothing is ever written through it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import (
    Operation,
    OperationResult,
    Snapshot,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_diff import ise_operations
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sdk import ise_version

KIND = "ise_snapshot"
SCHEMA = "1.0"


def write_snapshot(
    path: str | Path, snapshot: Snapshot, facts: Mapping[str, Any], secrets: Collection[str] = ()
) -> None:
    """Write what was read, whole or not at all, readable by its owner only: it names lists and addresses. No credentials are in it."""
    content = {
        "kind": KIND,
        "schema_version": SCHEMA,
        "target": snapshot.target,
        "taken_at": snapshot.taken_at,
        "sha256": snapshot.sha256,
        "ise": dict(facts),
        "notes": dict(snapshot.raw),
        "objects": {key: dict(body) for key, body in sorted(snapshot.objects.items())},
    }
    write_json(path, redact(content, secrets), mode=0o600)


def read_snapshot(path: str | Path) -> Snapshot:
    """Return the snapshot of a file; FindingError where it is absent, newer than this version, damaged or edited (SW4314)."""
    content = read_document(path, KIND, int(SCHEMA.split(".", maxsplit=1)[0]))
    place = Location(str(path))
    objects, notes = content.get("objects"), content.get("notes", {})
    if not isinstance(objects, dict) or not all(isinstance(body, dict) for body in objects.values()):
        raise FindingError(codes.ISE_SNAPSHOT.at("it has no objects", place))
    if not isinstance(notes, dict) or _moment(content.get("taken_at")) is None:
        raise FindingError(codes.ISE_SNAPSHOT.at("it does not say when it was taken", place))
    if objects_sha256(objects) != content.get("sha256"):
        raise FindingError(codes.ISE_SNAPSHOT.at("its objects are not those that were written", place))
    return Snapshot(
        str(content.get("target", "")), "ise", objects, str(content["sha256"]), notes, str(content["taken_at"])
    )


def age_seconds(snapshot: Snapshot, now: datetime | None = None) -> float:
    """Return how old a snapshot is, in seconds."""
    taken = _moment(snapshot.taken_at)
    return ((now or datetime.now(UTC)) - taken).total_seconds() if taken is not None else 0.0


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class OfflineIse:
    """An ISE as its snapshot file says it is. Plans can be made from it; every write is refused."""

    platform = "ise"

    def __init__(
        self,
        name: str,
        path: str | Path,
        *,
        adopt: bool | Collection[str] = False,
        cascade: Collection[str] = (),
        delete: Collection[str] = (),
        assignment_pause: float = 1.0,
        version: str = "",
    ) -> None:
        self.name, self.path = name, Path(path)
        self.adopt = adopt if isinstance(adopt, bool) else frozenset(adopt)
        self.cascade, self.delete, self.assignment_pause = frozenset(cascade), frozenset(delete), assignment_pause
        self.version = ise_version(version) if version else None
        self._whole = read_snapshot(path)
        if self._whole.target != name:
            text = f"it was taken of {self._whole.target[:64]!r}, not of {name!r}"
            raise FindingError(codes.ISE_SNAPSHOT.at(text, Location(str(path))))

    def preflight(self, *, writing: bool) -> tuple[Finding, ...]:
        """Say how old the snapshot is; an error where something is to be written."""
        hours = age_seconds(self._whole) / 3600
        text = f"{self.name}: {self.path.name} was taken at {self._whole.taken_at}, {hours:.1f} hours ago"
        return ((codes.ISE_SNAPSHOT if writing else codes.ISE_OFFLINE).at(text),)

    def snapshot(self, desired: Sequence[DesiredObject]) -> Snapshot:
        """Return what reading the ISE itself would: desired objects that exist, ours, and SGTs that hold a wanted value."""
        wanted = {f"{item.kind}/{item.name}" for item in desired}
        values = {
            item.body.get("value")
            for item in desired
            if item.kind == "sgt" and f"sgt/{item.name}" not in self._whole.objects
        }
        objects = {
            key: body
            for key, body in self._whole.objects.items()
            if key in wanted or body.get("owned") or (key.startswith("sgt/") and body.get("value") in values)
        }
        return Snapshot(
            self.name, self.platform, objects, objects_sha256(objects), self._whole.raw, self._whole.taken_at
        )

    def diff(self, desired: Sequence[DesiredObject], live: Snapshot) -> tuple[Operation, ...]:
        """Return the ordered steps from live to desired; see the protocol."""
        return ise_operations(
            self.name,
            desired,
            live,
            adopt=self.adopt,
            cascade=self.cascade,
            delete=self.delete,
            pause=self.assignment_pause,
            old_push=self.version is not None and not self.version.pushes_with_report,
        )

    def execute(self, operation: Operation) -> OperationResult:
        """Refuse; see the class."""
        raise FindingError(codes.ISE_SNAPSHOT.at(f"{self.name}: nothing is written through {self.path.name}"))

    def undo(self, operation: Operation, result: Mapping[str, Any]) -> OperationResult:
        """Refuse; see the class."""
        return self.execute(operation)

    def confirm(self, desired: Sequence[DesiredObject]) -> tuple[Finding, ...]:
        """Say that a file confirms nothing."""
        return (codes.ISE_SNAPSHOT.at(f"{self.name}: {self.path.name} cannot confirm anything"),)

    def close(self) -> None:
        """Do nothing: no connection was opened."""
