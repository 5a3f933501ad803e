# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the device report of ISE says about a push, device by device. Pure (facts/ise.md section 1.7).

A device is confirmed where its row is newer than what stood there before our push and ends in UPDATE_SUCCESS. Everything else
is named by what it is, with what to do next: a device that was not confirmed may still enforce the old matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

CONFIRMED, REFUSED, NO_ANSWER, FAILED, TIMED_OUT, WAITING, OLD = (
    "confirmed", "refused", "no_answer", "failed", "timed_out", "waiting", "not_reported",
)  # fmt: skip
SUCCESS = frozenset(("UPDATE_SUCCESS", "REPORT_VALIDATION_SUCCESS", "REPORT_VALIDATION_WARNING"))
_ENDINGS = {
    "COA_NACK": REFUSED,
    "COA_TIMED_OUT": NO_ANSWER,
    "UPDATE_ERROR": FAILED,
    "UPDATE_TIMED_OUT": FAILED,
    "ENV_REQUEST_FAILED": FAILED,
    "REPORT_VALIDATION_ERROR": FAILED,
}
FINAL = frozenset((CONFIRMED, REFUSED, NO_ANSWER, FAILED))
NEXT = {
    CONFIRMED: "nothing to do",
    REFUSED: "check on the switch that ISE's address and key stand under 'aaa server radius dynamic-author', then apply again",
    NO_ANSWER: "check that the switch is up and that CoA (UDP 1700) from ISE reaches it, then apply again",
    FAILED: "read 'show cts policy sgt' and the log of the switch for why it did not take the download, then apply again",
    TIMED_OUT: "it took the CoA but did not finish; run verify in some minutes, then apply again where it still differs",
    OLD: "nothing of this push was reported; check that the device has TrustSec settings in ISE, then apply again",
}
_CODES: Mapping[str, Code] = {
    REFUSED: codes.PUSH_REFUSED,
    NO_ANSWER: codes.PUSH_NO_ANSWER,
    FAILED: codes.PUSH_DOWNLOAD_FAILED,
    TIMED_OUT: codes.PUSH_TIMED_OUT,
    OLD: codes.PUSH_NOT_REPORTED,
}


@dataclass(frozen=True)
class DevicePush:
    """How far a push got on one network device. ``outcome``: confirmed, refused, no_answer, failed, timed_out, waiting, not_reported."""

    device: str
    outcome: str
    state: str = ""
    status: str = ""
    updated: str = ""
    push: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return plain values for a result, with what to do next."""
        return {
            "device": self.device,
            "outcome": self.outcome,
            "state": self.state,
            "status": self.status,
            "status_updated": self.updated,
            "push_id": self.push,
            "next": NEXT.get(self.outcome, ""),
        }


Baseline = Mapping[str, tuple[str, str]]


def baseline_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return push id and time of status by device, as they stood before a push."""
    return {_name(row): (str(row.get("pushId") or ""), str(row.get("statusUpdatedTime") or "")) for row in rows}


def device_pushes(rows: Iterable[Mapping[str, Any]], push: str, before: Baseline) -> list[DevicePush]:
    """Return one entry for each device of the report, by name.

    A row counts where it bears the push's id or a later one, or, where ISE gave no id, where it is newer than ``before``.
    """
    found = []
    for row in rows:
        identifier, updated = str(row.get("pushId") or ""), str(row.get("statusUpdatedTime") or "")
        state, status = str(row.get("state") or ""), str(row.get("status") or "")
        name = _name(row)
        if not _ours(identifier, updated, push, before.get(name, ("", ""))):
            found.append(DevicePush(name, OLD, state, status, updated, identifier))
            continue
        outcome = CONFIRMED if status in SUCCESS else _ENDINGS.get(status, FAILED if state == "COA_ERROR" else WAITING)
        found.append(DevicePush(name, outcome, state, status, updated, identifier))
    return sorted(found, key=lambda item: item.device)


@dataclass(frozen=True)
class Concerned:
    """The devices that a push is for: ``only`` these (None: all of the report) and not ``others``, by name."""

    only: frozenset[str] | None = None
    others: frozenset[str] = frozenset()


def of_matrix(devices: Iterable[DevicePush], concerned: Concerned, *, reported: bool = True) -> list[DevicePush]:
    """Return the devices that a push is for, and whatever reports one of a named matrix all the same (``reported``).

    The report names the devices of all matrices: who waited for those of other ones would wait in vain and call a whole push partial.
    """
    only = concerned.only
    return [
        item
        for item in devices
        if item.device not in concerned.others
        and (only is None or item.device in only or (reported and item.outcome != OLD))
    ]


def settled(devices: Sequence[DevicePush]) -> bool:
    """Return whether waiting longer can tell nothing more."""
    return all(item.outcome in FINAL for item in devices)


def timed_out(devices: Iterable[DevicePush]) -> list[DevicePush]:
    """Return the devices with what has not ended counted as timed out."""
    return [
        DevicePush(item.device, TIMED_OUT, item.state, item.status, item.updated, item.push)
        if item.outcome == WAITING
        else item
        for item in devices
    ]


def confirmed_now(rows: Iterable[Mapping[str, Any]]) -> list[DevicePush]:
    """Return the devices as the report has them, where there was nothing to push: one whose last push failed is not confirmed."""
    return timed_out(device_pushes(rows, "", {}))


def push_findings(target: str, devices: Sequence[DevicePush]) -> list[Finding]:
    """Return a finding for each device that is not confirmed and one that sums up; nothing where all are."""
    open_ones = [item for item in devices if item.outcome != CONFIRMED]
    if not open_ones:
        return []
    findings = [
        _CODES[item.outcome].at(
            f"{target}: device {item.device}: {item.state or 'no state'} {item.status or 'no status'}"
            + (f" at {item.updated}" if item.updated else ""),
            hint=NEXT[item.outcome],
        )
        for item in open_ones
    ]
    done = len(devices) - len(open_ones)
    how = "partially confirmed" if done else "confirmed by none"
    names = ", ".join(f"{item.device} ({item.outcome})" for item in open_ones[:20])
    text = f"{target}: the push is {how}: {done} of {len(devices)} devices; not: {names}"
    return [
        *findings,
        codes.PUSH_FAILED.at(
            text, hint="mend the devices named, then apply the same plan again: it owes only the push"
        ),
    ]


def progress_line(target: str, devices: Sequence[DevicePush], waited: float) -> str:
    """Return one line about a push that is under way."""
    counts: dict[str, int] = {}
    for item in devices:
        counts[item.outcome] = counts.get(item.outcome, 0) + 1
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"{target}: push after {waited:.0f} s: {shown or 'no device reported yet'}"


def _ours(identifier: str, updated: str, push: str, before: tuple[str, str]) -> bool:
    if push and identifier:
        if identifier == push:
            return True
        return identifier.isdigit() and push.isdigit() and int(identifier) > int(push)
    return (identifier, updated) != before


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("name") or row.get("ipAddress") or "?")
