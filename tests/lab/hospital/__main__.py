# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital's programs as one process of the lab: ``python -m tests.lab.hospital STATE_FILE DIRECTORY``.

Prints one JSON line when every server answers, then takes one JSON command per line on standard input and answers each
with one JSON line: ``{"do": "play", "sessions": 1, "seconds": 5}``, ``{"do": "scan"}``, ``{"do": "background",
"on": true}``, ``{"do": "report"}``. Ends when standard input closes.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ..description import load_hospital
from ..net.namespaces import Namespaces
from ..processes import LabError
from .clients import Player
from .servers import Servers


class Programs:
    """Servers, and clients on request."""

    def __init__(self, state: dict[str, Any], directory: Path) -> None:
        self.hospital = load_hospital()
        self.namespaces = Namespaces.attach(state)
        self.servers = Servers(self.hospital, self.namespaces, directory)
        self._background: threading.Thread | None = None
        self._player: Player | None = None
        self._ending = threading.Event()

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        what = command.get("do")
        if what in ("play", "scan"):
            player = Player(self.hospital, self.namespaces, self.servers, seed=int(command.get("seed", 1)))
            if what == "play":
                player.routine(int(command.get("sessions", 1)), float(command.get("seconds", 5)))
            else:
                player.scan()
            return _summary(player)
        if what == "background":
            return self._switch(bool(command.get("on")), float(command.get("seconds", 10)))
        if what == "report":
            return _summary(self._player) if self._player else {"conversations": {}, "failures": []}
        raise ValueError(f"unknown command {what!r}")

    def _switch(self, on: bool, seconds: float) -> dict[str, Any]:
        if on and self._background is None:
            self._ending.clear()
            self._player = Player(self.hospital, self.namespaces, self.servers, seed=7)
            self._background = threading.Thread(target=self._loop, args=(self._player, seconds), daemon=True)
            self._background.start()
        elif not on and self._background is not None:
            self._ending.set()
            self._background.join(seconds + 60)
            self._background = None
            assert self._player is not None
            return _summary(self._player)
        return {"background": self._background is not None}

    def _loop(self, player: Player, seconds: float) -> None:
        while not self._ending.is_set():
            player.routine(2, seconds)


def _summary(player: Player) -> dict[str, Any]:
    entries = player.truth.sorted()
    return {
        "opened": len(entries),
        "conversations": dict(sorted(Counter(each["conversation"] for each in entries).items())),
        "failures": list(player.truth.failures),
        "time": round(time.time(), 3),
    }


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def main(arguments: list[str]) -> int:
    state = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        programs = Programs(state, Path(arguments[1]))
        started = programs.servers.start()
    except LabError as error:
        _say({"error": str(error)})
        return 1
    _say({"ready": started})
    for line in sys.stdin:
        try:
            _say(programs.do(json.loads(line)))
        except Exception as error:
            _say({"error": f"{type(error).__name__}: {error}"})
    programs.servers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
