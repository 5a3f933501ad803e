# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders carried out by forks of a process that has imported everything once, so that a test can have many and kill each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def serve(carry_out: Callable[[dict[str, Any]], dict[str, Any]], crashed: Callable[[str], dict[str, Any]]) -> None:
    """Carry out each line of standard input (JSON) in a fork and print the fork's number; its result goes whole to the order's ``out``.

    ``crashed`` makes the result of an order that ended in an exception, from its text.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                result = carry_out(order)
            except BaseException as error:
                result = crashed(repr(error))
            part = Path(order["out"] + ".part")
            part.write_text(json.dumps(result, default=str), encoding="utf-8")
            part.rename(order["out"])
            os._exit(0)
        print(child, flush=True)
