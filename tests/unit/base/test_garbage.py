# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for cycles pauses in a block or a function, and goes on afterwards only if it went on before."""

from __future__ import annotations

import gc
import weakref

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.garbage import collector_paused


@collector_paused()
def paused(depth: int) -> bool:
    """Return whether the search goes on within, at any depth; ValueError below 0."""
    if depth < 0:
        raise ValueError("depth")
    return gc.isenabled() or (depth > 0 and (paused(depth - 1) or gc.isenabled()))


@pytest.mark.parametrize("before", [True, False])
def test_the_search_goes_on_as_before(before: bool) -> None:
    try:
        (gc.enable if before else gc.disable)()
        for _again in range(2):
            assert not paused(0) and not paused(2)
            assert gc.isenabled() == before
            with pytest.raises(ValueError, match="depth"):
                paused(-1)
            assert gc.isenabled() == before
    finally:
        gc.enable()


class Ring:
    """An object that only the search for cycles can free."""

    def __init__(self) -> None:
        self.own = self


def test_what_was_made_meanwhile_is_old_and_still_found() -> None:
    gc.collect()
    with collector_paused():
        seen = weakref.ref(Ring())
    gc.collect(0)
    gc.collect(1)
    assert seen() is not None
    gc.collect()
    assert seen() is None


def is_searched(wanted: object) -> bool:
    """Return whether the search for cycles looks at an object: it never does at one that is frozen."""
    return any(each is wanted for each in gc.get_objects())


def test_what_others_froze_stays_frozen() -> None:
    ring = Ring()
    assert is_searched(ring)
    gc.freeze()
    try:
        assert not is_searched(ring)
        with collector_paused():
            pass
        assert not is_searched(ring)
    finally:
        gc.unfreeze()
    assert is_searched(ring)
