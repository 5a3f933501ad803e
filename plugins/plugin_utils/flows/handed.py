# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of connection files that an import has just written, handed to the rollup, which would read them from their files otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS

OCTETS = 256_000_000


class Handed:
    """Arrow tables by file, in the order of its rows. Nothing is kept of a file that would take them beyond ``limit`` octets.

    ``whole`` has the columns of some of these files as arrays, which are the reader's to change.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit or OCTETS
        self._octets = 0
        self._tables: dict[Path, list[Any]] = {}
        self.whole: dict[Path, dict[str, Any]] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._tables

    def __getitem__(self, path: Path) -> list[Any]:
        return self._tables[path]

    def keep(self, path: Path, tables: Iterable[Any]) -> Iterator[Any]:
        """Yield the tables of a file, and keep them once all have been taken."""
        kept: list[Any] | None = []
        octets = 0
        for table in tables:
            if kept is not None:
                kept.append(table.select(list(CONNECTIONS)))
                octets += kept[-1].nbytes
                if self._octets + octets > self.limit:
                    kept = None
            yield table
        if kept:
            self._octets += octets
            self._tables[path] = kept
