# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab instance keeps its things and at which loopback addresses its parts answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """Paths and addresses of lab instance ``lab_id`` (0-99)."""

    lab_id: int
    directory: Path

    @classmethod
    def of(cls, lab_id: int | None = None, base: Path | None = None) -> Places:
        """Instance by argument or by SEGWRIGHT_LAB_ID and SEGWRIGHT_LAB_DIR; raises ValueError out of range."""
        if lab_id is None:
            lab_id = int(os.environ.get("SEGWRIGHT_LAB_ID", "0"))
        if not 0 <= lab_id <= 99:
            raise ValueError(f"lab id {lab_id} is not within 0-99")
        root = base or Path(os.environ.get("SEGWRIGHT_LAB_DIR", str(CHECKOUT / ".lab")))
        return cls(lab_id, root.absolute() / str(lab_id))

    def _loopback(self, last: int) -> str:
        return f"127.10.{self.lab_id}.{last}"

    @property
    def control(self) -> tuple[str, int]:
        return self._loopback(1), 9081

    @property
    def ise(self) -> tuple[str, int]:
        return self._loopback(10), 9060

    @property
    def ise_control(self) -> tuple[str, int]:
        return self._loopback(10), 9061

    @property
    def firewall(self) -> tuple[str, int]:
        return self._loopback(20), 2222

    @property
    def switch_control(self) -> tuple[str, int]:
        return self._loopback(30), 9071

    def switch(self, number: int) -> tuple[str, int]:
        """SSH address of access switch ``accN``, N from 1."""
        return self._loopback(30 + number), 2222

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def ssh_key(self) -> Path:
        return self.directory / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def ise_ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def captures(self) -> Path:
        return self.directory / "captures"

    def make(self) -> None:
        for each in (self.directory, self.logs, self.captures):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
