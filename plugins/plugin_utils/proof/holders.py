# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an address was when it was recorded, against whose it is in the committed membership."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import (
    OTHER_DEVICE,
    SUSPECTS,
    Columns,
    stored_halves,
)

np = guarded("numpy")
pa = guarded("pyarrow")

Halves = tuple[int, int]


@dataclass(frozen=True)
class Holders:
    """The committed membership: addresses of each device and the device of each address, as the flow store writes addresses."""

    addresses: dict[str, tuple[Halves, ...]]
    device: dict[Halves, str]

    @classmethod
    def of(cls, site: Site) -> Holders:
        """Return the holders of a site's membership."""
        addresses: dict[str, tuple[Halves, ...]] = {}
        device: dict[Halves, str] = {}
        for members in site.members.values():
            for member in members:
                texts = [ipaddress.ip_address(text) for text in member.addresses]
                own = tuple(stored_halves(address.version, int(address)) for address in texts)
                addresses[member.device] = (*addresses.get(member.device, ()), *own)
                device.update(dict.fromkeys(own, member.device))
        return cls(addresses, device)

    def moved(self, intervals: Any) -> Any:
        """Return the addresses (hi, lo) that at some time were another device's than the membership says, of those it concerns."""
        names = ("address_hi", "address_lo", "device")
        found = set()
        for high, low, device in zip(*(intervals.column(name).to_pylist() for name in names), strict=True):
            if (device if device in self.addresses else "") != self.device.get((high, low), ""):
                found.add((high, low))
        rows = sorted(found)
        columns = {"hi": [high for high, _low in rows], "lo": [low for _high, low in rows]}
        return pa.table({name: pa.array(values, type=pa.int64()) for name, values in columns.items()})

    def at_present(self, columns: Columns, bound: Any) -> Columns:
        """Return rows with each end at the address that its device has in the membership.

        ``bound`` has ``client_device``, ``client_binding`` and the like for the same rows. Who it was then is kept apart from who has the
        address now: a row of another device, or of nobody known for sure, is marked and its end stays.
        """
        suspect = columns.suspect.copy()
        made: dict[str, Any] = {}
        for end in ("client", "server"):
            high, low = (half.copy() for half in columns.stored(end))
            devices, bindings = (bound.column(f"{end}_{what}").to_pylist() for what in ("device", "binding"))
            for row, (device, binding) in enumerate(zip(devices, bindings, strict=True)):
                here = int(high[row]), int(low[row])
                own = self.addresses.get(device, ())
                if here in own or (binding == "unknown" and not device):
                    continue
                same_family = [each for each in own if _is_four(each) == _is_four(here)]
                if same_family:
                    high[row], low[row] = same_family[0]
                elif here in self.device:
                    suspect[row] = SUSPECTS.index(OTHER_DEVICE)
            made |= {f"{end}_hi": high, f"{end}_lo": low}
        return replace(columns, suspect=suspect, **made)


def _is_four(halves: Halves) -> bool:
    return halves[0] == -(1 << 63) and (halves[1] + (1 << 63)) >> 32 == 0xFFFF
