# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python files of users' own, loaded by their path. They run with the rights of the run: protect their folders as playbooks are."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError, Location


def module_files(places: Iterable[str | Path], failure: Code) -> list[Path]:
    """Return the files that are named, and the Python files of the folders that are, each once.

    Names that begin with ``_`` or ``.`` in a folder are left out. FindingError of kind ``failure`` for a place that is not there.
    """
    made: dict[Path, None] = {}
    for each in places:
        path = Path(os.path.expanduser(str(each)))
        if path.is_dir():
            own = sorted(item for item in path.glob("*.py") if not item.name.startswith(("_", ".")))
            made.update(dict.fromkeys(own))
        elif path.is_file():
            made[path] = None
        else:
            raise FindingError(failure.at("no such file or folder", Location(str(path))))
    return list(made)


def loaded_module(path: Path, prefix: str, failure: Code) -> ModuleType:
    """Return the module of a Python file; FindingError of kind ``failure`` for whatever it raises. ``prefix`` begins its name."""
    location = Location(str(path))
    try:
        # Named by its content, so that two modules of one file name do not meet.
        name = f"{prefix}_{sha256_of_file(path)[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise FindingError(failure.at("not a Python file", location))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # data classes look their own module up there
        # Without the bytecode beside it, which tells two files of one size and second not apart.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - that is what a plugin is
    except FindingError:
        raise
    except Exception as error:  # whatever a user's file raises
        raise FindingError(failure.at(f"{type(error).__name__}: {error}", location)) from error
    return module
