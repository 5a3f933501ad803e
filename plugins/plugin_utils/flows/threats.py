# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists: dated indicators of addresses and networks, from STIX 2.1 bundles or CSV, kept in the store with date and source.

Of a bundle, indicators whose pattern names IPv4 or IPv6 addresses by ``=``, ``IN`` or ``ISSUBSET`` joined by ``OR`` are read, with
``valid_from`` and ``valid_until`` (STIX 2.1 section 4.7); a revoked one is not. Any other pattern is left out and counted, since an address
that takes part in a longer pattern is no indicator by itself. CSV: ``address``, ``valid_from``, ``valid_until``, ``source``, ``reason``.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    read_document,
    read_json,
    read_text,
    sha256_of_file,
    write_json,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes, store

FOREVER_US = 1 << 62
LONGEST_TEXT = 200
MOST_INDICATORS = 2_000_000
COMPARISON = re.compile(
    r"\s*(?:ipv4-addr|ipv6-addr):value\s*(?:=\s*'([^']{2,64})'|ISSUBSET\s*'([^']{2,64})'|IN\s*\(([^()]{2,100000})\))\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Threat:
    """An address or network that a list names, with the time it is valid for (microseconds since 1970 UTC) and where that stands."""

    network: str
    from_us: int
    to_us: int
    source: str
    reason: str = ""


def import_threats(
    data_dir: str | Path, paths: Iterable[str | Path]
) -> tuple[int, list[dict[str, Any]], list[Finding]]:
    """Put threat lists in place of those the store has; returns (indicators, the lists, findings). Raises FindingError for a list
    that cannot be read: then the store keeps what it has."""
    document, findings = _gathered(paths)
    with store.writing(data_dir) as folder:
        path = folder / "threats.json"
        before = read_document(path, "flow-threats", 1) if path.exists() else {}
        # Read again without a change, a list keeps the time at which it was first read.
        if _without_times(before) != _without_times(document):
            write_json(path, document)
            return len(document["threats"]), document["lists"], findings
    return len(document["threats"]), before["lists"], findings


def would_import(
    data_dir: str | Path, paths: Iterable[str | Path]
) -> tuple[int, list[dict[str, Any]], list[Finding], bool]:
    """As ``import_threats``, and whether the store would change; writes nothing."""
    document, findings = _gathered(paths)
    path = store.flows_dir(data_dir) / "threats.json"
    before = read_document(path, "flow-threats", 1) if path.exists() else {}
    changes = _without_times(before) != _without_times(document)
    return len(document["threats"]), document["lists"] if changes else before["lists"], findings, changes


def _gathered(paths: Iterable[str | Path]) -> tuple[dict[str, Any], list[Finding]]:
    """Return what the store would keep of threat lists, and findings."""
    threats: list[Threat] = []
    lists, findings = [], []
    for each in paths:
        path = Path(each).expanduser()
        made, left_out, first = read_threats(path)
        if left_out and not made:
            # It would take the place of what the store has, and nobody would be threat-listed any more.
            text = f"none of its {left_out} indicators can be used"
            raise FindingError(codes.THREATS_INVALID.at(text, Location(str(path), first)))
        threats.extend(made)
        lists.append(
            {
                "name": path.name,
                "sha256": sha256_of_file(path),
                "indicators": len(made),
                "left_out": left_out,
                "read_at": iso_now(),
            }
        )
        if left_out:
            text = f"{left_out} indicators are no plain addresses or not understood, the first of them here"
            findings.append(codes.THREATS_LEFT_OUT.at(text, Location(str(path), first)))
    if len(threats) > MOST_INDICATORS:
        raise FindingError(codes.THREATS_INVALID.at(f"more than {MOST_INDICATORS} indicators"))
    document = {
        "kind": "flow-threats",
        "schema_version": "1.0",
        "lists": lists,
        "threats": [
            asdict(item) for item in sorted(set(threats), key=lambda item: (item.network, item.from_us, item.source))
        ],
    }
    return document, findings


def _without_times(document: dict[str, Any]) -> dict[str, Any]:
    lists = [{name: value for name, value in each.items() if name != "read_at"} for each in document.get("lists", [])]
    return {**document, "lists": lists}


def known_threats(data_dir: str | Path) -> list[Threat]:
    """Return the indicators of the store; none where no list was imported."""
    path = store.flows_dir(data_dir) / "threats.json"
    if not path.exists():
        return []
    return [Threat(**each) for each in read_document(path, "flow-threats", 1)["threats"]]


def read_threats(path: Path) -> tuple[list[Threat], int, int]:
    """Return (indicators, how many were left out, the line of the first of these or 0) of a STIX 2.1 bundle or a CSV list; raises
    FindingError SW1471."""
    try:
        text = read_text(path)
    except OSError as error:
        raise FindingError(codes.INPUT_MISSING.at(error.strerror or "cannot be read", Location(str(path)))) from error
    if text.lstrip().startswith("{"):
        return _bundle(path)
    return _table(path, text)


def _bundle(path: Path) -> tuple[list[Threat], int, int]:
    document = read_json(path)
    if (
        not isinstance(document, dict)
        or document.get("type") != "bundle"
        or not isinstance(document.get("objects"), list)
    ):
        raise FindingError(codes.THREATS_INVALID.at("no STIX bundle", Location(str(path))))
    objects = [each for each in document["objects"] if isinstance(each, dict)]
    names = {each.get("id"): str(each.get("name", "")) for each in objects if each.get("type") == "identity"}
    made: list[Threat] = []
    left_out = 0
    for each in objects:
        if each.get("type") != "indicator" or each.get("revoked") is True:
            continue
        networks = addresses_of(str(each.get("pattern", ""))) if each.get("pattern_type", "stix") == "stix" else None
        first, last = _moment(each.get("valid_from")), _moment(each.get("valid_until"))
        if not networks or first is None or (each.get("valid_until") and last is None):
            left_out += 1
            continue
        source = (names.get(each.get("created_by_ref")) or path.name)[:LONGEST_TEXT]
        reason = str(each.get("name", ""))[:LONGEST_TEXT]
        made.extend(
            Threat(network, first, FOREVER_US if last is None else last, source, reason) for network in networks
        )
    return made, left_out, 0


def addresses_of(pattern: str) -> list[str] | None:
    """Return the networks of a STIX pattern that is nothing but addresses joined by OR; None for any other."""
    inner = pattern.strip()
    if len(inner) > 1 << 20 or not inner.startswith("[") or not inner.endswith("]") or inner.count("[") != 1:
        return None
    inner, position, made = inner[1:-1], 0, []
    while True:
        found = COMPARISON.match(inner, position)
        if found is None:
            return None
        texts = [found[1] or found[2]] if not found[3] else re.findall(r"'([^']{2,64})'", found[3])
        for text in texts:
            network = _network(text)
            if network is None:
                return None
            made.append(network)
        position = found.end()
        if position == len(inner):
            return made
        if inner[position : position + 2].upper() != "OR" or not made:
            return None
        position += 2


def _table(path: Path, text: str) -> tuple[list[Threat], int, int]:
    # A comment stands for an empty line, so that the others keep their numbers.
    rows = csv.reader("" if line.startswith("#") else line for line in text.lstrip("\ufeff").splitlines())
    names = [each.strip().lower() for each in next(filter(None, rows), [])]
    if "address" not in names or "valid_from" not in names:
        message = "the title line lacks address or valid_from: a list without dates cannot be judged"
        raise FindingError(codes.THREATS_INVALID.at(message, Location(str(path), max(1, rows.line_num))))
    made: list[Threat] = []
    left_out = located = 0
    try:
        for row in rows:
            values = dict(zip(names, (each.strip() for each in row), strict=False))
            network, first, last = (
                _network(values.get("address", "")),
                _moment(values.get("valid_from")),
                _moment(values.get("valid_until")),
            )
            if network is None or first is None or (values.get("valid_until") and last is None):
                if any(row):
                    left_out += 1
                    located = located or rows.line_num
                continue
            source = (values.get("source") or path.name)[:LONGEST_TEXT]
            made.append(
                Threat(
                    network,
                    first,
                    FOREVER_US if last is None else last,
                    source,
                    values.get("reason", "")[:LONGEST_TEXT],
                )
            )
    except csv.Error as error:
        raise FindingError(codes.THREATS_INVALID.at(str(error), Location(str(path), rows.line_num))) from error
    return made, left_out, located


def _network(text: str) -> str | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    # A list that names nearly everything would flag nearly everything.
    return str(network) if network.prefixlen >= (8 if network.version == 4 else 16) else None


def _moment(value: Any) -> int | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        made = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    aware = made if made.tzinfo else made.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
