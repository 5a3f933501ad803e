# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that may reach a command line, a file path, an ISE object or a page."""

from __future__ import annotations

import re

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location

# Legal on every platform in facts/devices.md section 1.1 and for SGTs and SGACLs (facts/ise.md section 4).
IDENTIFIER = re.compile(r"\A[A-Za-z][A-Za-z0-9_]{0,31}\Z")
ACL_NAME = re.compile(r"\A[A-Za-z][A-Za-z0-9_-]{0,62}\Z")
INTERFACE = re.compile(r"\A[A-Za-z][A-Za-z-]{0,31}[0-9]{0,4}(?:[/.:][0-9]{1,5}){0,4}\Z")
HOST_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,252}\Z")


def name_finding(name: object, pattern: re.Pattern[str], what: str, location: Location | None = None) -> Finding | None:
    """Return a finding when the name does not match the pattern whole, else None."""
    if isinstance(name, str) and pattern.match(name):
        return None
    shown = repr(name)[:80]
    return codes.UNSAFE_NAME.at(f"{what} {shown} has characters or a length that are not allowed", location)


def safe_name(name: str, pattern: re.Pattern[str] = ACL_NAME) -> str:
    """Return the name, or raise ValueError: the last guard before a name is written anywhere."""
    if not pattern.match(name):
        raise ValueError(f"unsafe name {name[:80]!r}")
    return name
