# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS: the video recorder and the scanner's support page, on Python's TLS server with a certificate made at start."""

from __future__ import annotations

import http.client
import http.server
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """A throw-away authority and the contexts made from it."""

    authority: trustme.CA

    @classmethod
    def make(cls) -> Certificates:
        return cls(trustme.CA(organization_name="Segwright lab hospital"))

    def server(self, address: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(address).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    def save(self, path: Path) -> None:
        self.authority.cert_pem.write_to_path(str(path))

    @staticmethod
    def trust(path: Path) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(path))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lab"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(b"ok\n" * 20)

    def do_POST(self) -> None:
        remaining = min(int(self.headers.get("Content-Length", "0")), 1 << 20)
        while remaining > 0:
            data = self.rfile.read(min(remaining, 16384))
            if not data:
                break
            remaining -= len(data)
        self._answer(b"stored\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        return


def serve(address: tuple[str, int], certificates: Certificates) -> http.server.ThreadingHTTPServer:
    """An HTTPS server that has not been run yet; call ``serve_forever`` in a thread."""
    server = _Server(address, _Handler)
    # The handshake happens in the connection's own thread, so a half-open client cannot stall the others.
    server.socket = certificates.server(address[0]).wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return server


def upload(server: tuple[str, int], context: ssl.SSLContext, sizes: list[int]) -> int:
    """POST bodies of these sizes over one connection (0: a GET); returns the client port. Raises ValueError."""
    connection = http.client.HTTPSConnection(server[0], server[1], timeout=10, context=context)
    try:
        connection.connect()
        port: int = connection.sock.getsockname()[1]
        for size in sizes:
            connection.request(
                "POST" if size else "GET", "/segment" if size else "/status", body=bytes(size) if size else None
            )
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise ValueError("HTTPS request failed")
    finally:
        connection.close()
    return port
