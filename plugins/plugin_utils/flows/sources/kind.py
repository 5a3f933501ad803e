# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source module declares: the name of its kind, how a file of it is recognised, and how it is opened.

``registry.py`` lists the kinds that are built in and loads those of users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import Source
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates

# Octets of a file's beginning that ``sniff`` is given.
HEAD = 4096


@dataclass
class Opening:
    """What an import gives every source it opens.

    ``exporter`` is the name that the user gave the tap or collector, or empty. ``templates`` are shared by all inputs of an import and
    kept in the store. ``options`` are the import's ``source_options``, whose keys each kind documents for itself.
    """

    exporter: str = ""
    templates: Templates = field(default_factory=Templates)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    ``sniff`` takes a path and the file's first ``HEAD`` octets and tells whether the file is of this kind; it raises nothing.
    ``open`` takes a path, the first 16 hex digits of the content's SHA-256, which records carry as ``source``, and an ``Opening``;
    it returns a ``records.Source`` and may raise FindingError when that is iterated. ``summary`` is one line for the documentation.
    ``suffixes`` are names' ends by which files in folders are taken although ``sniff`` does not know them (an empty capture).
    ``options`` are the keys of ``source_options`` that it reads, or None where any may be given.
    """

    name: str
    summary: str
    sniff: Callable[[Path, bytes], bool]
    open: Callable[[Path, str, Opening], Source]
    suffixes: tuple[str, ...] = ()
    options: tuple[str, ...] | None = None
