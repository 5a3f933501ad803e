# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parsers of show output share: lines without furniture, refusals, tokens.

Furniture is the prompt with the echoed command (which a narrow terminal wraps), ``terminal exec prompt timestamp`` lines, rules and
blank lines (facts/devices.md section 2.4). Everything else must be understood or becomes a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Code,
    Finding,
    FindingError,
    Location,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes

LARGEST = 64 << 20
PROMPT = r"[A-Za-z0-9_.:/()@-]{1,80}[#>]"
ECHO = re.compile(rf"\A\s*(?:{PROMPT}\s*)?(?:do\s+)?sh(?:o|ow)?\s+\S.*\Z")
BARE_PROMPT = re.compile(rf"\A\s*{PROMPT}\s*\Z")
WRAPPED = re.compile(r"\A\s*(?:details?|interface|sessions?|binding|database)\s*\Z")
CLOCK = re.compile(
    r"\A\s*(?:Load for five secs:|Time source is |No time source,|\*?[\d:.]+ [A-Z]{3,5} (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )"
)
RULE = re.compile(r"\A[\s=+-]*\Z")
REFUSAL = re.compile(
    r"\A\s*(?:% ?(?:Invalid input|Incomplete command|Ambiguous command|Unknown command|Bad |Unrecognized)|%? ?Command authorization failed"
    r"|% ?Authorization failed|% ?Access denied)",
    re.IGNORECASE,
)
MORE = re.compile(r" ?--More-- ?|\x08+ *\x08*|<--- More --->")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\x1b\[[0-9;?]*[A-Za-z]")
INTERFACE = re.compile(
    r"\A(?:Fa|FastEthernet|Gi|GigabitEthernet|Tw|Two|TwoGigabitEthernet|Fi|Five|FiveGigabitEthernet|Te|Ten|TenGigabitEthernet|Twe|TwentyFiveGigE"
    r"|TwentyFiveGigabitEthernet|Fo|FortyGigabitEthernet|Fif|FiftyGigE|Hu|HundredGigE|HundredGigabitEthernet|FourHundredGigE|Ap|Ap1/0/"
    r"|AppGigabitEthernet|Et|Eth|Ethernet|Po|Port-channel|port-channel|Vl|Vlan|Tu|Tunnel|Lo|Loopback|BDI|BD|Se|Serial|Mgmt|Nu|Null|Ca|Capwap|Wl|Wlan"
    r"|pw|Pw|vmi|Ac|nve|Bu|Bundle-Ether|Group-Async|mgmt|LISP|Li|Virtual-Access|Vi)\d+(?:[/.:]\d+){0,4}\Z"
)
LONG_NAMES = {
    "Fa": "FastEthernet", "Gi": "GigabitEthernet", "Tw": "TwoGigabitEthernet", "Two": "TwoGigabitEthernet",
    "Fi": "FiveGigabitEthernet", "Five": "FiveGigabitEthernet", "Te": "TenGigabitEthernet", "Ten": "TenGigabitEthernet",
    "Twe": "TwentyFiveGigE", "Fif": "FiftyGigE", "Fo": "FortyGigabitEthernet", "Hu": "HundredGigE", "Ap": "AppGigabitEthernet",
    "Et": "Ethernet", "Eth": "Ethernet", "Po": "Port-channel", "port-channel": "Port-channel", "Vl": "Vlan", "Tu": "Tunnel",
    "Lo": "Loopback", "Se": "Serial", "Nu": "Null", "Ca": "Capwap",
}  # fmt: skip
MAC = re.compile(r"\A(?:[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})\Z")


@dataclass(frozen=True)
class Line:
    """A line of output: number from 1 and text without line end or control characters."""

    number: int
    text: str

    @property
    def stripped(self) -> str:
        """Return the text without blanks around it."""
        return self.text.strip()


@dataclass
class Remarks:
    """Findings of one parse; ``command`` stands in them for a file."""

    command: str
    findings: list[Finding] = field(default_factory=list)

    def unknown(self, line: Line) -> None:
        """Note a line that was not understood."""
        self.note(codes.LINE_UNKNOWN, f"not understood: {line.stripped[:120]!r}", line.number)

    def note(self, code: Code, text: str, number: int = 0) -> None:
        """Note a finding."""
        self.findings.append(code.at(text, Location(self.command, number)))


def lines_of(text: str, command: str) -> list[Line]:
    """Return the lines that carry something.

    Raises FindingError SW1322 where the device refused the command, SW1324 where the output is too long.
    """
    if len(text) > LARGEST:
        raise FindingError(codes.OUTPUT_CUT.at(f"output of more than {LARGEST} characters", Location(command)))
    made: list[Line] = []
    echoed = False
    for number, raw in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        clean = CONTROL.sub("", MORE.sub("", raw)).rstrip()
        if REFUSAL.match(clean):
            raise FindingError(codes.OUTPUT_REFUSED.at(clean.strip()[:160], Location(command, number)))
        if ECHO.match(clean):
            echoed = True
            continue
        if echoed and WRAPPED.match(clean):
            continue
        if RULE.match(clean) or CLOCK.match(clean) or BARE_PROMPT.match(clean):
            echoed = echoed and not clean
            continue
        echoed = False
        made.append(Line(number, clean))
    return made


def mac_text(text: str) -> str:
    """Return a MAC in lower case with colons, group addresses too; raises ValueError."""
    if not MAC.match(text):
        raise ValueError(f"{text[:40]!r} is not a MAC address")
    digits = re.sub(r"[.:-]", "", text).lower()
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def long_interface(name: str) -> str:
    """Return an interface name with its type spelled out (Gi1/0/1 -> GigabitEthernet1/0/1); other names unchanged."""
    found = re.match(r"\A([A-Za-z-]+)(\d.*)\Z", name)
    if not found:
        return name
    return LONG_NAMES.get(found[1], found[1]) + found[2]


def pairs(lines: list[Line]) -> Iterator[tuple[Line, str, str]]:
    """Yield (line, key, value) of lines as ``key: value``; key is empty where there is no colon."""
    for line in lines:
        key, colon, value = line.stripped.strip("*").partition(":")
        yield (line, key.strip(), value.strip().rstrip("*")) if colon else (line, "", line.stripped)
