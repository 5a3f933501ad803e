# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH sessions over netmiko: strict host keys, one login attempt, every failure a finding without credentials."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.known_hosts import lines_for
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.libssh import LibsshChannel
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

netmiko = guarded("netmiko")
netmiko_channel = guarded("netmiko.channel")
netmiko_exceptions = guarded("netmiko.exceptions")
paramiko = guarded("paramiko")

ENABLE_SECONDS = 10.0
CONNECT_SECONDS = 15.0
# A line that begins so tells of an error; a caret alone marks the place in the line before it (facts/devices.md section 5.4).
# A log message without a time stamp begins with a percent sign too, but has facility, level and mnemonic.
ERROR_PATTERN = r"(?m)^\s*%(?![A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:).*$|^\s*\^\s*$"


def open_session(
    spec: TargetSpec, device_type: str, connect: Callable[..., Any] | None = None, *, prepare: bool = True
) -> Any:
    """Return a netmiko connection. ``connect``: used in place of netmiko's own choice. ``prepare``: in enable mode where the
    platform has one, with paging off and the prompt known; else as it is after the login.

    Host keys are checked against the spec's file, or the user's. ``spec.transport`` libssh: the same connection over libssh instead of
    paramiko. Raises FindingError SW4202 to SW4208, SW4464 where libssh cannot be used.
    """
    require(netmiko, paramiko)
    over_libssh = spec.transport == "libssh"
    if over_libssh and device_type == "linux":
        raise FindingError(codes.NO_LIBSSH.at(f"{spec.name}: a firewall of nftables is reached over netmiko"))
    arguments: dict[str, Any] = {
        "device_type": device_type,
        "host": spec.address,
        "port": spec.service_port,
        "username": spec.username,
        "password": spec.password or None,
        "secret": spec.enable_password,
        "use_keys": False,
        "allow_agent": False,
        "ssh_strict": True,
        "system_host_keys": not spec.known_hosts_file,
        "alt_host_keys": bool(spec.known_hosts_file),
        "alt_key_file": lines_for(spec.known_hosts_file, spec.address, spec.service_port),
        "conn_timeout": min(spec.timeout, CONNECT_SECONDS),
        "auth_timeout": spec.timeout,
        "banner_timeout": spec.timeout,
    }
    if spec.private_key_file:
        arguments["key_file"] = spec.private_key_file
    try:
        if not over_libssh:
            arguments["sock"] = _socket(spec)
    except OSError as error:
        raise FindingError(_connect_finding(spec, error)) from None
    try:
        return _opened(arguments, spec, connect, prepare)
    except BaseException:
        if "sock" in arguments:
            arguments["sock"].close()
        raise


def _socket(spec: TargetSpec) -> socket.socket:
    """Return a TCP connection that sends small packets at once.

    paramiko leaves Nagle's algorithm on, and twice in a login sends a second packet before the first is acknowledged: each time it
    waits until the other side's delayed acknowledgement comes, 40 ms where that is Linux.
    """
    made = socket.create_connection((spec.address, spec.service_port), min(spec.timeout, CONNECT_SECONDS))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _opened(arguments: dict[str, Any], spec: TargetSpec, connect: Callable[..., Any] | None, prepare: bool) -> Any:
    try:
        over_libssh = spec.transport == "libssh"
        at_once = prepare and not over_libssh
        connection = (connect or netmiko.ConnectHandler)(**arguments, **({} if at_once else {"auto_connect": False}))
        if over_libssh:
            _attach_libssh(connection, spec)
            if prepare:
                connection._try_session_preparation()
        elif not prepare:
            connection.establish_connection()
    except netmiko_exceptions.NetmikoAuthenticationException:
        raise FindingError(codes.LOGIN_REFUSED.at(f"{spec.name}: {spec.username}@{spec.address}")) from None
    except (netmiko_exceptions.NetmikoTimeoutException, paramiko.SSHException, OSError, EOFError) as error:
        raise FindingError(_connect_finding(spec, error)) from None
    except (netmiko_exceptions.ReadTimeout, netmiko_exceptions.ReadException, ValueError) as error:
        raise FindingError(
            codes.NO_ANSWER.at(f"{spec.name}: no prompt after the login ({type(error).__name__})")
        ) from None
    return connection


def _attach_libssh(connection: Any, spec: TargetSpec) -> None:
    """Give a netmiko connection that is not connected yet a shell over libssh: from there on it is used as ever."""
    channel = LibsshChannel(spec)
    channel.settimeout(spec.timeout)
    connection.remote_conn_pre, connection.remote_conn = None, channel
    connection.channel = netmiko_channel.SSHChannel(conn=channel, encoding=connection.encoding)
    connection.special_login_handler()


def enable(connection: Any, spec: TargetSpec) -> None:
    """Enter enable mode with one attempt; FindingError SW4207 where the secret is refused.

    netmiko sees a refused secret as a missing prompt after ten seconds (facts/lab.md section 3), so the answer is read here.
    """
    if connection.check_enable_mode():
        return
    try:
        output = connection.send_command(
            "enable",
            expect_string=r"(?i)password|[#>]\s*$",
            read_timeout=ENABLE_SECONDS,
            strip_prompt=False,
            strip_command=False,
            cmd_verify=False,
        )
        if re.search(r"(?i)password", output):
            connection.write_channel(connection.normalize_cmd(spec.enable_password))
            output = connection.read_until_pattern(
                pattern=r"[Pp]assword:|[Bb]ad secrets|[#>]\s*$|denied", read_timeout=ENABLE_SECONDS
            )
        accepted = output.rstrip().endswith("#")
    except (netmiko_exceptions.ReadTimeout, netmiko_exceptions.ReadException) as error:
        close_session(connection)
        raise FindingError(codes.NO_ANSWER.at(f"{spec.name}: no answer to enable ({type(error).__name__})")) from None
    if not accepted:
        close_session(connection)
        raise FindingError(codes.ENABLE_REFUSED.at(spec.name))


def _connect_finding(spec: TargetSpec, error: BaseException) -> Finding:
    text = " ".join(redact_text(str(error), spec.secrets).split())
    if re.search(r"(?i)known_hosts|host key|does not match|not found in", text):
        return codes.HOST_KEY.at(f"{spec.name} ({spec.address} port {spec.service_port})")
    return codes.UNREACHABLE.at(f"{spec.name} ({spec.address} port {spec.service_port}): {_short(text)}")


def _short(text: str) -> str:
    return text.split("Common causes", maxsplit=1)[0].strip()[:160]


def command(connection: Any, text: str, spec: TargetSpec, seconds: float = 60.0) -> str:
    """Return a command's output, prompt and echo removed; FindingError SW4261 where the session is lost or silent."""
    known = prompt_pattern(str(getattr(connection, "base_prompt", "") or ""))
    more = {"expect_string": known} if known else {}
    return guarded_call(
        lambda: str(connection.send_command(text, read_timeout=seconds, **more)),
        spec,
        text.split("\n", maxsplit=1)[0][:60],
    )


def prompt_pattern(base: str) -> str:
    """Return a pattern for the prompt that ends an output, empty where ``base``, the name in the prompt, is not known.

    Without one netmiko asks for the prompt before each command, a round trip more, and takes the same text anywhere in an output
    for its end. Here the prompt stands alone in its line, and nothing comes after it but log messages.
    """
    if len(base) < 2:
        return ""
    alone = rf"(?<![^\r\n]){re.escape(base)}[^\s#>()]{{0,60}}(?:\([^)\s]{{1,50}}\))?[#>] ?"
    return rf"{alone}(?=\Z|[\r\n]+[^\r\n]{{0,80}}%[A-Z0-9_-]+-[0-7]-[A-Z0-9_]+:)"


def guarded_call(call: Callable[[], str], spec: TargetSpec, what: str) -> str:
    """Return what a call on a session returns; every way of losing the session is one finding."""
    try:
        return call()
    except netmiko_exceptions.ConfigInvalidException as error:
        raise FindingError(codes.CLI_ERROR.at(f"{spec.name}: {_refused_line(str(error), spec)}")) from None
    except (
        netmiko_exceptions.ReadTimeout,
        netmiko_exceptions.ReadException,
        netmiko_exceptions.WriteException,
        netmiko_exceptions.NetmikoTimeoutException,
        paramiko.SSHException,
        OSError,
        EOFError,
        AttributeError,
        ValueError,
    ) as error:
        raise FindingError(codes.SESSION_LOST.at(f"{spec.name}: during {what!r} ({type(error).__name__})")) from None


def _refused_line(text: str, spec: TargetSpec) -> str:
    """Return the line and the device's message of netmiko's exception."""
    clean = redact_text(text, spec.secrets)
    marks = re.findall(r"% ?[^%\n]+", clean.split("matched error:", maxsplit=1)[-1])
    command_line = re.search(r"(?i)at command: (.*?)(?:, matched error|$)", clean)
    told = " ".join(marks) or " ".join(clean.partition("matched error:")[2].replace("^", " ").split()) or "refused"
    return f"{command_line[1].strip() if command_line else 'a line'}: {told}"[:300]


def close_session(connection: Any) -> None:
    """Close a session at once; never raises. netmiko's own way asks a session that no longer answers to leave its modes first."""
    channel = getattr(connection, "remote_conn", None)
    if isinstance(channel, LibsshChannel):  # netmiko before 4.6 closes paramiko's client alone
        channel.close()
    try:
        connection.paramiko_cleanup()
    except Exception:  # noqa: S110
        pass
