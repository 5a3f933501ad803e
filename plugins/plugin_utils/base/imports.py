# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guarded imports: a missing third-party package becomes a finding when it is used, not a traceback when it is loaded.

Sanity tests and documentation tools load plugins in an environment without our requirements
(facts/ansible.md section 2), so no room imports a third-party package directly.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError

# Import name -> the name to install, where they differ.
PACKAGES = {
    "yaml": "pyyaml",
    "ruamel.yaml": "ruamel.yaml",
    "pylibsshext": "ansible-pylibssh",
    "ansible": "ansible-core",
    "ibis": "ibis-framework",
    "pyspark.sql": "pyspark",
}


class MissingDependency(FindingError):
    """Raised on first use of a package that is not installed; names it and the command that installs it."""

    def __init__(self, module: str, reason: str) -> None:
        package = PACKAGES.get(module, module.split(".", maxsplit=1)[0])
        message = f"the Python package {package!r} is needed and cannot be imported ({reason})"
        hint = f"python3 -m pip install {package}"
        super().__init__(codes.MISSING_DEPENDENCY.at(message, hint=hint))
        self.package = package


class _Missing:
    """Stands in for a module that could not be imported; any use raises MissingDependency."""

    def __init__(self, module: str, reason: str) -> None:
        self.__dict__["_module"] = module
        self.__dict__["_reason"] = reason

    def _fail(self) -> NoReturn:
        raise MissingDependency(self.__dict__["_module"], self.__dict__["_reason"])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        self._fail()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._fail()

    def __bool__(self) -> bool:
        return False


def guarded(module: str) -> Any:
    """Return the imported module, or a false stand-in that raises MissingDependency when it is used.

    Only the absence of the package itself is tolerated at load time; the reason is kept for the message.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        return _Missing(module, str(error))


class _Deferred:
    """Stands in for a module until it is used for the first time."""

    def __init__(self, module: str) -> None:
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded(), name)

    def __bool__(self) -> bool:
        return bool(self._loaded())

    def _loaded(self) -> Any:
        if "_found" not in self.__dict__:
            self.__dict__["_found"] = guarded(self.__dict__["_module"])
        return self.__dict__["_found"]


def deferred(module: str) -> Any:
    """Return a stand-in for a module that imports it at first use: for packages so heavy that runs without them must not pay.

    Each forked worker that uses it pays for the import, so whatever most runs need is ``guarded``.
    """
    return _Deferred(module)


def require(*modules: Any) -> None:
    """Raise MissingDependency for the first argument that is a stand-in of ``guarded`` or leads to one."""
    for module in modules:
        if isinstance(module, _Deferred):
            module = module._loaded()
        if isinstance(module, _Missing):
            module._fail()
