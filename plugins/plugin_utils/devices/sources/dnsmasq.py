# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of dnsmasq: end, MAC, address, name and client id in a line; IPv6 after a line with the server's DUID (dnsmasq(8))."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import (
    Asked,
    Kind,
    Reading,
    Rejects,
    reading,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.leases import (
    DUID_MAC,
    LEASE,
    SECOND,
    lease_observations,
    mac_of_duid,
)

ETHERNET = "06-"  # dnsmasq writes the type of hardware before an address that is not plain Ethernet


def read(asked: Asked) -> Reading:
    """Return what the leases say; the file does not say when they began, so each counts at its file's time."""
    rejects = Rejects(asked)
    observations: list[Observation] = []
    leases = without = 0
    six = False
    for number, line in enumerate(asked.text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "duid":
            six = True
            continue
        leases += 1
        try:
            end, client, address, name, identity = words[:5]
            until = asked.at if end == "0" else min(int(end) * SECOND, asked.at)
            mac, sure = client.removeprefix(ETHERNET), LEASE
            if six:
                mac, sure = mac_of_duid(bytes.fromhex(identity.replace(":", ""))) or "", DUID_MAC
            if not mac:
                without += 1
                continue
            observations += lease_observations(
                asked.name, mac, address, until, until, asked.at, hostname=name, sure=sure
            )
        except ValueError as error:
            rejects.add(number, str(error)[:120])
    return reading(observations, rejects, leases=leases, without_mac=without)


KIND = Kind("dnsmasq", "Leases of dnsmasq (dnsmasq.leases)", read)
