# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the deny evidence: who was refused what, where, by which entry, how often; and opens that nobody answered.

Denials are what devices logged, with their limits: rates, first packets, intervals. Their absence proves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_of_micros
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, kept, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import PROTOCOLS, port_name

KEY = (
    "source_hi", "source_lo", "target_hi", "target_lo", "protocol", "target_port", "platform", "point", "list", "entry", "source_sgt",
    "target_sgt",
)  # fmt: skip
MOST_ROWS = 10_000
NAMES = {number: name for name, number in PROTOCOLS.items()}

# A log that has grown since it was imported, or that two hosts keep, is two inputs: a message stands for as often as the one that has it
# most says. Messages that are alike in all that is kept, in one file, are several.
_SAME = ", ".join(f'"{name}"' for name in kept.DENIES if name not in ("input", "packets"))
ONCE = (
    f"SELECT {_SAME}, max(times) AS times, max(said) AS packets FROM ("
    f"SELECT {_SAME}, input, count(*) AS times, sum(packets)::BIGINT AS said FROM logged GROUP BY ALL) GROUP BY ALL"
)


def from_records(rows: Any) -> Any:
    """Return the denials that records of an exporter's flow-denied events are (NSEL)."""
    made = [
        {
            "time_us": row["start_us"],
            "packets": max(1, row["packets"]),
            "point": row["exporter"],
            "platform": "nsel",
            "list": "",
            "entry": "",
            "interface": "",
            "source_sgt": -1,
            "target_sgt": -1,
            "message": "flow denied",
            "input": row["source"],
            **{name: row[name] for name in kept.DENIES if name in row and name not in ("packets",)},
        }
        for row in rows.to_pylist()
    ]
    return kept.table_of("denies", made)


def deny_rows(
    data_dir: str | Path,
    since: str = "",
    until: str = "",
    client: str = "",
    server: str = "",
    protocol: str = "",
    port: int = 0,
    *,
    unanswered: bool = False,
    limit: int = MOST_ROWS,
) -> list[dict[str, Any]]:
    """Return denials summed for each source, target, service and entry, those with most packets first.

    ``client`` and ``server`` are the source's and the target's address or network. With ``unanswered``, TCP opens of the rollup that got
    no answer stand among them, as platform ``flow``: what dropped them, if anything did, is not known. Raises FindingError and ValueError.
    """
    conditions = ["true"]
    for text, side in ((client, "source"), (server, "target")):
        if text:
            conditions.append(address.range_sql(text, side))
    if protocol:
        conditions.append(f"protocol = {PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)}")
    if port:
        conditions.append(f"target_port = {int(port)}")
    key = ", ".join(f'"{name}"' for name in KEY)
    with store.connect() as connection:
        connection.register("logged", kept.read(data_dir, "denies", since or None, until or None))
        both = f"SELECT {key}, packets, times, time_us AS first_us, time_us AS last_us FROM ({ONCE})"
        if unanswered:
            connection.register("daily", store.rollup(data_dir, since or None, until or None))
            both += (
                " UNION ALL SELECT client_hi, client_lo, server_hi, server_lo, protocol, server_port, 'flow', '', '', '', -1, -1,"
                " flows - answered_flows, flows - answered_flows, first_us, last_us"
                " FROM daily WHERE class = 'unicast' AND protocol = 6 AND answered_flows < flows"
            )
        rows = (
            connection.sql(
                f"SELECT {key}, sum(packets)::BIGINT AS packets, sum(times)::BIGINT AS messages,"
                " min(first_us) AS first_us, max(last_us) AS last_us"
                f" FROM ({both}) WHERE {' AND '.join(conditions)} GROUP BY ALL ORDER BY packets DESC, {key} LIMIT {max(0, int(limit))}"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return [_plain(row) for row in rows]


def summary(data_dir: str | Path, since: str = "", until: str = "") -> list[dict[str, Any]]:
    """Return how many messages and packets each point and list has, in order."""
    with store.connect() as connection:
        connection.register("logged", kept.read(data_dir, "denies", since or None, until or None))
        rows = connection.sql(
            "SELECT platform, point, list, sum(times)::BIGINT AS messages, sum(packets)::BIGINT AS packets"
            f" FROM ({ONCE}) GROUP BY ALL ORDER BY ALL"
        ).to_arrow_table()
    return rows.to_pylist()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    target = row["target_hi"] is not None
    made: dict[str, Any] = {
        "source": address.text_of(row["source_hi"], row["source_lo"]),
        "target": address.text_of(row["target_hi"], row["target_lo"]) if target else "",
        "protocol": NAMES.get(row["protocol"], str(row["protocol"]) if row["protocol"] else "ip"),
        "service": port_name(row["protocol"], row["target_port"]),
        "first": iso_of_micros(row["first_us"]),
        "last": iso_of_micros(row["last_us"]),
    }
    for name in ("target_port", "packets", "messages", "platform", "point", "list", "entry"):
        made[name] = row[name]
    for name in ("source_sgt", "target_sgt"):
        if row[name] >= 0:
            made[name] = row[name]
    return made
