# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch enforces of ISE's policy: sessions with their downloaded lists, cells of the matrix, and counters. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes as change_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.carriers import (
    Revision,
    SwitchSession,
    SwitchView,
    revision_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.counting import CellCount
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.cts import counters, list_entries
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.sessions import (
    SessionDetails,
    session_details,
    sessions,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.sgacl_cells import Cell, read_cells
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_session import IosSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.wlc_facts import (
    SUMMARY,
    read_wireless,
    session_details_of,
)

WORKERS = 8
BUILT_IN = {"Permit IP": "permit ip", "Deny IP": "deny ip"}
_LIST = re.compile(r"\A[A-Za-z][A-Za-z0-9_.-]{0,127}\Z")
_REFUSED = frozenset((codes.CLI_ERROR.number,))


class Show(Protocol):
    """What is needed of IosSession."""

    def show(self, text: str, seconds: float = 180.0) -> str:
        """Return a show command's output."""

    def close(self) -> None:
        """Close the session; never raises."""


@dataclass(frozen=True)
class SwitchCell:
    """One cell as a switch has it: tags, text of its lists in order (empty where one could not be read), and how it is enforced."""

    source: int
    destination: int
    text: str
    monitored: bool
    configured: bool
    lists: tuple[str, ...] = ()
    unread: str = ""


@dataclass(frozen=True)
class Enforced:
    """What one switch shows. ``tags``: destination groups that it knows, for which it must hold cells."""

    view: SwitchView
    cells: tuple[SwitchCell, ...] = ()
    counts: tuple[CellCount, ...] = ()
    findings: tuple[Finding, ...] = field(default=())


def read_switches(
    specs: Sequence[TargetSpec],
    names: Collection[str],
    pairs: Collection[tuple[int, int]],
    opener: Callable[[TargetSpec], Show] = IosSession,
) -> tuple[list[Enforced], list[Finding]]:
    """Return what these switches enforce of the named downloadable ACLs and of the cells of these pairs of tags, side by side.

    A switch that cannot be asked is a finding (SW4108); the others are still told.
    """

    def read(spec: TargetSpec) -> Enforced | Finding:
        try:
            shell = opener(spec)
        except FindingError as error:
            return change_codes.SWITCH_UNREAD.at(f"{spec.name}: {error.findings[0].message}")
        try:
            return read_switch(shell, spec.name, names, pairs)
        except FindingError as error:
            return change_codes.SWITCH_UNREAD.at(f"{spec.name}: {error.findings[0].message}")
        finally:
            shell.close()

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        found = list(pool.map(read, specs))
    seen = [item for item in found if isinstance(item, Enforced)]
    return seen, [item for item in found if isinstance(item, Finding)] + [f for item in seen for f in item.findings]


def read_switch(shell: Show, switch: str, names: Collection[str], pairs: Collection[tuple[int, int]]) -> Enforced:
    """Return what one switch enforces; FindingError where its session is lost."""
    findings: list[Finding] = []
    view = _view(shell, switch, names, findings) if names else SwitchView(switch, {})
    cells, counts = _matrix(shell, switch, pairs, findings) if pairs else ((), ())
    return Enforced(view, cells, counts, tuple(findings))


def read_view(shell: Show, switch: str, names: Collection[str]) -> SwitchView:
    """Return sessions and the texts of the named downloadable ACLs that they carry."""
    return _view(shell, switch, names, [])


def _view(shell: Show, switch: str, names: Collection[str], findings: list[Finding]) -> SwitchView:
    found: dict[str, SwitchSession] = {}
    for item in _details(shell, switch, findings):
        if item.mac:
            found[item.mac] = SwitchSession(
                switch, item.interface, item.mac, item.addresses, _revisions(item), item.authorized, item.sgt
            )
    shown = {item for session in found.values() for item in session.revisions if item.name in names}
    texts: dict[str, str] = {}
    for revision in sorted(shown, key=lambda each: each.shown):
        if not _LIST.match(revision.shown):
            continue
        try:
            command = "show ipv6 access-list" if revision.family == 6 else "show ip access-lists"
            lines, _matches = _entries(shell, f"{command} {revision.shown}")
        except FindingError as error:
            _keep(error, findings, switch)
            continue
        if lines:
            texts[revision.shown] = "\n".join(lines)
    return SwitchView(switch, found, texts)


def _details(shell: Show, switch: str, findings: list[Finding]) -> list[SessionDetails]:
    """Return every session with details: of a wireless controller its clients; switches that do not know the command without a port are
    asked port by port."""
    try:
        found = list(session_details(shell.show("show access-session details")).entries)
    except FindingError as error:
        _only_refused(error)
    else:
        return found or _clients(shell, switch, findings)
    try:
        rows = sessions(shell.show("show access-session")).entries
    except FindingError as error:
        _only_refused(error)
        clients = _clients(shell, switch, findings)
        if not clients:
            _keep(error, findings, switch)
        return clients
    found = []
    for port in dict.fromkeys(row.interface for row in rows):
        try:
            found += session_details(shell.show(f"show access-session interface {port} details")).entries
        except FindingError as error:
            _keep(error, findings, switch)
    return found or _clients(shell, switch, findings)


def _clients(shell: Show, switch: str, findings: list[Finding]) -> list[SessionDetails]:
    """Return the clients of a wireless controller; none where the device does not know such a thing."""
    try:
        shell.show(SUMMARY)
    except FindingError as error:
        _only_refused(error)
        return []
    reading = read_wireless(switch, shell.show)
    findings += [change_codes.SWITCH_UNREAD.at(f"{switch}: {each.message}") for each in reading.findings]
    return session_details_of(reading.details)


def _revisions(item: SessionDetails) -> tuple[Revision, ...]:
    named = [revision_of(part) for name in item.acs_acls for part in re.split(r"[!\s,]+", name)]
    return tuple(revision for revision in named if revision is not None)


def _matrix(
    shell: Show, switch: str, pairs: Collection[tuple[int, int]], findings: list[Finding]
) -> tuple[tuple[SwitchCell, ...], tuple[CellCount, ...]]:
    try:
        cells, opaque = read_cells(shell.show("show cts role-based permissions"))
    except FindingError as error:
        _keep(error, findings, switch)
        return (), ()
    if opaque:
        text = f"{switch}: show cts role-based permissions: not understood: {opaque[0].text[:80]!r}"
        findings.append(change_codes.SWITCH_UNREAD.at(text))
    wanted = [cell for cell in cells if cell.family == 4 and (cell.source, cell.destination) in pairs]
    texts: dict[str, tuple[list[str], list[int]]] = {}
    for name in sorted({name for cell in wanted for name in cell.sgacls}):
        if _built_in(name):
            texts[name] = ([_built_in(name)], [])
        elif _LIST.match(name):
            try:
                texts[name] = _entries(shell, f"show ip access-lists {name}")
            except FindingError as error:
                _keep(error, findings, switch)
    made = tuple(_cell(cell, texts) for cell in wanted)
    return made, _counts(shell, switch, wanted, texts, findings)


def _cell(cell: Cell, texts: dict[str, tuple[list[str], list[int]]]) -> SwitchCell:
    missing = [name for name in cell.sgacls if not texts.get(name, ([], []))[0]]
    lines = [line for name in cell.sgacls for line in texts.get(name, ([], []))[0]]
    return SwitchCell(
        cell.source or 0,
        cell.destination or 0,
        "\n".join(lines),
        cell.monitored,
        cell.configured,
        cell.sgacls,
        ", ".join(missing),
    )


def _counts(
    shell: Show,
    switch: str,
    cells: Sequence[Cell],
    texts: dict[str, tuple[list[str], list[int]]],
    findings: list[Finding],
) -> tuple[CellCount, ...]:
    try:
        parsed = counters(shell.show("show cts role-based counters"))
    except FindingError as error:
        _keep(error, findings, switch)
        return ()
    findings += [change_codes.SWITCH_UNREAD.at(f"{switch}: {finding.message}") for finding in parsed.findings]
    rows = {(row.source, row.destination): row for row in parsed.entries}
    made = []
    for cell in cells:
        row = rows.get((cell.source or 0, cell.destination or 0))
        if row is None:
            continue
        entries = tuple(
            (f"{name}: {line}", matches)
            for name in cell.sgacls
            if not _built_in(name)
            for line, matches in zip(*texts.get(name, ([], [])), strict=True)
        )
        made.append(
            CellCount(
                switch,
                cell.source or 0,
                cell.destination or 0,
                row.denied,
                row.permitted,
                row.monitored,
                cell.monitored,
                entries,
            )
        )
    return tuple(made)


def _entries(shell: Show, command: str) -> tuple[list[str], list[int]]:
    """Return the entries of one list as text without numbers, and the matches counted for each."""
    parsed = list_entries(shell.show(command))
    if not parsed.whole:
        raise FindingError(*parsed.findings)
    return [item.text for item in parsed.entries], [item.matches for item in parsed.entries]


def _built_in(name: str) -> str:
    return next((text for head, text in BUILT_IN.items() if name == head or name.startswith(f"{head}-")), "")


def _only_refused(error: FindingError) -> None:
    """Raise again what is more than a command that the switch does not know."""
    if any(finding.code not in _REFUSED and finding.code.startswith("SW42") for finding in error.findings):
        raise error


def _keep(error: FindingError, findings: list[Finding], switch: str) -> None:
    _only_refused(error)
    findings.append(change_codes.SWITCH_UNREAD.at(f"{switch}: {error.findings[0].message}"))
