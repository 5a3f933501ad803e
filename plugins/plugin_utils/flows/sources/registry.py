# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of inputs: those built in, in the order in which they are tried, and those of users' own modules.

A user's module is one Python file with a ``KIND`` (``sources/kind.py``), loaded by its path only when an import names it or its folder.
It runs with the rights of the import, so such folders must be as protected as playbooks are.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError, Location
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
    own = [_loaded(path) for path in _modules(plugins)]
    names = [each.name for each in (*own, *BUILT_IN)]
    for each, path in zip(own, _modules(plugins), strict=True):
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


def _modules(plugins: Iterable[str | Path]) -> list[Path]:
    made: dict[Path, None] = {}
    for each in plugins:
        path = Path(os.path.expanduser(str(each)))
        if path.is_dir():
            made.update(
                dict.fromkeys(sorted(item for item in path.glob("*.py") if not item.name.startswith(("_", "."))))
            )
        elif path.is_file():
            made[path] = None
        else:
            raise FindingError(codes.SOURCE_PLUGIN.at("no such file or folder", Location(str(path))))
    return list(made)


def _loaded(path: Path) -> Kind:
    location = Location(str(path))
    try:
        # Named by its content, so that two modules of one file name do not meet.
        name = f"microseg_flow_source_{sha256_of_file(path)[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise FindingError(codes.SOURCE_PLUGIN.at("not a Python file", location))
        module = importlib.util.module_from_spec(spec)
        # Data classes look their own module up there.
        sys.modules[name] = module
        # Without the bytecode beside it, which tells two files of one size and second not apart.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - that is what a plugin is
    except FindingError:
        raise
    except Exception as error:  # whatever a user's file raises
        raise FindingError(codes.SOURCE_PLUGIN.at(f"{type(error).__name__}: {error}", location)) from error
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, Kind):
        raise FindingError(codes.SOURCE_PLUGIN.at("it has no KIND of type Kind", location))
    if not NAME.match(kind.name):
        raise FindingError(codes.SOURCE_PLUGIN.at(f"{kind.name!r} is no name of a kind", location))
    return kind
