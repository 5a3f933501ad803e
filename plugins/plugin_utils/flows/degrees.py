# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many peer sockets each end of conversations has, for rule 5 of ``orientation.py``.

Most ends are clients' and have one, which decides nothing: what the smallest degree that speaks is compared with is twice the other end's.
They are left out by counting hashes first, so that only ends that share one are counted exactly.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import grouping

np = guarded("numpy")
pa = guarded("pyarrow")

# Conversations up to which degrees are counted in memory (about 150 octets each); the database counts more, and spills.
IN_MEMORY = 8_000_000
END = ("hi", "lo", "port")
COLUMNS = {"hi": "int64", "lo": "int64", "port": "int32", "protocol": "int16", "peers": "int64"}
# Sockets of ends that may have roles: no groups, no ICMP, no peers.
SOCKETS = "class = 'unicast' AND protocol NOT IN (1, 58) AND a_port <> b_port"


def count_degrees(connection: Any) -> None:
    """Make the relation ``counted_degrees`` (hi, lo, port, protocol, peers) of the relation ``direct``.

    Ends of one peer socket may be missing where ``past_servers`` does not know them.
    """
    count = connection.execute("SELECT count(*) FROM direct").fetchall()[0][0]
    if count > IN_MEMORY:
        connection.execute(
            f"""
            CREATE TABLE counted_degrees AS
            WITH sockets AS (SELECT DISTINCT a_hi, a_lo, a_port, b_hi, b_lo, b_port, protocol FROM direct WHERE {SOCKETS})
            SELECT hi, lo, port, protocol, sum(peers)::BIGINT AS peers FROM (
                SELECT a_hi AS hi, a_lo AS lo, a_port AS port, protocol, count(*) AS peers FROM sockets GROUP BY ALL
                UNION ALL
                SELECT b_hi, b_lo, b_port, protocol, count(*) FROM sockets GROUP BY ALL
            ) GROUP BY ALL
            """
        )
        return
    # Where the undecided have no such ends, nobody asks.
    asked = connection.execute(f"SELECT count(*) FROM direct WHERE method IS NULL AND {SOCKETS}").fetchall()[0][0]
    names = [f"{end}_{part}" for end in "ab" for part in END]
    rows = connection.sql(
        f"SELECT {', '.join(names)}, protocol FROM direct WHERE {SOCKETS} AND {asked} > 0"
    ).to_arrow_table()
    past = connection.sql("SELECT hi, lo, port, protocol FROM past_servers").to_arrow_table()
    connection.register("counted_degrees", _degrees(rows, past))


def _degrees(sockets: Any, past: Any) -> Any:
    """Return the degrees of an Arrow table of sockets; ``past`` has ends whose degree is wanted though it be 1."""
    known = [past.column(name).to_numpy() for name in END]
    sides = [tuple(sockets.column(f"{end}_{part}").to_numpy() for part in END) for end in "ab"]
    count, protocol = sockets.num_rows, sockets.column("protocol").to_numpy()
    # The known ends are coded with the others, as sockets of their own.
    both = [tuple(np.concatenate(pair) for pair in zip(side, known, strict=True)) for side in sides]
    ends = grouping.ends_of(both[0], both[1])
    numbers = np.concatenate((protocol, past.column("protocol").to_numpy())).astype(np.uint64) & np.uint64(0xFFFF)
    one, other = ((codes << np.uint64(16)) | numbers for codes in (ends.source, ends.target))
    known_keys, one, other = one[count:], one[:count], other[:count]
    # Several exporters, and conversations one after another, have the same pair of sockets.
    order, starts = grouping.groups((one, other))
    if len(starts) < count:
        one, other = one[order[starts]], other[order[starts]]
    keys = np.concatenate((one, other))
    bits = max(8, (4 * len(keys)).bit_length())
    shift = np.uint64(64 - bits)
    marks = (grouping.hashed((keys,)) >> shift).astype(np.int64)
    seen = np.bincount(marks, minlength=1 << bits)
    seen[(grouping.hashed((known_keys,)) >> shift).astype(np.int64)] += 1
    keys = keys[seen[marks] > 1]
    order, starts = grouping.groups((keys,))
    peers = np.diff(starts, append=len(order))
    first = keys[order[starts]]
    hi, lo, port = ends.columns(first >> np.uint64(16))
    made = {"hi": hi, "lo": lo, "port": port, "protocol": first & np.uint64(0xFFFF), "peers": peers}
    return pa.table({name: pa.array(made[name].astype(kind)) for name, kind in COLUMNS.items()})
