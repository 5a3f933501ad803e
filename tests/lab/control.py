# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor's side channel: JSON over HTTP on loopback, no login, for the lab's own commands and for tests.

========================================  ==================================================================
GET  /health                              {"ok": true, "parts": {...}}
GET  /switches                            what the emulated switches download (sessions, cells, tags)
POST /authorize                           {"endpoint_profile" | "mac", "authorization_profile", "sgt"}: what the site's
                                          authorization rules give these sessions from now on; they adopt it when
                                          they are re-authenticated, or at once with "reauthenticate": true
GET  /firewall                            fw1's ruleset as text
POST /firewall/reset                      fw1 as before Segwright: the foreign table only, no connection remembered
POST /probe                               {"probes": [{client, server, protocol, ...}]} -> {"results": [...]}
POST /hospital                            a command of tests.lab.hospital: play, scan, background, report
========================================  ==================================================================
"""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

from .processes import LabError

Route = Callable[[dict[str, Any]], dict[str, Any]]
_LIMIT = 8 << 20


class ControlServer:
    """Serves a table of routes, ``"GET /health"`` -> function of the request's JSON object."""

    def __init__(self, address: tuple[str, int], routes: dict[str, Route]) -> None:
        if not address[0].startswith("127."):
            raise ValueError("the lab listens on loopback only")
        handler = type("Handler", (_Handler,), {"routes": routes})
        self._server = _Server(address, handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="lab-control", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=3)
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        return


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    routes: dict[str, Route] = {}

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LIMIT:
            self._answer(413, {"error": "too long"})
            return
        raw = self.rfile.read(length)
        route = self.routes.get(f"{self.command} {self.path.partition('?')[0]}")
        if route is None:
            self._answer(404, {"error": "no such control path"})
            return
        try:
            self._answer(200, route(json.loads(raw) if raw else {}))
        except (LabError, ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": f"{type(error).__name__}: {error}"})
        except OSError as error:
            self._answer(503, {"error": str(error)})

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


def call(address: tuple[str, int], method: str, path: str, body: Any = None, timeout: float = 60.0) -> Any:
    """Ask a control channel of the lab; raises LabError with its reason, OSError when nobody answers.

    Straight to loopback: a proxy of the environment must never see it, and the switches' polling must cost nothing.
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    data = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    value = json.loads(content)
    if status != 200:
        raise LabError(f"{path}: {value.get('error', status)}")
    return value
