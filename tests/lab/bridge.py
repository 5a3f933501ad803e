# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the emulated ISE to the emulated switches: what a switch would learn by RADIUS and by its TrustSec downloads.

Sessions carry what was applied at their last authentication, and cells are those of the last push a switch took, so a
change in ISE alone changes nothing on a switch: exactly the trap that verification has to see. ISE reports a push as
done only when the switches polled again after an answer with its cells, so when they hold them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Call = Callable[[str, str], Any]


class SwitchView:
    """Builds the answer that the switches poll; asks ISE for matrices only when something changed."""

    def __init__(self, call: Call, switches: dict[str, str]) -> None:
        """``call(method, path)`` asks ISE's control channel; ``switches`` maps a NAS address to a switch's name."""
        self._call = call
        self._switches = switches
        self._key: object = None
        self._matrices: dict[str, Any] = {}
        self._handed: dict[str, str] = {}
        self._sgts: dict[str, str] = {}
        self._lock = threading.Lock()

    def build(self) -> dict[str, Any]:
        """The whole view. Raises OSError when ISE does not answer."""
        with self._lock:
            for name, push in self._handed.items():
                self._call("PUT", f"/devices/{name}/held/{push}")
            self._handed = {}
            sessions = self._call("GET", "/sessions")
            report = self._call("GET", "/devices")
            changes = self._call("GET", "/changes?since=1000000000")
            key = (changes.get("last"), repr(report))
            if key != self._key:
                found = {each["name"]: self._call("GET", f"/devices/{each['name']}/download") for each in report}
                self._matrices = {name: each["matrix"] for name, each in found.items()}
                self._handed = {name: each["push"] for name, each in found.items()}
                self._sgts = {str(each["value"]): each["name"] for each in self._call("GET", "/objects/sgt")}
                self._key = key
            return {
                "sessions": [self._session(mac, each) for mac, each in sorted(sessions.items())],
                "cts_cells": self._cells(),
                "sgts": self._sgts,
            }

    def _session(self, mac: str, each: dict[str, Any]) -> dict[str, Any]:
        return {
            "mac": mac,
            "ip": each.get("ip"),
            "interface": each.get("nas_port"),
            "device": self._switches.get(each.get("nas_ip", ""), "elsewhere"),
            "dacl": each.get("dacl_name"),
            "dacl_lines": each.get("dacl") or [],
            "sgt": each.get("sgt"),
            "sgt_name": self._sgts.get(str(each.get("sgt"))),
            "status": "Authorized" if each.get("authorized", True) else "Unauthorized",
            "method": "mab",
            "user_name": each.get("username"),
        }

    def _cells(self) -> list[dict[str, Any]]:
        views = {name: _flat(matrix) for name, matrix in sorted(self._matrices.items())}
        distinct = list(views.values())
        if all(each == distinct[0] for each in distinct):
            return distinct[0] if distinct else []
        # The switches hold different matrices (a push one of them did not take): each cell says whose it is.
        return [{**cell, "device": name} for name, cells in views.items() for cell in cells]


def _flat(matrix: dict[str, Any]) -> list[dict[str, Any]]:
    cells = [_cell(each, matrix.get("monitor_all", False)) for each in matrix.get("cells", [])]
    default = matrix.get("default")
    if default:
        cells.append({**_cell(default, False), "source": "default", "destination": "default"})
    return cells


def _cell(each: dict[str, Any], monitor_all: bool) -> dict[str, Any]:
    kept = {
        name: each.get(name) for name in ("source", "destination", "source_name", "destination_name", "default_rule")
    }
    status = each.get("status", "ENABLED")
    kept["status"] = "MONITOR" if monitor_all and status == "ENABLED" else status
    kept["sgacls"] = [
        {"name": sgacl["name"], "ip_version": sgacl.get("ip_version", "IPV4"), "lines": sgacl["lines"]}
        for sgacl in each.get("sgacls", [])
    ]
    return kept
