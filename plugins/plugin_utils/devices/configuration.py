# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration without secrets, without what changes by itself and without what we write; and how two of them differ. Pure.

The text is for people to keep and sign (docs/devices-configuration.md). A secret leaves a mark where it stood, so that a key that was
added or taken away shows; that it was changed does not.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.lines import (
    CONTROL,
    ECHO,
    LARGEST,
    MORE,
    REFUSAL,
)

HEADER = "! segwright configuration 1 of {}"
SECRET = "<secret>"  # noqa: S105 - the mark that takes a secret's place
OWN = "SW_"
_OWN_HEAD = re.compile(
    r"\A(?:(?:ip access-list extended|ipv6 access-list) SW_\S+__[abc]|ip(?:v6)? access-list role-based SW_\S+)\Z"
)
_OWN_LINE = re.compile(r"\A\s*(?:ip access-group|ipv6 traffic-filter) SW_\S+__[abc] (?:in|out)\Z")
_VOLATILE = re.compile(
    r"\A(?:Building configuration|Current configuration ?: |Using \d+ out of |ntp clock-period |Load for five secs|Time source is )"
)
# Before: what stays. The secret is the next word, or the rest of the line.
_ONE_WORD = re.compile(
    r"(?P<before>\b(?:(?:secret|password)(?: level \d+| sha512| pbkdf2)?|server-key|key-string|"
    r"pre-shared-key(?: local| remote)?(?: address \S+(?: \d+\.\S+)? key)?(?: hex)?|shared-secret|mode md5 key|password-encrypt|"
    r"message-digest-key \d+ md5|authentication-key(?: \d+ md5)?|pac key|key-octet-string|psk(?: set-key)?(?: ascii| hex)?|"
    r"community|passphrase|auth (?:md5|sha\S*)|"
    r"priv (?:des|3des|aes(?: \d+)?)|isakmp key|authentication text|md5-key|wep-key)(?: [0-9])?) (?P<secret>\S+)"
)
_KEY = re.compile(r"\A(?P<before>\s*(?:.*\b(?:radius|tacacs)(?:-server)? (?:.* )?)?key(?: [0-9])?) (?P<secret>\S+)\Z")
_COMMUNITY = re.compile(
    r"\A(?P<before>snmp-server (?:community|host \S+(?: vrf \S+)?(?: (?:traps|informs))?(?: version \S+(?: (?:auth|noauth|priv))?)?))"
    r" (?P<secret>\S+)"
)
# First hop redundancy: the word itself, where it is not said how it is meant.
_PLAIN = re.compile(r"\A(?P<before>\s+(?:standby|vrrp|glbp)(?: \d+)? authentication) (?!md5\b|text\b)(?P<secret>\S+)")
_URL = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:/@]+:)(?P<secret>[^\s/]+)@")
_VARIABLE = re.compile(r"\A(?P<before>event manager environment \S*(?i:pass|pw|secret|key|token)\S*) (?P<secret>.+)\Z")
_CERTIFICATE = re.compile(r"\A\s+certificate (?:self-signed |ca )?[0-9A-F]+\Z")


@dataclass(frozen=True)
class Deviation:
    """How a configuration differs from another: lines that were added and that are missing, each with the head of its block."""

    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Return whether there is none."""
        return not self.added and not self.missing


def normalised(text: str, host: str) -> str:
    """Return a running configuration for keeping, its first line naming the host.

    Left out: comments, what changes by itself, and lists, attachments and cells of this collection (names with ``SW_``), which its
    journal and ``policy_verify`` answer for. Secrets become ``<secret>``; a certificate becomes the hash of its text. Raises
    FindingError SW1322 where the device refused the command, SW1324 where the text does not close with ``end``.
    """
    if len(text) > LARGEST:
        raise FindingError(codes.OUTPUT_CUT.at(f"output of more than {LARGEST} characters", Location(host)))
    lines = list(_kept(text))
    if "end" not in lines:
        raise FindingError(codes.OUTPUT_CUT.at("the configuration does not close with end", Location(host)))
    return "\n".join([HEADER.format(host), *lines[: lines.index("end")], "end", ""])


def _kept(text: str) -> Iterator[str]:
    own = False
    certificate: list[str] | None = None
    for raw in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = CONTROL.sub("", MORE.sub("", raw)).rstrip()
        if REFUSAL.match(line):
            raise FindingError(codes.OUTPUT_REFUSED.at(line.strip()[:160]))
        if certificate is not None:
            if line.strip() == "quit":
                yield f"  sha256 {hashlib.sha256(''.join(certificate).encode()).hexdigest()}"
                certificate = None
            else:
                certificate.append("".join(line.split()))
            continue
        if not line.strip() or line.lstrip().startswith("!") or _VOLATILE.match(line) or ECHO.match(line):
            continue
        if not line.startswith(" "):
            own = bool(_OWN_HEAD.match(line))
        if own or _OWN_LINE.match(line) or _own_cell(line):
            continue
        yield without_secrets(line)
        if _CERTIFICATE.match(line):
            certificate = []


def _own_cell(line: str) -> bool:
    words = line.split()
    return words[:3] == ["cts", "role-based", "permissions"] and any(word.startswith(OWN) for word in words[3:])


def without_secrets(line: str) -> str:
    """Return a configuration line with every password, key and community string replaced by a mark."""
    found = _COMMUNITY.match(line)
    if found:
        line = f"{found['before']} {SECRET}{line[found.end() :]}"
    line = _URL.sub(lambda match: f"{match['before']}{SECRET}@", line)
    line = _ONE_WORD.sub(lambda match: f"{match['before']} {SECRET}", line)
    found = _KEY.match(line) or _PLAIN.match(line) or _VARIABLE.match(line)
    return f"{found['before']} {SECRET}" if found else line


def host_of(text: str) -> str:
    """Return the host that a kept configuration names, empty where it names none."""
    first = text.partition("\n")[0]
    start = HEADER.format("")
    return first[len(start) :].strip() if first.startswith(start) else ""


def deviation(known_good: str, now: str) -> Deviation:
    """Return how a configuration differs from the known-good one, line by line within blocks.

    Order counts inside an access list and a policy, where it decides; the order of blocks does not.
    """
    before, after = _lines(known_good), _lines(now)
    added, missing = after - before, before - after
    return Deviation(tuple(sorted(added.elements())), tuple(sorted(missing.elements())))


_ORDERED = re.compile(
    r"\A(?:ip access-list|ipv6 access-list|policy-map|vlan access-map|route-map|access-list|object-group) "
)


def _lines(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    head = before = ""
    for line in _content(text.splitlines()):
        if not line.startswith(" "):
            head, before = line, ""
            found[line] += 1
            continue
        ordered = f" (after: {before})" if before and _ORDERED.match(head) and not re.match(r"\s*\d+ ", line) else ""
        found[f"{head} | {line.strip()}{ordered}"] += 1
        before = line.strip()
    return found


def _content(lines: Iterable[str]) -> Iterator[str]:
    return (line.rstrip() for line in lines if line.strip() and not line.startswith("!"))
