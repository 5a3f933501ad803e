# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the control channel for tests, the lab's commands and the emulated switches."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote


class ControlError(Exception):
    """The control channel said no; the text is its reason."""


class ControlClient:
    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url, self.timeout = url.rstrip("/"), timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ControlError(f"{error.code}: {json.load(error)['error']}") from None

    def counters(self) -> dict[str, Any]:
        return dict(self.call("GET", "/counters"))

    def reset_counters(self) -> None:
        self.call("DELETE", "/counters")

    def state(self) -> dict[str, Any]:
        return dict(self.call("GET", "/state"))

    def restore(self, state: dict[str, Any]) -> None:
        self.call("PUT", "/state", state)

    def fresh(self, state: dict[str, Any]) -> None:
        """Bring a remembered state back; faults and counters begin anew."""
        self.clear_faults()
        self.restore(state)
        self.reset_counters()

    def settings(self, **new: Any) -> dict[str, Any]:
        return dict(self.call("PUT", "/settings", new))

    def schedule(self, *faults: dict[str, Any]) -> None:
        self.call("POST", "/faults", list(faults))

    def clear_faults(self) -> None:
        self.call("DELETE", "/faults")

    def sessions(self) -> dict[str, dict[str, Any]]:
        return dict(self.call("GET", "/sessions"))

    def change_session(self, mac: str, **new: Any) -> None:
        self.call("PUT", f"/sessions/{mac}", new)

    def dacl(self, revision: str) -> list[str]:
        return list(self.call("GET", f"/dacl?name={quote(revision, safe='')}")["lines"])

    def matrix(self, device: str | None = None) -> dict[str, Any]:
        return dict(self.call("GET", "/matrix" if device is None else f"/devices/{quote(device, safe='')}/matrix"))

    def edit(self, resource: str, name: str, **fields: Any) -> None:
        """Change an object as a person in the GUI would."""
        self.call("PATCH", f"/objects/{resource}/{quote(name, safe='')}", fields)

    def object(self, resource: str, name: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/objects/{resource}/{quote(name, safe='')}"))

    def requests(self) -> list[dict[str, Any]]:
        """The last 2,000 requests in the order they were answered: method, path, status."""
        return list(self.call("GET", "/requests"))

    def changes(self, since: int = 0) -> dict[str, Any]:
        return dict(self.call("GET", f"/changes?since={since}"))
