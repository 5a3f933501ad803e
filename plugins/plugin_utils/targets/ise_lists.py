# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of ISE objects, their pages read side by side. A list that changes while it is read is read again, then refused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import PAGE_SIZE, IseClient

Item = dict[str, Any]
# What a list that shrinks or grows while it is read leads to: pages that are gone, or counts that do not add up.
MOVED = frozenset((codes.BAD_ANSWER.number, codes.REFUSED.number))


@dataclass(frozen=True)
class Walk:
    """One list: kind, filter as ISE writes it, and a note of the caller."""

    kind: str
    name_filter: str = ""
    note: str = ""


def walk_all(client: IseClient, pool: ThreadPoolExecutor, walks: Sequence[Walk], target: str) -> list[list[Item]]:
    """Return the items of each list: the first pages say how many there are, then all others are read side by side."""
    firsts = list(pool.map(lambda walk: client.page(walk.kind, 1, walk.name_filter), walks))
    more = [
        (number, page) for number, (total, _items) in enumerate(firsts) for page in range(2, -(-total // PAGE_SIZE) + 1)
    ]

    def read(place: tuple[int, int]) -> list[Item] | None:
        walk = walks[place[0]]
        try:
            return client.page(walk.kind, place[1], walk.name_filter)[1]
        except FindingError as error:
            if all(finding.code in MOVED for finding in error.findings):
                return None
            raise

    found = [{item["id"]: item for item in items} for _total, items in firsts]
    progress = Progress(f"{target}: reading lists", len(more), "pages")
    for (number, _page), items in zip(more, pool.map(read, more), strict=True):
        progress.step()
        found[number].update((item["id"], item) for item in items or ())
    return [
        list(items.values()) if len(items) == total else client.list_items(walk.kind, walk.name_filter)
        for walk, items, (total, _first) in zip(walks, found, firsts, strict=True)
    ]
