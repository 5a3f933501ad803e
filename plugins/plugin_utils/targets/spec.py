# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed to reach a target. Credentials stay inside and out of every text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes

PLATFORMS = ("ise", "ios", "nxos", "asa", "nftables")
DEFAULT_PORTS = {"ise": 443, "ios": 22, "nxos": 22, "asa": 22, "nftables": 22}


@dataclass(frozen=True)
class TargetSpec:
    """One target.

    ``known_hosts_file`` holds the host keys that are accepted; the user's and the system's files where empty. ``ca_file`` is the
    certificate authority of ISE; the system's where empty. ``version`` is ISE's version, ``other_urls`` are further
    administration nodes of the same deployment, ``rate`` the most requests a second. ``adopt`` allows changing objects that are
    not marked as ours, ``adopt_names`` those named as ``kind/name``. ``cascade`` names the cells that an SGT may take with it,
    ``delete`` as ``kind/name`` what may be deleted although it was there before it was taken over.
    ``assignment_pause``: seconds before each endpoint assignment. ``block_lines``: lines on their way to a switch at a time,
    1 for line by line. ``facts_transport`` and ``transport`` (of changes): netmiko or libssh. ``ssh_legacy``: also algorithms of old
    images (SHA-1, CBC), over libssh only. ``timeout`` in seconds.
    ``context``: of an ASA that has several.
    """

    name: str
    platform: str
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    enable_password: str = field(default="", repr=False)
    private_key_file: str = ""
    known_hosts_file: str = ""
    base_url: str = ""
    other_urls: tuple[str, ...] = ()
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    proxy: str = field(default="", repr=False)
    rate: float = 100.0
    snapshot_file: str = ""
    version: str = "3.3_patch_1"
    timeout: float = 30.0
    adopt: bool = False
    adopt_names: tuple[str, ...] = ()
    cascade: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    assignment_pause: float = 1.0
    block_lines: int = 16
    facts_transport: str = "netmiko"
    transport: str = "netmiko"
    ssh_legacy: bool = False
    context: str = ""
    revert_seconds: int = 60
    table: str = "segwright"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TargetSpec:
        """Return the spec of a plain mapping; unknown keys and empty values are left out. FindingError SW4200, SW4201."""
        known = {item.name: item.type for item in fields(cls)}
        given = {key: value for key, value in values.items() if key in known and value not in (None, "")}
        try:
            numbers = {
                "port": int,
                "block_lines": int,
                "revert_seconds": int,
                "timeout": float,
                "rate": float,
                "assignment_pause": float,
            }
            for key, kind in numbers.items():
                if key in given:
                    given[key] = kind(given[key])
            for key in ("adopt_names", "cascade", "delete"):
                if key in given:
                    given[key] = tuple(str(item) for item in given[key])
            for key in (
                "private_key_file",
                "known_hosts_file",
                "ca_file",
                "client_certificate",
                "client_key",
                "snapshot_file",
            ):
                if key in given:
                    given[key] = os.path.expanduser(str(given[key]))
            given["other_urls"] = tuple(str(url) for url in given.get("other_urls", ()))
            made = cls(**{**given, "name": str(given.get("name", "")), "platform": str(given.get("platform", ""))})
        except (TypeError, ValueError) as error:
            raise FindingError(codes.BAD_SPEC.at(f"target {values.get('name', '?')}: {type(error).__name__}")) from None
        made.check()
        return made

    def check(self) -> None:
        """Raise FindingError where something is missing or not safe to use."""
        if self.platform not in PLATFORMS:
            raise FindingError(codes.UNSUPPORTED_PLATFORM.at(f"target {self.name}: platform {self.platform!r}"))
        for value, what in ((self.name, "target name"), (self.host or self.name, "host")):
            found = name_finding(value, HOST_NAME, what) if ":" not in value else None
            if found is not None:
                raise FindingError(found)
        if self.platform != "ise" and not self.username:
            raise FindingError(codes.BAD_SPEC.at(f"target {self.name}: no user name"))
        if {self.transport, self.facts_transport} - {"netmiko", "libssh"}:
            raise FindingError(codes.BAD_SPEC.at(f"target {self.name}: the transport is netmiko or libssh"))
        for path, what in ((self.known_hosts_file, "known hosts file"), (self.private_key_file, "private key file")):
            if path and not os.path.isfile(path):
                raise FindingError(codes.BAD_SPEC.at(f"target {self.name}: the {what} {path} does not exist"))

    @property
    def address(self) -> str:
        """Return the address or name to connect to."""
        return self.host or self.name

    @property
    def service_port(self) -> int:
        """Return the port to connect to."""
        return self.port or DEFAULT_PORTS[self.platform]

    @property
    def url(self) -> str:
        """Return the base URL of ISE."""
        if self.base_url:
            return self.base_url
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{host}" if self.service_port == 443 else f"https://{host}:{self.service_port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must never appear in a text."""
        return tuple(value for value in (self.password, self.enable_password) if value)
