# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a switch itself: one versioned JSON file for each (docs/formats/switch-facts.md).

Facts stand in sections, each with the time of its reading and whether every line of the answer was understood. A reading that failed in
one section leaves what an earlier one said of it, with its own time, so that partial results are kept and their age is never hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import HOST_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes

KIND, MAJOR, SCHEMA_VERSION = "switch_facts", 1, "1.0"
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
Judge = Callable[["SwitchFacts"], Mapping[str, Any]]
_READ_AT = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")


@dataclass(frozen=True)
class Section:
    """One section: its JSON value, when it was read (RFC 3339, UTC), the commands that gave it, and whether all of it was understood."""

    value: Any = field(hash=False)
    read_at: str = ""
    commands: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class SwitchFacts:
    """What one switch (or wireless controller) said of itself, by section name."""

    host: str
    platform: str
    sections: Mapping[str, Section] = field(default_factory=dict, hash=False)
    findings: tuple[Finding, ...] = ()

    def value(self, name: str, default: Any = None) -> Any:
        """Return a section's value, or the default where it was never read."""
        found = self.sections.get(name)
        return default if found is None else found.value


def moment_of(micros: int) -> str:
    """Return microseconds since 1970 UTC as RFC 3339 text to the second."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime(MOMENT)


def age_hours(read_at: str, now: datetime) -> float:
    """Return how many hours ago a moment of these files was."""
    return (now - datetime.strptime(read_at, MOMENT).replace(tzinfo=UTC)).total_seconds() / 3600


def folder_of(data_dir: str | Path) -> Path:
    """Return where the files lie."""
    return Path(data_dir) / "switches"


def path_of(data_dir: str | Path, host: str) -> Path:
    """Return a switch's file; FindingError where its name cannot be a file's."""
    if not HOST_NAME.match(host):
        raise FindingError(codes.SWITCH_FACTS_DAMAGED.at(f"{host[:60]!r} cannot be the name of a file"))
    return folder_of(data_dir) / f"{host}.json"


def merged(before: SwitchFacts | None, after: SwitchFacts) -> SwitchFacts:
    """Return a new reading with the sections that it lacks taken from the one before."""
    if before is None or before.platform != after.platform:
        return after
    return SwitchFacts(after.host, after.platform, {**before.sections, **after.sections}, after.findings)


def as_document(facts: SwitchFacts) -> dict[str, Any]:
    """Return facts as docs/formats/switch-facts.md has them."""
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "generated_at": iso_now(),
        "host": facts.host,
        "platform": facts.platform,
        "sections": {
            name: {
                "read_at": each.read_at,
                "commands": list(each.commands),
                "whole": each.whole,
                "value": each.value,
            }
            for name, each in sorted(facts.sections.items())
        },
        "findings": [each.as_dict() for each in facts.findings],
    }


def write(data_dir: str | Path, facts: SwitchFacts, judged: Judge | None = None) -> SwitchFacts:
    """Write a reading over what was known, sections that it lacks kept; returns what is known now. Readable by its owner only: it names
    lists, ports and servers. ``judged`` gives further keys of the document from what is known now."""
    path = path_of(data_dir, facts.host)
    before = None
    if path.exists():
        try:
            before = read(data_dir, facts.host)
        except FindingError:
            before = None  # a damaged file is replaced; a newer reading is worth more
    now = merged(before, facts)
    write_json(path, {**(judged(now) if judged else {}), **as_document(now)}, 0o600)
    return now


def read(data_dir: str | Path, host: str) -> SwitchFacts | None:
    """Return what is known of a switch, None where nothing is; FindingError SW1371 for a damaged file, SW0007 for a newer one."""
    path = path_of(data_dir, host)
    if not path.exists():
        return None
    document = read_document(path, KIND, MAJOR)
    try:
        sections = {
            str(name): Section(each["value"], _moment(each["read_at"]), tuple(each["commands"]), each["whole"] is True)
            for name, each in document["sections"].items()
        }
        findings = tuple(Finding(**each) for each in document.get("findings", ()))
        if document["host"] != host:
            raise ValueError(f"it is of {str(document['host'])[:60]!r}")
        return SwitchFacts(host, str(document["platform"]), sections, findings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FindingError(
            codes.SWITCH_FACTS_DAMAGED.at(f"{type(error).__name__}: {error}", Location(str(path)))
        ) from error


def read_known(data_dir: str | Path, hosts: Iterable[str]) -> tuple[dict[str, SwitchFacts], list[Finding]]:
    """Return what is known of some switches by name, and a finding for each file that cannot be read."""
    known: dict[str, SwitchFacts] = {}
    findings: list[Finding] = []
    # Of a site whose switches were never read there is nothing to look for, name by name.
    for host in sorted(set(hosts)) if folder_of(data_dir).exists() else ():
        try:
            found = read(data_dir, host)
        except FindingError as error:
            findings += error.findings
            continue
        if found is not None:
            known[host] = found
    return known, findings


def hosts_known(data_dir: str | Path) -> list[str]:
    """Return the names of all switches that have a file."""
    folder = folder_of(data_dir)
    return sorted(path.stem for path in folder.glob("*.json") if HOST_NAME.match(path.stem)) if folder.is_dir() else []


def _moment(text: object) -> str:
    if not isinstance(text, str) or not _READ_AT.match(text):
        raise ValueError(f"{str(text)[:40]!r} is not a moment")
    return text
