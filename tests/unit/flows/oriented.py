# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations and their directions as plain rows, for comparing them with what others say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import signs
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.conversations import NEVER, Conversations
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import HeldRecords
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import Orientation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.stitching import Silences, stitch


def whole_rows(found: Conversations) -> list[dict[str, Any]]:
    """Return one row for each conversation; what an end that never spoke has of times is None, and its signs are spelled out."""
    rows = pa.table(found.wholes).to_pylist()
    for row in rows:
        row["exporter"] = found.names["exporter"][row["exporter"]]
        for place, end in enumerate("ab"):
            for name in ("start", "place"):
                row[f"{end}_{name}"] = (
                    None if row[f"{end}_start"] is None or row[f"{end}_{name}"] == NEVER else row[f"{end}_{name}"]
                )
            row[f"{end}_flags"] = row["signs"] >> (place * signs.FLAG_BITS) & signs.FLAGS
            for name in ("pure", "syn_ack", "broadcasts", "opened", "answers"):
                row[f"{end}_{name}"] = bool(row["signs"] >> (signs.PAIRS[name] + place) & 1)
    return rows


def part_rows(found: Conversations) -> list[dict[str, Any]]:
    """Return one row for each day of each conversation; ``number`` is its place among the conversations."""
    rows = pa.table({**found.parts, "number": found.whole_of}).to_pylist()
    for row in rows:
        row["source"] = found.names["source"][row["source"]]
    return rows


def oriented_rows(tables: Iterable[Any], silences: Silences | None = None) -> list[dict[str, Any]]:
    """Return the oriented conversations of tables of records, which have to be few."""
    held = HeldRecords()
    for table in tables:
        held.add(table)
    found = list(stitch(held, silences))
    orientation = Orientation(expected=held.count)
    for each in found:
        orientation.add(each.wholes)
    made = []
    for each, told in zip(found, orientation.directions(), strict=True):
        columns = (told.a_is_client, told.method, told.confidence, told.kind)
        for row, client, method, sure, kind in zip(whole_rows(each), *(one.tolist() for one in columns), strict=True):
            made.append({**row, "a_is_client": client, "method": method, "confidence": sure, "class": CLASSES[kind]})
    return made
