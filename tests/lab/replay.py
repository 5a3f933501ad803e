# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a recording's flow exports to a collector on this machine, each switch from its own loopback address.

The datagrams are those softflowd made, byte for byte, or moved in time as ``spread`` does. No privilege is needed.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from . import pcapfile
from .description import load_hospital
from .places import Places
from .spread import Exports


def send_exports(
    source: Path, target: tuple[str, int], places: Places, rate: float = 200.0, moved: int = 0, only: str | None = None
) -> dict[str, int]:
    """Send the exports in ``source`` to ``target`` (loopback only); returns datagrams by switch.

    ``rate``: datagrams a second. ``moved``: seconds added to every time inside. ``only``: one switch. Raises ValueError
    for a target that is not loopback and for an unusable recording.
    """
    if not target[0].startswith("127."):
        raise ValueError("exports are sent to loopback only")
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    switches = load_hospital().switches
    sent = {}
    for name, each in manifest["exporters"].items():
        if only not in (None, name):
            continue
        packets = pcapfile.read(source / each["file"])
        payloads = list(Exports(packets).payloads(moved)) if moved else [_payload(packet.data) for packet in packets]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((places.switch(switches[name].number)[0], 0))
            for payload in payloads:
                sock.sendto(payload, target)
                time.sleep(1 / rate)
        sent[name] = len(payloads)
    return sent


def _payload(frame: bytes) -> bytes:
    return frame[14 + (frame[14] & 15) * 4 + 8 :]
