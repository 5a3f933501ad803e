# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH over ansible-pylibssh: for ``network_cli`` hosts and old SSH servers that other clients no longer speak to.

``LibsshShell`` reads: show commands alone, line ends are CR as ``network_cli`` sends them. ``LibsshChannel`` stands in the place of
paramiko's channel, so that the sessions that change devices are the same over either library (``ssh.open_session``). libssh holds the
interpreter's lock while it waits, so all waiting is done on a socket of ours, and only a server that has introduced itself is handed to it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import socket
import time
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

pylibssh_session = guarded("pylibsshext.session")
pylibssh_errors = guarded("pylibsshext.errors")

CONNECT_SECONDS = 15.0
PROMPT_SECONDS = 20.0
LARGEST_OUTPUT = 64 << 20
COLUMNS = 512
PAUSE = 0.02
# One answer of a device that never falls silent is not waited for longer than this.
LONGEST_SECONDS = 900.0
# What images of ten and more years ago offer, after what is offered to everybody: only for hosts that are set so (docs/old-gear.md).
LEGACY = {
    "key_exchange_algorithms": "+diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1",
    "hostkeys": "+ssh-rsa",
    "publickey_accepted_algorithms": "+ssh-rsa",
    "ciphers_c_s": "+aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc",
    "ciphers_s_c": "+aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc",
    "hmac_c_s": "+hmac-sha1",
    "hmac_s_c": "+hmac-sha1",
}
# Options of libssh that ansible-pylibssh has no name for: enum ssh_options_e of libssh.h, whose numbers are part of its interface.
OPTIONS = {"ciphers_c_s": 15, "ciphers_s_c": 16, "hmac_c_s": 29, "hmac_s_c": 30}
# After a line end, or at the very beginning: a prompt and nothing behind it.
PROMPT = re.compile(r"(?:\A|[\r\n])([A-Za-z0-9][A-Za-z0-9_.:/()@-]{0,79}[>#]) ?\Z")
MORE = re.compile(r"\s*(?:-+ ?More ?-+|<--- More --->)\s*\Z", re.IGNORECASE)
NO_CREDENTIALS_YET = "acceptable way to authenticate"


class LibsshLogin:
    """A login with a shell, host key checked, one attempt. Not shared between threads."""

    def __init__(self, spec: TargetSpec) -> None:
        require(pylibssh_session, pylibssh_errors)
        self.spec = spec
        self._session: Any = None
        self._channel: Any = None
        self._socket: socket.socket | None = None
        self._handed = -1
        try:
            self._log_in()
        except BaseException:
            self.close()
            raise

    # -- login

    def _log_in(self) -> None:
        spec = self.spec
        where = f"{spec.name} ({spec.address} port {spec.service_port})"
        try:
            self._socket = socket.create_connection(
                (spec.address, spec.service_port), timeout=min(spec.timeout, CONNECT_SECONDS)
            )
            if not select.select([self._socket], [], [], min(spec.timeout, CONNECT_SECONDS))[
                0
            ] or not self._socket.recv(4, socket.MSG_PEEK):
                raise OSError("connected, but no SSH server introduced itself")
        except OSError as error:
            raise FindingError(codes.UNREACHABLE.at(f"{where}: {error.strerror or error}")) from None
        self._handed = os.dup(self._socket.fileno())
        self._session = pylibssh_session.Session()
        # It warns of every file of known hosts that does not exist.
        logging.getLogger("ansible-pylibssh").setLevel(logging.CRITICAL + 1)
        arguments: dict[str, Any] = {
            "host": spec.address,
            "port": spec.service_port,
            "user": spec.username,
            "timeout": max(1, int(min(spec.timeout, CONNECT_SECONDS))),
            "host_key_checking": True,
            "look_for_keys": False,
            "fd": self._handed,
        }
        if spec.known_hosts_file:
            arguments["knownhosts"] = spec.known_hosts_file
        problem = ""
        try:
            if spec.private_key_file:
                with open(spec.private_key_file, "rb") as stream:
                    arguments["private_key"] = stream.read()
            if spec.ssh_legacy:
                self._offer_legacy()
            self._session.connect(**arguments)
        except pylibssh_errors.LibsshException as error:
            problem = str(error)
        if problem and (spec.private_key_file or NO_CREDENTIALS_YET not in problem):
            raise FindingError(self._connect_finding(where, problem))
        try:
            # Once more, before a password leaves: nothing may be sent to a host whose key is not known.
            self._session.verify_knownhost()
        except pylibssh_errors.LibsshException:
            raise FindingError(codes.HOST_KEY.at(where)) from None
        if problem:
            self._authenticate()
        try:
            self._channel = self._session.new_shell_channel()
        except pylibssh_errors.LibsshException as error:
            raise FindingError(codes.UNREACHABLE.at(f"{where}: no shell ({self._text(error)})")) from None

    def _offer_legacy(self) -> None:
        """Offer what old images know, after everything else."""
        names = getattr(pylibssh_session, "OPTS_MAP", {})
        for option, number in OPTIONS.items():
            names.setdefault(option, number)
        for option, algorithms in LEGACY.items():
            self._session.set_ssh_options(option, algorithms)

    def _authenticate(self) -> None:
        """Try the password once. libssh's own connect would try it a second time by another method, which counts towards a lock-out."""
        refused = codes.LOGIN_REFUSED.at(f"{self.spec.name}: {self.spec.username}@{self.spec.address}")
        try:
            self._session.authenticate_password(self.spec.password)
            return
        except pylibssh_errors.LibsshException as error:
            offered = str(error).rpartition("can continue:")[2]
        if "keyboard-interactive" not in offered or "password" in offered:
            raise FindingError(refused)
        try:
            self._session.authenticate_interactive(self.spec.password)
        except pylibssh_errors.LibsshException:
            raise FindingError(refused) from None

    def _connect_finding(self, where: str, problem: str) -> Any:
        text = self._text(problem)
        lowered = text.lower()
        if "host is unknown" in lowered or "host key" in lowered or "known host" in lowered or "knownhost" in lowered:
            return codes.HOST_KEY.at(where)
        if "authenticat" in lowered or "access denied" in lowered:
            return codes.LOGIN_REFUSED.at(f"{self.spec.name}: {self.spec.username}@{self.spec.address}")
        return codes.UNREACHABLE.at(f"{where}: {text[:160]}")

    def _text(self, error: object) -> str:
        return " ".join(redact_text(str(error), self.spec.secrets).split())

    def close(self) -> None:
        """Close the session; never raises. The channel goes first: freed after its session it would take the process with it."""
        for name in ("_channel", "_session"):
            with contextlib.suppress(Exception):
                getattr(self, name).close()
            setattr(self, name, None)
        if self._socket is not None and self._handed >= 0:
            # Some builds of libssh close the descriptor they were given, others leave it; never close one that is somebody else's by now.
            with contextlib.suppress(OSError):
                if os.fstat(self._handed).st_ino == os.fstat(self._socket.fileno()).st_ino:
                    os.close(self._handed)
            self._handed = -1
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class LibsshShell(LibsshLogin):
    """A logged-in shell that reads: paging off, enable mode where a secret is given. Not shared between threads."""

    def __init__(self, spec: TargetSpec) -> None:
        self.prompt = ""
        super().__init__(spec)
        try:
            self._settle()
        except BaseException:
            self.close()
            raise

    def _settle(self) -> None:
        """Find the prompt, turn paging off, enter enable mode where a secret is given."""
        self._until_prompt(PROMPT_SECONDS, "login")
        if self.spec.enable_password and self.prompt.endswith(">"):
            self._enable()
        for line in ("terminal length 0", f"terminal width {COLUMNS}"):
            self._send(line)
            self._until_prompt(PROMPT_SECONDS, line)

    def _enable(self) -> None:
        self._send("enable")
        text = self._until(
            lambda text: bool(re.search(r"(?i)password: ?\Z", text) or PROMPT.search(text)), PROMPT_SECONDS, "enable"
        )
        if not PROMPT.search(text):
            self._send(self.spec.enable_password)
            text = self._until(
                lambda text: bool(re.search(r"(?i)password: ?\Z", text) or PROMPT.search(text)),
                PROMPT_SECONDS,
                "enable",
            )
        found = PROMPT.search(text)
        if found is None or not found[1].endswith("#"):
            raise FindingError(codes.ENABLE_REFUSED.at(self.spec.name))
        self.prompt = found[1]

    # -- commands

    def show(self, text: str, seconds: float = 60.0) -> str:
        """Return a show command's output without echo and prompt; ``seconds`` bounds each silence.

        FindingError SW4261 where the session is lost or silent. Raises ValueError for anything but one line that begins with ``show``.
        """
        if not re.fullmatch(r"show [\x20-\x7e]{1,200}", text):
            raise ValueError("only show commands are sent over this transport")
        self._send(text)
        output = self._until_prompt(seconds, text)
        lines = output.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        while lines and (
            not lines[0].strip() or lines[0].strip() == text or lines[0].strip() == f"{self.prompt}{text}"
        ):
            lines.pop(0)
        return "\n".join(lines[:-1])

    def _send(self, line: str) -> None:
        try:
            self._channel.sendall(line.encode("ascii", "replace") + b"\r")
        except (pylibssh_errors.LibsshException, OSError) as error:
            raise FindingError(codes.SESSION_LOST.at(f"{self.spec.name}: {self._text(error)[:120]}")) from None

    def _until_prompt(self, seconds: float, what: str) -> str:
        text = self._until(self._prompted, seconds, what)
        found = PROMPT.search(text)
        if found is not None:
            self.prompt = found[1]
        return text

    def _prompted(self, text: str) -> bool:
        found = PROMPT.search(text[-120:])
        if found is None:
            return False
        # Once the prompt is known, only the same host name ends an output: a line of a banner may look like a prompt.
        return not self.prompt or found[1][:-1] == self.prompt[:-1]

    def _until(self, done: Any, seconds: float, what: str) -> str:
        """Read until ``done(text so far)``; answers pager prompts. FindingError after ``seconds`` without a new character."""
        pieces: list[str] = []
        tail, size, last = "", 0, time.monotonic()
        longest = last + max(LONGEST_SECONDS, 4 * seconds)
        while True:
            data = self._read(what)
            if data:
                text = data.decode("utf-8", "replace")
                pieces.append(text)
                size, last = size + len(text), time.monotonic()
                tail = (tail + text)[-200:]
                if size > LARGEST_OUTPUT:
                    raise FindingError(
                        codes.SESSION_LOST.at(
                            f"{self.spec.name}: during {what[:60]!r} (more than {LARGEST_OUTPUT} bytes)"
                        )
                    )
                if done(tail):
                    return "".join(pieces)
                if last > longest:
                    raise FindingError(codes.SESSION_LOST.at(f"{self.spec.name}: during {what[:60]!r} (no end of it)"))
                if MORE.search(tail):
                    tail = ""
                    self._channel.sendall(b" ")
            elif time.monotonic() - last > seconds:
                raise FindingError(
                    codes.SESSION_LOST.at(f"{self.spec.name}: during {what[:60]!r} (silent for {seconds:g} s)")
                )
            elif self._socket is not None:
                # What libssh has read but not decoded yet shows on no socket: the wait is short.
                select.select([self._socket], [], [], PAUSE)

    def _read(self, what: str) -> bytes:
        try:
            data = self._channel.read_nonblocking(65536)
            if not data and self._channel.is_eof:
                raise FindingError(
                    codes.SESSION_LOST.at(f"{self.spec.name}: during {what[:60]!r} (closed by the device)")
                )
        except (pylibssh_errors.LibsshException, OSError) as error:
            raise FindingError(
                codes.SESSION_LOST.at(f"{self.spec.name}: during {what[:60]!r} ({self._text(error)[:120]})")
            ) from None
        return bytes(data or b"")


class LibsshChannel(LibsshLogin):
    """A shell as paramiko's channel gives it: what netmiko and ``ios_terminal`` use of one, and no more.

    Ends as a channel does: ``recv`` returns nothing when the device has closed it, raises TimeoutError where nothing comes in time and
    OSError where the session is lost.
    """

    def __init__(self, spec: TargetSpec) -> None:
        self._seconds: float | None = None
        self._held = b""
        self._ended = False
        super().__init__(spec)

    def settimeout(self, seconds: float | None) -> None:
        """Set how long ``recv`` waits, None for ever."""
        self._seconds = seconds

    def recv_ready(self) -> bool:
        """Return whether ``recv`` would return at once; also at the end, so that it is noticed."""
        self._take()
        return bool(self._held) or self._ended

    def recv(self, size: int) -> bytes:
        """Return what has come, at most so many bytes."""
        started = time.monotonic()
        while not self.recv_ready():
            if self._seconds is not None and time.monotonic() - started >= self._seconds:
                raise TimeoutError
            if self._socket is not None:
                # What libssh has read but not decoded yet shows on no socket: the wait is short.
                select.select([self._socket], [], [], PAUSE)
        data, self._held = self._held[:size], self._held[size:]
        return data

    def sendall(self, data: bytes) -> None:
        """Send it all."""
        if self._channel is None:
            raise OSError("the session is closed")
        try:
            self._channel.sendall(data)
        except pylibssh_errors.LibsshException as error:
            raise OSError(self._text(error)[:120]) from None

    def _take(self) -> None:
        if self._held or self._ended:
            return
        if self._channel is None:
            raise OSError("the session is closed")
        try:
            self._held = bytes(self._channel.read_nonblocking(65536) or b"")
            self._ended = not self._held and bool(self._channel.is_eof)
        except pylibssh_errors.LibsshException as error:
            raise OSError(self._text(error)[:120]) from None

    # -- what is asked of a channel's transport

    def get_transport(self) -> LibsshChannel:
        """Return what has the socket."""
        return self

    @property
    def sock(self) -> socket.socket:
        """The socket; OSError where the session is closed."""
        if self._socket is None:
            raise OSError("the session is closed")
        return self._socket
