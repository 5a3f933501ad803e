# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a switch learns which sessions it has and what the policy server downloads to it.

sessions(): one dict a session: mac, ip, interface, vlan, dacl (name with suffix, or None), dacl_lines, sgt (int or
None), sgt_name, status ("Authorized" or "Unauthorized"), method ("mab" or "dot1x"); optional device (host name of the
switch; without it the switch's own host table decides by MAC), user_name, domain, ipv6.
cts_cells(): one dict a cell: source, destination (int, -1 or "unknown", "default" for the default policy in both),
optional device (only this switch holds it),
source_name, destination_name, sgacls: [{name (with its generation, NAME-01), ip_version ("IPV4", "IPV6",
"IP_AGNOSTIC"), lines}], status ("ENABLED", "MONITOR", "DISABLED"), default_rule ("NONE", "PERMIT_IP", "DENY_IP").
sgts(): tag -> name.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Sequence
from typing import Any, Protocol

Data = dict[str, Any]


class Provider(Protocol):
    """What the fleet asks; revision changes whenever an answer may have."""

    revision: int

    def sessions(self) -> list[Data]: ...

    def cts_cells(self) -> list[Data]: ...

    def sgts(self) -> dict[int, str]: ...


class StaticProvider:
    """Holds what it is given; set() replaces it."""

    def __init__(
        self,
        sessions: Sequence[Data] = (),
        cells: Sequence[Data] = (),
        sgts: dict[int, str] | None = None,
    ) -> None:
        self.revision = 0
        self._sessions, self._cells, self._sgts = list(sessions), list(cells), dict(sgts or {})

    def set(
        self, sessions: list[Data] | None = None, cells: list[Data] | None = None, sgts: dict[int, str] | None = None
    ) -> None:
        """Replace the parts that are given."""
        if sessions is not None:
            self._sessions = list(sessions)
        if cells is not None:
            self._cells = list(cells)
        if sgts is not None:
            self._sgts = dict(sgts)
        self.revision += 1

    def sessions(self) -> list[Data]:
        return self._sessions

    def cts_cells(self) -> list[Data]:
        return self._cells

    def sgts(self) -> dict[int, str]:
        return self._sgts


class HttpProvider(StaticProvider):
    """Polls a URL that answers {"sessions": [...], "cts_cells": [...], "sgts": {"10": "name"}} (no proxy is used)."""

    def __init__(self, url: str, seconds: float = 0.5, timeout: float = 5.0) -> None:
        super().__init__()
        self.url, self.seconds, self.timeout = url, seconds, timeout
        self.error: str | None = "not polled yet"
        self._last = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def poll(self) -> bool:
        """Ask once; True when the answer differs from the last one."""
        try:
            with self._opener.open(self.url, timeout=self.timeout) as answer:
                raw = answer.read()
            data = json.loads(raw)
        except (OSError, ValueError) as error:
            self.error = str(error)
            return False
        self.error = None
        if raw == self._last:
            return False
        self._last = raw
        names = {int(tag): name for tag, name in data.get("sgts", {}).items()}
        self.set(data.get("sessions", []), data.get("cts_cells", []), names)
        return True

    def start(self) -> None:
        """Poll in a thread of its own until stop(), at once again after a change: so the other side knows it is held."""
        self.poll()
        self._thread = threading.Thread(target=self._run, name="iosxe-provider", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self.timeout)

    def _run(self) -> None:
        changed = True
        while not self._stop.wait(0.0 if changed else self.seconds):
            changed = self.poll()
