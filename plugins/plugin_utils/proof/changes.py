# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One list that changes in a rollout, and what its versions stop under each membership."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.openers import stopped, stopped_ways
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import ListSets

Key = tuple[str, str]  # enforcement point and name of the list there


@dataclass
class Change:
    """One list that changes: its sets in the old and new version, each under the old and the new membership."""

    key: Key
    old: list[ListSets]
    new: list[ListSets]
    effect: str = ""

    def stops(self, openers: PacketSet, version: str, *, surely: bool, silent: bool = False) -> PacketSet:
        """Return what a version stops: surely, whatever the membership; else under either."""
        found = [
            stopped(openers, item, surely=surely, silent_works=silent)
            for item in (self.old if version == "old" else self.new)
        ]
        if not found:
            return openers.space.empty
        result = found[0]
        for more in found[1:]:
            result = result & more if surely else result | more
        return result

    def stops_in(self, openers: PacketSet, version: str, state: int, states: int) -> PacketSet:
        """Return what a version surely stops in one state of the network; nothing where the state does not know its point."""
        found = self.old if version == "old" else self.new
        if len(found) != states:
            return openers.space.empty
        return stopped(openers, found[state], surely=True, silent_works=True)

    def ways_in(self, openers: PacketSet, version: str, state: int, states: int) -> tuple[PacketSet, PacketSet]:
        """Return ``stops_in`` by direction: openers that are stopped themselves, and those whose answers are."""
        found = self.old if version == "old" else self.new
        if len(found) != states:
            return openers.space.empty, openers.space.empty
        return stopped_ways(openers, found[state])
