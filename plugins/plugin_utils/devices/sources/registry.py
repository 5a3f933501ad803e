# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of sources: those that are shipped and those of users' own modules.

A user's module is one Python file with a ``KIND`` (sources/kind.py), loaded by its path only when the inventory names it or its folder.
It runs with the rights of the run, so such folders must be as protected as playbooks are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.user_modules import loaded_module, module_files
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import codes, storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources import (
    dnsmasq,
    isc_dhcpd,
    kea,
    netbox,
    table,
    windows_dhcp,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Asked, Kind

BUILT_IN: tuple[Kind, ...] = (
    dnsmasq.KIND,
    isc_dhcpd.KIND,
    kea.KIND,
    netbox.KIND,
    table.KIND,
    windows_dhcp.KIND,
)
NAME = re.compile(r"\A[a-z][a-z0-9_]{0,31}\Z")
ENTRY_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
COMMON = ("kind", "name", "path", "at")
SECRET = ("token", "password")


def kinds(plugins: Iterable[str | Path] = ()) -> dict[str, Kind]:
    """Return the kinds by name; ``plugins`` are files or folders of users' modules. Raises FindingError SW1353."""
    made = {each.name: each for each in BUILT_IN}
    for path in module_files(plugins, codes.SOURCE_PLUGIN):
        kind = _loaded(path)
        if kind.name in made:
            raise FindingError(codes.SOURCE_PLUGIN.at(f"the name {kind.name!r} is taken", Location(str(path))))
        made[kind.name] = kind
    return dict(sorted(made.items()))


def asked_of(entries: Sequence[Any], known: Mapping[str, Kind], now: int) -> list[tuple[Kind, Asked]]:
    """Return the kind and what is asked of it for each entry of microseg_device_sources; raises FindingError SW1350.

    ``now`` is microseconds since 1970 UTC, for sources without a file. Names of sources must differ, since what a source says takes the
    place of what it said before.
    """
    made: list[tuple[Kind, Asked]] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            raise _invalid(number, "a mapping with kind is needed")
        kind = known.get(str(entry.get("kind")))
        if kind is None:
            raise _invalid(number, f"no kind {str(entry.get('kind'))[:40]!r}; there are {', '.join(known)}")
        foreign = sorted(set(map(str, entry)) - set(COMMON) - set(kind.options))
        if foreign:
            options = ", ".join((*COMMON, *kind.options))
            raise _invalid(number, f"{kind.name} does not know {', '.join(foreign)[:80]}; it knows {options}")
        name = str(entry.get("name") or kind.name)
        if not ENTRY_NAME.match(name):
            raise _invalid(number, f"{name[:40]!r} is no name: letters, digits and _.-")
        if name in {each.name for _kind, each in made}:
            raise _invalid(number, f"the name {name!r} is given twice; give each source one of its own")
        text = str(entry.get("path") or "")
        if kind.needs_path and not text:
            raise _invalid(number, f"{kind.name} needs a path")
        path = Path(os.path.expanduser(text)) if text else None
        secrets = tuple(str(entry[key]) for key in SECRET if entry.get(key))
        given = {key: value for key, value in entry.items() if key in kind.options}
        made.append((kind, Asked(name, path, _at(number, entry, path, now), given, secrets)))
    return made


def _at(number: int, entry: Mapping[str, Any], path: Path | None, now: int) -> int:
    """Return when a source said what it says: as given, else when its file was written, else now."""
    if entry.get("at"):
        try:
            return storage.micros_of_text(storage.long_moment(str(entry["at"])))
        except ValueError as error:
            raise _invalid(number, f"at: {error}") from error
    if path is not None and path.is_file():
        return min(now, path.stat().st_mtime_ns // 1000)
    return now


def _invalid(number: int, text: str) -> FindingError:
    return FindingError(codes.SOURCE_INVALID.at(f"entry {number} of microseg_device_sources: {text}"))


def _loaded(path: Path) -> Kind:
    location = Location(str(path))
    module = loaded_module(path, "microseg_device_source", codes.SOURCE_PLUGIN)
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, Kind):
        raise FindingError(codes.SOURCE_PLUGIN.at("it has no KIND of type Kind", location))
    if not NAME.match(kind.name):
        raise FindingError(codes.SOURCE_PLUGIN.at(f"{kind.name!r} is no name of a kind", location))
    return kind
