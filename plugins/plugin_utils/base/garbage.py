# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for cycles, put off while much is made that lives on.

Python looks through all living objects again and again while their number grows. A policy of 100,000 rules is millions of objects, none in
a cycle, and a quarter of the gate's time was that search. Reference counting goes on as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for cycles in a block, and go on with it afterwards if it went on before; for blocks that end within minutes.

    What was made meanwhile counts as old, as if it had been looked through already: the next full search sees it, no earlier one.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # what others froze stays frozen
                gc.freeze()
                gc.unfreeze()
            gc.enable()
