# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of inputs: those built in, in the order in which they are tried, and those of users' own modules.

A user's module is one Python file with a ``KIND`` (``sources/kind.py``), loaded by its path only when an import names it or its folder.
It runs with the rights of the import, so such folders must be as protected as playbooks are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.user_modules import loaded_module, module_files
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import (
    argus,
    deny_log,
    eve,
    export_pcap,
    mapped,
    nfcapd,
    pcap,
    zeek,
    zeek_dns,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind

# Tried in this order: what has a magic number first, then what is told from others by its content, the least certain last.
BUILT_IN: tuple[Kind, ...] = (
    export_pcap.KIND,
    pcap.KIND,
    nfcapd.KIND,
    zeek.KIND,
    zeek_dns.KIND,
    eve.KIND,
    argus.KIND,
    deny_log.KIND,
    mapped.KIND,
)
NAME = re.compile(r"\A[a-z][a-z0-9_]{0,31}\Z")


def kinds(plugins: Iterable[str | Path] = ()) -> tuple[Kind, ...]:
    """Return the kinds, a user's first. ``plugins`` are files or folders of source modules.

    Raises FindingError SW1451 for a module that cannot be used.
    """
    own = [_loaded(path) for path in module_files(plugins, codes.SOURCE_PLUGIN)]
    names = [each.name for each in (*own, *BUILT_IN)]
    for each, path in zip(own, module_files(plugins, codes.SOURCE_PLUGIN), strict=True):
        if names.count(each.name) > 1 or each.name == "auto":
            raise FindingError(codes.SOURCE_PLUGIN.at(f"the name {each.name!r} is taken", Location(str(path))))
    return (*own, *BUILT_IN)


def kind_of(path: Path, head: bytes, known: Sequence[Kind]) -> Kind | None:
    """Return the first kind that knows a file by its beginning, then the first by its name's end where the file is empty."""
    if head:
        return next((each for each in known if each.sniff(path, head)), None)
    return next((each for each in known if path.name.lower().endswith(each.suffixes or ("\0",))), None)


def refusal(head: bytes, known: Sequence[Kind]) -> str:
    """Return why a file that begins with the octets is of no kind."""
    names = ", ".join(each.name for each in known)
    log, fields = zeek.log_path(head)
    if log:
        return f"a Zeek log of {log!r}, which holds no connections"
    if fields:
        return f"a table of {', '.join(fields[:6])} ..., which is of none of {names}"
    return f"its first octets are of none of {names}"


def named(name: str, known: Sequence[Kind]) -> Kind:
    """Return the kind of a name; raises FindingError SW1402 where there is none."""
    for each in known:
        if each.name == name:
            return each
    raise FindingError(
        codes.INPUT_KIND.at(f"no kind is named {name!r}; there are {', '.join(each.name for each in known)}")
    )


def check_options(options: Mapping[str, Any], kind: str, known: Sequence[Kind]) -> None:
    """Raise FindingError SW1452 for an option that no kind reads of those that an import may meet."""
    meant = known if kind == "auto" else [named(kind, known)]
    if any(each.options is None for each in meant):
        return
    allowed = sorted({name for each in meant for name in each.options or ()})
    for name in options:
        if name not in allowed:
            of = "" if kind == "auto" else f" of kind {kind}"
            told = f"source_options has {str(name)[:40]!r}; options{of} are {', '.join(allowed) or 'none'}"
            raise FindingError(codes.SOURCE_OPTION.at(told))


def _loaded(path: Path) -> Kind:
    location = Location(str(path))
    module = loaded_module(path, "microseg_flow_source", codes.SOURCE_PLUGIN)
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, Kind):
        raise FindingError(codes.SOURCE_PLUGIN.at("it has no KIND of type Kind", location))
    if not NAME.match(kind.name):
        raise FindingError(codes.SOURCE_PLUGIN.at(f"{kind.name!r} is no name of a kind", location))
    return kind
