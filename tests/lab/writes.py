# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the lab's targets were written to, counted by the lab itself and never by the product.

ISE counts requests with a writing verb, pushes and re-authentications; a switch counts configuration lines received; for
fw1 the kernel counts: every transaction on its tables raises the generation of its namespace by one.
"""

from __future__ import annotations

import os
import socket
import struct

from . import control
from .iosxe.control_client import ControlClient
from .net.namespaces import Namespaces
from .net.topology import FIREWALL
from .places import Places
from .processes import LabError, in_namespace
from .state import read_state

# linux/netfilter/nfnetlink.h and nf_tables.h
_NETLINK_NETFILTER = 12
_GETGEN = (10 << 8) | 16
_NFTA_GEN_ID = 1


class WriteCounter:
    """The lab's counters since this object was made. ``counts()`` leaves them running."""

    def __init__(self, places: Places) -> None:
        state = read_state(places)
        if state is None:
            raise LabError(f"lab {places.lab_id} is not running")
        self.places, self._state = places, state
        self._switches = ControlClient(*places.switch_control)
        self._began = self._now()

    def counts(self) -> dict[str, int]:
        """Writes by target; targets that this lab does not run are absent."""
        return {name: number - self._began[name] for name, number in self._now().items()}

    def _now(self) -> dict[str, int]:
        found: dict[str, int] = {}
        if "ise" in self._state["parts"]:
            counters = control.call(self.places.ise_control, "GET", "/counters")
            found["ise1"] = (
                counters["writes"] + counters["pushes"] + counters["reauthentications"] + counters["disconnects"]
            )
        if "switches" in self._state["parts"]:
            for name, counters in self._switches.call("counters", device="*").items():
                found[name] = counters["config_lines"] + counters["saves"]
        if "fw1" in self._state["parts"]:
            found["fw1"] = firewall_generation(self._state)
        return found


def firewall_generation(state: dict[str, object]) -> int:
    """The number of transactions that fw1's packet filter has seen."""
    namespaces = Namespaces.attach(state)
    try:
        return in_namespace(namespaces.descriptor(FIREWALL), _generation)
    finally:
        namespaces.close()


def _generation() -> int:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        family_head = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
        sock.send(struct.pack("=IHHII", 20, _GETGEN, 1, 1, os.getpid()) + family_head)
        answer = sock.recv(4096)
    at = 20
    while at + 8 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind & 0x3FFF == _NFTA_GEN_ID:
            return int(struct.unpack_from(">I", answer, at + 4)[0])
        at += max(4, (length + 3) & ~3)
    raise LabError("the kernel does not tell the generation of fw1's ruleset")
