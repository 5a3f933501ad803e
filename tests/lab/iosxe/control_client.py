# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the side channel for tests and lab scripts (synchronous, loopback, no proxy)."""

from __future__ import annotations

import http.client
import json
from typing import Any


class ControlClient:
    """call("inject", device="acc1", probes=[...]) returns the answer's data; raises RuntimeError with its error."""

    def __init__(self, host: str, port: int, timeout: float = 30.0) -> None:
        self.host, self.port, self.timeout = host, port, timeout

    def call(self, operation: str, **data: Any) -> Any:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request("POST", f"/{operation}", json.dumps(data), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{operation}: {answer.status} {body.get('error')}")
        return body
