# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiler would write in a list's place, and how the two differ: all packets of the segment's devices."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.access import access_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.matrix import matrix_lists
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSet, PacketSpace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import (
    ESTABLISHED,
    IPV4_PROTOCOLS,
    IPV6,
    IPV6_PROTOCOLS,
    TCP,
    Box,
    FirstMatchList,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.acl import Scope
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    NORMAL,
    Assignment,
    EnforcementPoint,
    Site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.points import first_match

POINT = "import"


@dataclass(frozen=True)
class ListDifference:
    """Packets that only the list permits, that only the compiled policy permits, and whose verdict a condition decides."""

    only_in_list: PacketSet
    only_in_policy: PacketSet
    not_modelled: PacketSet

    @property
    def equal(self) -> bool:
        """Whether both permit the same packets."""
        return not self.only_in_list and not self.only_in_policy and not self.not_modelled


def index_of(site: Site, rules: bool = True) -> SiteIndex:
    """Return what ``compiled_list`` looks things up in, for those who ask about many lists of one site."""
    current = effective_site(site, NORMAL)
    if not rules:
        current = replace(current, segments={n: replace(s, allow=()) for n, s in current.segments.items()})
    return SiteIndex(current)


def compiled_list(site: Site, scope: Scope, rules: bool = True, index: SiteIndex | None = None) -> FirstMatchList:
    """Return the list that the compiler writes at an access port, or in a cell, for the scope.

    Without ``rules`` it is what every such list holds by itself: bootstrap, management, ICMP errors and the denial. For a list
    with state the lines for answers are left out. ``index``: what ``index_of`` gives for the same site and ``rules``.
    """
    found = _point_list(index or index_of(site, rules), scope)
    if found is None:
        return FirstMatchList(())
    if scope.stateful:
        kept = tuple(ace for ace in found.aces if found.origins[ace.label].role != "reply")
        found = replace(found, aces=kept)
    return first_match(found)


def _point_list(index: SiteIndex, scope: Scope) -> PointList | None:
    names = [scope.segment, *([scope.peer] if scope.peer else [])]
    assignments = [Assignment(name, "enforce", (POINT,)) for name in dict.fromkeys(names)]
    if scope.peer:
        lists, _findings = matrix_lists(index, EnforcementPoint(POINT, "sgacl", "ise", POINT), assignments)
        return next(item for item in lists if (item.segment, item.peer) == (scope.segment, scope.peer))
    lists, _findings = access_lists(index, EnforcementPoint(POINT, "dacl", "ise", POINT), assignments[0])
    return next((item for item in lists if item.family == scope.family), None)


def list_difference(site: Site, source: ParsedAcl, scope: Scope, index: SiteIndex | None = None) -> ListDifference:
    """Return how a list and the compiled policy differ; FindingError where the list is not understood whole.

    Only packets from the segment's devices count (a client without an address, which asks for a lease, is none yet), and for a list
    with state only packets that open.
    """
    space = PacketSpace()
    found = compare(source.first_match(), compiled_list(site, scope, index=index), space)
    own = member_addresses(site, scope.segment, scope.family)
    box = Box(protocol=IPV4_PROTOCOLS if scope.family == 4 else IPV6_PROTOCOLS)
    counted = space.from_box(box if scope.peer or not own else box.replace(source=own))
    if scope.stateful:
        answers = Box(protocol=IntervalSet.of(TCP, IPV6 + TCP), detail=ESTABLISHED)
        counted = counted - space.from_box(answers) - space.from_box(Box(fragment=IntervalSet.single(1)))
    return ListDifference(
        found.only_in_first & counted, found.only_in_second & counted, found.not_modelled & counted
    )  # fmt: skip
