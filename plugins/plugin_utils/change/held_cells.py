# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches hold of the egress matrix, against the approved cells, by meaning. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.meaning import content_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredTarget

ENDS = {"DENY_IP": "deny ip", "PERMIT_IP": "permit ip"}


class HeldCell(Protocol):
    """A cell as a switch shows it (targets/ios_enforced.py)."""

    @property
    def source(self) -> int:
        """Tag of the source group."""

    @property
    def destination(self) -> int:
        """Tag of the destination group."""

    @property
    def text(self) -> str:
        """Entries of its lists in order."""

    @property
    def monitored(self) -> bool:
        """Whether it counts and forwards."""

    @property
    def configured(self) -> bool:
        """Whether it was typed on the switch."""

    @property
    def unread(self) -> str:
        """Lists that could not be read."""


@dataclass(frozen=True)
class ApprovedCell:
    """A cell as approved: tags, name, the text of its lists in order with its end, and whether it is only monitored."""

    target: str
    name: str
    pair: tuple[int, int]
    text: str
    monitored: bool


def approved_cells(desired: Iterable[DesiredTarget]) -> dict[tuple[int, int], ApprovedCell]:
    """Return the cells of the policy by tags, but those that are DISABLED."""
    found: dict[tuple[int, int], ApprovedCell] = {}
    for target in desired:
        bodies = {(item.kind, item.name): item.body for item in target.objects}
        for (kind, name), body in bodies.items():
            if kind != "egress_matrix_cell" or body["status"] == "DISABLED":
                continue
            ends = [bodies.get(("sgt", str(body[side])), {}).get("value") for side in ("source", "destination")]
            if any(not isinstance(value, int) for value in ends):
                continue
            texts = [str(bodies.get(("sgacl", each), {}).get("content", "")) for each in body["sgacls"]]
            texts += [ENDS[body["default_rule"]]] if body["default_rule"] in ENDS else []
            pair = (int(ends[0] or 0), int(ends[1] or 0))
            text = "\n".join(part.strip() for part in texts if part)
            found[pair] = ApprovedCell(target.host, name, pair, text, body["status"] == "MONITOR")
    return found


def held_cells(
    approved: Mapping[tuple[int, int], ApprovedCell], switches: Mapping[str, Sequence[HeldCell]]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return one row for each approved cell and switch that holds it, and findings for what differs or is held nowhere.

    ``switches`` are those that were read, by name.
    """
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    seen: set[tuple[int, int]] = set()
    for switch, cells in sorted(switches.items()):
        for cell in cells:
            wanted = approved.get((cell.source, cell.destination))
            if wanted is None:
                continue
            seen.add(wanted.pair)
            fault = _fault(wanted, cell)
            rows.append(
                {
                    "target": wanted.target,
                    "cell": wanted.name,
                    "switch": switch,
                    "equal": not fault,
                    "difference": fault,
                }
            )
            if fault:
                findings.append(_differs(switch, wanted.name, fault))
    missing = [cell.name for pair, cell in sorted(approved.items()) if pair not in seen]
    if missing and switches:
        text = f"none of {len(switches)} switches that were asked holds {', '.join(missing[:10])}"
        findings.append(codes.CELL_ABSENT.at(text + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")))
    return rows, findings


def not_looked_at(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], read: Collection[str]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return the rows of a look that differ and that a later look says nothing of, with their findings: they are not mended.

    ``read`` are the switches whose cells the later look read whole; there a cell without a row is held no longer.
    """
    known = {(row["cell"], row["switch"]) for row in after}
    rows = [
        dict(row)
        for row in before
        if not row["equal"] and row["switch"] not in read and (row["cell"], row["switch"]) not in known
    ]
    return rows, [_differs(row["switch"], row["cell"], row["difference"]) for row in rows]


def _differs(switch: str, cell: str, fault: str) -> Finding:
    return codes.CELL_DIFFERS.at(f"{switch}: cell {cell}: {fault}")


def _fault(wanted: ApprovedCell, cell: HeldCell) -> str:
    if cell.configured:
        return "it is typed on the switch, not downloaded from ISE"
    if cell.unread:
        return f"the lists {cell.unread} could not be read"
    if cell.monitored != wanted.monitored:
        return "it is only monitored" if cell.monitored else "it is enforced and shall only be monitored"
    return content_difference("sgacl", cell.text, wanted.text).text
