# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab instance wrote down about itself, and cleaning up after one that died."""

from __future__ import annotations

import errno
import json
import socket
from typing import Any

from .places import Places
from .processes import LabError, ProcessMark, stop_marks


def read_state(places: Places) -> dict[str, Any] | None:
    """The state file of an instance, None when there is none."""
    try:
        found: dict[str, Any] = json.loads(places.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def supervisor_of(state: dict[str, Any]) -> ProcessMark:
    return ProcessMark("supervisor", int(state["supervisor"]["pid"]), int(state["supervisor"]["started"]))


def clean_up(places: Places) -> list[str]:
    """End what a dead supervisor may have left, by its own record; returns the names. Raises LabError when it lives."""
    state = read_state(places)
    if state is None:
        return []
    supervisor = supervisor_of(state)
    if supervisor.alive():
        raise LabError(
            f"lab {places.lab_id} runs already (pid {supervisor.pid}); stop it with: python -m tests.lab down"
        )
    marks = [ProcessMark(each["name"], int(each["pid"]), int(each["started"])) for each in state["processes"]]
    ended = [each.name for each in stop_marks(marks)]
    places.state.unlink(missing_ok=True)
    return ended


def check_ports(wanted: dict[str, list[tuple[str, int]]]) -> None:
    """Raise LabError naming the first address, by the part that needs it, that cannot be listened on."""
    for name, addresses in wanted.items():
        for address in addresses:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(address)
                except OSError as error:
                    why = "in use" if error.errno == errno.EADDRINUSE else error.strerror
                    text = f"port {address[0]}:{address[1]} ({name}) cannot be used: {why}"
                    raise LabError(f"{text}; another lab instance is chosen by SEGWRIGHT_LAB_ID") from error
