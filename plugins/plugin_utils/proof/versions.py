# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two versions of a list: whether they do the same, and what of a firewall's list differs."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import Pieces, list_key, pieces_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import PointList


def same_list(one: PointList, two: PointList) -> bool:
    """Return whether two versions of a list do the same: labels and places of rules do not count."""
    if (one.kind, one.stage, one.default_permit, one.interfaces) != (
        two.kind,
        two.stage,
        two.default_permit,
        two.interfaces,
    ):
        return False
    if list_key(one) and list_key(one) == list_key(two):
        return True
    mine, theirs = pieces_of(one), pieces_of(two)
    if mine is not None and theirs is not None:
        if mine.frame_key == theirs.frame_key and not changed_parts(mine, theirs):
            return True
        one, two = differing(one, two)
    return len(one.aces) == len(two.aces) and all(
        replace(a, label="", raw="") == replace(b, label="", raw="") for a, b in zip(one.aces, two.aces, strict=True)
    )


def changed_parts(mine: Pieces, theirs: Pieces) -> list[str]:
    """Return the client segments whose parts of a firewall's list differ."""
    return sorted(name for name in mine.parts.keys() | theirs.parts.keys() if mine.key(name) != theirs.key(name))


def differing(one: PointList, two: PointList) -> tuple[PointList, PointList]:
    """Return two versions of a list without what both have: a firewall's parts that are the same.

    Parts of different client segments have no packet in common (no address is of two segments, a numbered rule sees to that), so that what
    the two versions do differently they do here, and alike. Where a part has answers too, packets like those are in the part of whoever
    answers only by ICMP rules of its own that lead back, and then ``Pieces.concerned`` has that part.
    """
    mine, theirs = pieces_of(one), pieces_of(two)
    if mine is None or theirs is None:
        return one, two
    names = changed_parts(mine, theirs)
    return mine.around(names), theirs.around(names)
