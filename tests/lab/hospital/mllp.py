# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HL7 version 2 over MLLP: a receiver that acknowledges, a sender that checks the acknowledgement.

Framing is that of the HL7 Minimal Lower Layer Protocol: <VT> message <FS><CR>, segments separated by <CR>.
"""

from __future__ import annotations

import socket
import socketserver
from datetime import datetime

START = b"\x0b"
END = b"\x1c\r"
_LIMIT = 65536


def frame(message: str) -> bytes:
    return START + message.encode("ascii") + END


def receive(connection: socket.socket, buffer: bytearray) -> str | None:
    """The next whole message, or None when the peer closed; raises ValueError on broken framing."""
    while END not in buffer:
        data = connection.recv(4096)
        if not data:
            return None
        buffer += data
        if len(buffer) > _LIMIT:
            raise ValueError("MLLP message too long")
    body, _, rest = bytes(buffer).partition(END)
    buffer[:] = rest
    if not body.startswith(START):
        raise ValueError("MLLP frame without start byte")
    return body[1:].decode("ascii")


def result_message(sender: str, identifier: str, values: dict[str, str]) -> str:
    """An unsolicited observation (ORU^R01) of a made-up patient."""
    stamp = datetime.now().strftime("%Y%m%d%H%M%S")
    lines = [
        f"MSH|^~\\&|{sender}|LAB|EMR|LAB|{stamp}||ORU^R01^ORU_R01|{identifier}|P|2.5.1",
        "PID|1||LAB-0001^^^LAB^MR||TEST^PATIENT",
        f"OBR|1|||LAB^VITALS|||{stamp}",
    ]
    for number, (name, value) in enumerate(values.items(), start=1):
        lines.append(f"OBX|{number}|NM|{name}||{value}|||N|||F")
    return "\r".join(lines) + "\r"


def acknowledgement(message: str) -> str:
    """The accept acknowledgement (MSA AA) of a message; raises ValueError when it has no header."""
    header = message.split("\r", 1)[0].split("|")
    if len(header) < 12 or header[0] != "MSH":
        raise ValueError("no MSH segment")
    stamp = datetime.now().strftime("%Y%m%d%H%M%S")
    return f"MSH|^~\\&|EMR|LAB|{header[2]}|{header[3]}|{stamp}||ACK^R01^ACK|A{header[9]}|P|2.5.1\rMSA|AA|{header[9]}\r"


class Receiver(socketserver.ThreadingTCPServer):
    """The EMR's interface engine."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        buffer = bytearray()
        self.request.settimeout(60)
        try:
            while (message := receive(self.request, buffer)) is not None:
                self.request.sendall(frame(acknowledgement(message)))
        except (OSError, ValueError):
            return


def send(connection: socket.socket, message: str) -> None:
    """Send one message and wait for its accept; raises ValueError on any other answer."""
    connection.sendall(frame(message))
    answer = receive(connection, bytearray())
    if answer is None or "MSA|AA|" not in answer:
        raise ValueError("message not accepted")
