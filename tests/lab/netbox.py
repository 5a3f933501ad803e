# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NetBox that is only as much of one as the source needs: lists over HTTPS with token, filters by equality, order, pages and faults.

Shapes of objects and answers are those of NetBox's REST API (4.x): ``{count, next, previous, results}``, ``limit`` and ``offset``,
nested objects with ``id``, ``url``, ``display``. A token of the second version (``nbt_``) is a bearer token, an older one ``Token``.
"""

from __future__ import annotations

import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lab.ise.certificates import server_certificate

LISTS = (
    "dcim/devices",
    "dcim/interfaces",
    "ipam/ip-addresses",
    "virtualization/virtual-machines",
    "virtualization/interfaces",
)
MOST = 1000
# What a fault answers in place of a page: (status, headers, body).
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class NetBox:
    """Objects by list, the token, and what to do before an answer: a fault takes the path and the number of the request."""

    objects: dict[str, list[dict[str, Any]]]
    token: str = "0123456789abcdef0123456789abcdef01234567"
    url: str = ""
    ca_file: Path = Path()
    fault: Callable[[str, int], Answer | None] = lambda _path, _number: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, target: str, authorization: str) -> Answer:
        """Return what is answered to a GET."""
        parts = urllib.parse.urlsplit(target)
        self.requests.append((target, authorization))
        word = "Bearer" if self.token.startswith("nbt_") else "Token"
        if authorization != f"{word} {self.token}":
            return 403, {}, b'{"detail": "Invalid token"}'
        made = self.fault(parts.path, len(self.requests))
        if made is not None:
            return made
        name = parts.path.removeprefix("/api/").rstrip("/")
        if name not in LISTS:
            return 404, {}, b'{"detail": "Not found."}'
        query = dict(urllib.parse.parse_qsl(parts.query))
        limit, offset = min(int(query.pop("limit", 50)) or MOST, MOST), int(query.pop("offset", 0))
        order = query.pop("ordering", "")
        found = [
            each for each in self.objects.get(name, []) if all(_has(each, key, text) for key, text in query.items())
        ]
        found.sort(key=lambda each: each["id"] if order == "id" else str(each.get("name")))
        page = found[offset : offset + limit]
        following = None
        if offset + limit < len(found):
            more = urllib.parse.urlencode({**query, "limit": limit, "offset": offset + limit, "ordering": order})
            following = f"{self.url}{parts.path}?{more}"
        body = {"count": len(found), "next": following, "previous": None, "results": page}
        return 200, {}, json.dumps(body).encode()


def _has(each: dict[str, Any], key: str, text: str) -> bool:
    value = each.get(key)
    if isinstance(value, dict):
        return text in (str(value.get("slug")), str(value.get("value")))
    return str(value) == text


@contextmanager
def served(netbox: NetBox, folder: Path) -> Iterator[NetBox]:
    """Serve it on loopback over HTTPS while the block runs; ``url`` and ``ca_file`` are set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = netbox.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    certificate = server_certificate(folder, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    netbox.url, netbox.ca_file = f"https://127.0.0.1:{server.server_address[1]}", certificate.ca_file
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield netbox
    finally:
        server.shutdown()
        server.server_close()


def device(
    number: int, name: str, role: str, mac: str = "", address: str = "", **more: Any
) -> dict[str, list[dict[str, Any]]]:
    """Return the objects of a device with one interface and address, by list."""
    nested = {"id": number, "display": name, "name": name, "url": f"/api/dcim/devices/{number}/"}
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
    made["dcim/devices"] = [
        {
            **nested,
            "role": {"id": 1, "name": role, "slug": role.lower().replace(" ", "-")},
            "device_type": {"id": 1, "model": "M1", "manufacturer": {"id": 1, "name": "Maker", "slug": "maker"}},
            "site": {"id": 1, "name": "Hospital 1", "slug": "hospital-1"},
            "tenant": None,
            "serial": f"S{number}",
            "status": {"value": "active", "label": "Active"},
            "primary_ip4": {"id": number, "address": f"{address}/24"} if address else None,
            "primary_ip6": None,
            "custom_fields": {},
            "last_updated": "2026-11-20T10:00:00.000000Z",
            **more,
        }
    ]
    if mac:
        made["dcim/interfaces"] = [{"id": 1000 + number, "device": nested, "name": "eth0", "mac_address": mac}]
    if address:
        made["ipam/ip-addresses"] = [
            {
                "id": number,
                "address": f"{address}/24",
                "status": {"value": "active"},
                "assigned_object_type": "dcim.interface" if mac else None,
                "assigned_object_id": 1000 + number if mac else None,
            }
        ]
    return made


def joined(*parts: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the objects of several devices."""
    return {name: [each for part in parts for each in part.get(name, [])] for name in LISTS}
