# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.once import once


def test_what_one_thread_works_out_the_others_wait_for() -> None:
    begun, go, calls = threading.Event(), threading.Event(), list[int]()

    @once(4)
    def square(number: int) -> int:
        calls.append(number)
        begun.set()
        assert go.wait(10)
        return number * number

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(square, 3) for _ in range(8)]
        assert begun.wait(10)
        go.set()
        assert [each.result(10) for each in asked] == [9] * 8
    assert calls == [3]


def test_an_error_reaches_all_and_is_not_remembered_and_old_results_go() -> None:
    calls: list[int] = []

    @once(2)
    def half(number: int) -> int:
        calls.append(number)
        if len(calls) == 1:
            raise ValueError(str(number))
        return number // 2

    with pytest.raises(ValueError, match="4"):
        half(4)
    assert [half(4), half(4), half(6), half(4), half(8), half(4), half(6)] == [2, 2, 3, 2, 4, 2, 3]
    assert calls == [4, 4, 6, 8, 6]  # the one that was asked longest ago went
