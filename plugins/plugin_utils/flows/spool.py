# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener's spool: finished files are imported one after the other while the next is written, and removed once they count."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, ingest

RETRY_SECONDS = 0.5
# How long the last files wait for another process that writes to the store.
LONGEST_WAIT_SECONDS = 60.0


class SpoolImporter:
    """Imports files of the spool in a thread of its own. What cannot be imported stays there for the next start (``recover``)."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self._waiting: deque[tuple[Path, int]] = deque()
        self._octets = 0
        self._made: list[ingest.IngestResult] = []
        self._error: BaseException | None = None
        self._deadline: float | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def take(self, path: Path, octets: int) -> None:
        """Take a file; returns at once."""
        with self._changed:
            self._waiting.append((path, octets))
            self._octets += octets
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
            self._thread.start()

    def waiting(self) -> int:
        """Return how many octets are not imported yet."""
        return self._octets

    def finish(self) -> list[ingest.IngestResult]:
        """Wait for the last import and return what all of them did; raises what stopped one."""
        if self._thread is not None:
            with self._changed:
                self._deadline = time.monotonic() + LONGEST_WAIT_SECONDS
                self._changed.notify()
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._waiting and self._deadline is None:
                        self._changed.wait()
                    if not self._waiting:
                        return
                    path, octets = self._waiting[0]
                self._made.append(self._import(path))
                path.unlink(missing_ok=True)
                with self._changed:
                    self._waiting.popleft()
                    self._octets -= octets
        except BaseException as error:
            # Told by finish, in the caller's thread.
            self._error = error

    def _import(self, path: Path) -> ingest.IngestResult:
        while True:
            try:
                return import_spooled(path, self._values)
            except FindingError as error:
                busy = all(each.code == codes.STORE_BUSY.number for each in error.findings)
                if not busy or (self._deadline is not None and time.monotonic() > self._deadline):
                    raise
            time.sleep(RETRY_SECONDS)


def import_spooled(path: Path, values: dict[str, Any]) -> ingest.IngestResult:
    """Import a file of the spool."""
    return ingest.ingest(
        [path],
        values["data_dir"],
        kind="export_pcap",
        exporter=values.get("exporter") or "",
        hints=values.get("hints"),
    )


def recover(spool: Path, values: dict[str, Any]) -> list[ingest.IngestResult]:
    """Import what listeners that were killed had written and return what was done; a spool whose process is at work is left to it."""
    made = []
    for path in sorted(spool.glob("listen-*.pcap")):
        owner = path.stem.split("-")[1]
        if owner.isdigit() and Path(f"/proc/{owner}").exists() and int(owner) != os.getpid():
            continue
        if path.stat().st_size:
            made.append(import_spooled(path, values))
        path.unlink(missing_ok=True)
    return made
