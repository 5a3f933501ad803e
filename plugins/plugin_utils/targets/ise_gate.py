# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong password is tried once: across the threads of a client, the nodes of a deployment, and the targets of one run.

Administrators of several ISE deployments often come from one directory, which counts failed logins wherever they happen.
"""

from __future__ import annotations

import hashlib
import threading


class LoginRefused(Exception):
    """A login failed in this run; nothing more is sent with it, so that an account is not locked."""


class LoginGate:
    """One login. The first request to a node goes alone; when it is refused, none follows, to no node."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._accepted: set[str] = set()
        self._trying = self._refused = False

    def enter(self, node: str) -> bool:
        """Wait until a request to a node may be sent; return whether it is the one that tries the login. LoginRefused where it failed."""
        with self._state:
            while True:
                if self._refused:
                    raise LoginRefused
                if node in self._accepted:
                    return False
                if not self._trying:
                    self._trying = True
                    return True
                self._state.wait()

    def leave(self, node: str, first: bool, accepted: bool | None) -> None:
        """Say what came of a request: ``accepted`` is None where no answer came, so that the next request tries the login."""
        with self._state:
            if accepted is False:
                self._refused = True
            elif accepted:
                self._accepted.add(node)
            if first:
                self._trying = False
            self._state.notify_all()


class LoginGates:
    """The logins of one run. Passwords are not kept, only their hash."""

    def __init__(self) -> None:
        self._gates: dict[bytes, LoginGate] = {}
        self._guard = threading.Lock()

    def gate(self, username: str, password: str, certificate: str = "") -> LoginGate:
        """Return the gate of a login, the same for the same one."""
        key = hashlib.sha256("\0".join((username, password, certificate)).encode()).digest()
        with self._guard:
            return self._gates.setdefault(key, LoginGate())
