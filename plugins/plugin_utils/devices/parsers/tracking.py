# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show device-tracking policies: on which ports and VLANs which feature is active, by configuration or because another feature needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Parsed
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import Remarks, lines_of

_HEAD = re.compile(r"\ATarget +Type +Policy +Feature +Target range\Z")
_ROW = re.compile(
    r"\A(?P<target>\S+|vlan \d+|evpn \d+) +(?P<type>PORT|VLAN|EVPN|BD|SYSTEM) +(?P<policy>\S+)"
    r" +(?P<feature>\S.*?) +(?P<range>vlan \S.*)\Z"
)


@dataclass(frozen=True)
class TrackingPolicy:
    """A policy at work: ``target`` as the switch names it (``Twe1/0/42``, ``vlan 39``), type, policy, feature and range of VLANs."""

    target: str
    type: str
    policy: str
    feature: str
    range: str


def tracking_policies(text: str) -> Parsed[TrackingPolicy]:
    """Return the rows; a switch without any gives none."""
    remarks = Remarks("show device-tracking policies")
    made = []
    for line in lines_of(text, remarks.command):
        row = _ROW.match(line.stripped)
        if row:
            made.append(TrackingPolicy(row["target"], row["type"], row["policy"], row["feature"], row["range"].strip()))
        elif not _HEAD.match(line.stripped):
            remarks.unknown(line)
    return Parsed(tuple(made), tuple(remarks.findings))
