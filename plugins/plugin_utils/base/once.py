# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembered results of pure functions for many threads: what one of them works out, the others wait for.

``functools.lru_cache`` lets every thread that asks before the first answer work it out anew: a hundred threads that begin with the
same list at the same moment would compare it a hundred times.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def once(size: int) -> Callable[[Function], Function]:
    """Remember the last ``size`` results of a pure function of hashable positional arguments.

    An exception reaches all who wait for it and is not remembered.
    """

    def decorated(function: Function) -> Function:
        lock, known = threading.Lock(), OrderedDict[Hashable, Future[Any]]()

        @wraps(function)
        def asked(*arguments: Hashable) -> Any:
            with lock:
                future = known.get(arguments)
                mine = future is None
                if future is None:
                    future = known[arguments] = Future()
                    if len(known) > size:
                        known.popitem(last=False)
                else:
                    known.move_to_end(arguments)
            if not mine:
                return future.result()
            try:
                result = function(*arguments)
            except BaseException as error:
                with lock:
                    if known.get(arguments) is future:
                        del known[arguments]
                future.set_exception(error)
                raise
            future.set_result(result)
            return result

        return asked  # type: ignore[return-value]

    return decorated
