# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells with far fewer requests than cells, where this ISE lists them with their SGACLs (facts/ise.md section 1.7).

That list (3.4 patch 2) has source, destination and SGACLs of each cell; the status is known from the lists by status. The default
rule is in neither, but ISE shows it as a built-in at the end of the SGACLs (section 0 item 1). Whether this one does so in its list
is never taken for granted: some cell of the list must show it, and one cell of each form is compared with its own content. Where
that cannot be shown, or costs more, contents are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import (
    PAGE_SIZE,
    IseClient,
    NotFound,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_matrix import MATRICES
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_objects import BUILT_IN_TAILS

KIND = "egress_matrix_cell"
STATUSES = ("ENABLED", "MONITOR", "DISABLED")
# Requests beyond one for each page: the comparison of both forms, and a page that may be empty.
OVERHEAD = 3
Item = Mapping[str, Any]
Wire = dict[str, Any]


def cell_wires(
    client: IseClient,
    pool: ThreadPoolExecutor,
    matrix: str,
    items: Sequence[Item],
    sgacls: Mapping[str, str],
    keep: Callable[[Item], bool],
) -> Iterator[Wire]:
    """Yield the wire form of each cell to keep, as its own content has it.

    ``matrix`` is the id of the production matrix, empty where cells cannot be listed with their SGACLs; with it, ``items`` come
    from the lists by status and have ``status``. ``sgacls`` gives names by id. Cells of other matrices are left out.
    """
    chosen = {str(item["id"]): item for item in items if keep(item)}
    pages = -(-len(items) // PAGE_SIZE)
    if not matrix or len(chosen) <= pages + OVERHEAD:
        yield from _contents(client, pool, list(chosen), matrix)
        return
    seen: dict[str, int] = {}
    for item in items:
        seen[str(item["id"])] = seen.get(str(item["id"]), 0) + 1
    rows, shows_rules, unseen = _rows(client, pool, matrix, pages, chosen, seen, sgacls)
    derived = {
        identifier: _wire(chosen[identifier], row)
        for identifier, row in rows.items()
        if seen[identifier] == 1 and (shows_rules or _tail(row, sgacls))
    }
    if not _confirmed(client, pool, derived, sgacls, matrix):
        derived = {}
    yield from derived.values()
    # Cells that changed their status while the lists were read stand in two lists or in none.
    yield from _contents(client, pool, [each for each in chosen if each not in derived], matrix)
    yield from (wire for wire in _contents(client, pool, unseen, matrix) if keep(wire))


def _rows(
    client: IseClient,
    pool: ThreadPoolExecutor,
    matrix: str,
    pages: int,
    chosen: Mapping[str, Item],
    seen: Mapping[str, int],
    sgacls: Mapping[str, str],
) -> tuple[dict[str, Wire], bool, list[str]]:
    """Return the rows of the chosen cells, whether any row shows a default rule, and the ids that no list by status had."""
    path = f"{MATRICES}/{matrix}/cells"
    rows: dict[str, Wire] = {}
    unseen: list[str] = []
    shows_rules = False
    progress = Progress("reading cells", pages, "pages")
    read = 0
    for listed in pool.map(lambda page: client.open_api_page(path, page), range(1, pages + 1)):
        progress.step()
        read += len(listed)
        for row in listed:
            identifier = str(row.get("matrixCellUuid"))
            shows_rules = shows_rules or _tail(row, sgacls)
            if identifier in chosen:
                rows[identifier] = row
            elif identifier not in seen:
                unseen.append(identifier)
    if read and read == pages * PAGE_SIZE and len(rows) < len(chosen):
        for row in client.open_api_page(path, pages + 1):
            if str(row.get("matrixCellUuid")) in chosen:
                rows[str(row["matrixCellUuid"])] = row
    return rows, shows_rules, unseen


def _tail(row: Mapping[str, Any], sgacls: Mapping[str, str]) -> bool:
    lists: Sequence[Any] = row.get("sgacls") or ()
    return bool(lists) and sgacls.get(str(lists[-1]), "") in BUILT_IN_TAILS


def _wire(item: Item, row: Mapping[str, Any]) -> Wire:
    """Return a cell as its own content would have it; the default rule stands as the built-in at the end of the SGACLs."""
    return {
        "id": item["id"],
        "name": item["name"],
        "description": item["description"],
        "sourceSgtId": str(row.get("sourceSgtUuid")),
        "destinationSgtId": str(row.get("destinationSgtUuid")),
        "matrixCellStatus": item["status"],
        "sgacls": [str(each) for each in row.get("sgacls") or ()],
        "defaultRule": "NONE",
    }


def _confirmed(
    client: IseClient,
    pool: ThreadPoolExecutor,
    derived: Mapping[str, Wire],
    sgacls: Mapping[str, str],
    matrix: str,
) -> bool:
    """Return whether one cell with and one without a default rule are what their own contents say."""
    samples: dict[bool, str] = {}
    for identifier in sorted(derived):
        samples.setdefault(_tail(derived[identifier], sgacls), identifier)
    for wire in _contents(client, pool, list(samples.values()), matrix):
        if _meaning(wire, sgacls) != _meaning(derived[str(wire["id"])], sgacls):
            return False
    return True


def _meaning(wire: Mapping[str, Any], sgacls: Mapping[str, str]) -> tuple[Any, ...]:
    lists = [str(each) for each in wire.get("sgacls") or ()]
    rule = str(wire.get("defaultRule") or "NONE")
    if lists and sgacls.get(lists[-1]) in BUILT_IN_TAILS:
        rule = BUILT_IN_TAILS[sgacls[lists.pop()]]
    return (wire["sourceSgtId"], wire["destinationSgtId"], wire["matrixCellStatus"], lists, rule)


def _contents(client: IseClient, pool: ThreadPoolExecutor, ids: Sequence[str], matrix: str) -> Iterator[Wire]:
    """Yield the contents of cells, without those that are gone and those of other matrices."""
    progress = Progress("reading cells one by one", len(ids), "cells")

    def get(identifier: str) -> Wire | None:
        try:
            return client.get(KIND, identifier)
        except NotFound:
            return None

    for wire in pool.map(get, ids):
        progress.step()
        if wire is not None and (not matrix or str(wire.get("matrixId") or matrix) == matrix):
            yield wire
