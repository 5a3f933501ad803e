# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import ciscoisesdk without the two thousand modules that no client of ours uses.

The SDK's package imports the classes and the JSON schemas of every version of ISE. Each forked worker of Ansible that talks to
ISE pays for that. Here its schemas are left out (they check types only, and every client is given a stand-in for them;
facts/ise.md section 2.5) and a family of calls is loaded when a client of its version is made. An SDK that is laid out in another way is
imported as it is.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SCHEMAS = "ciscoisesdk.models.schema_validator"
FAMILY = re.compile(r"(ciscoisesdk\.api\.v\d+_\w+)\.\w+")
_LOCK = threading.RLock()


class NoValidator:
    """Stands in for the SDK's schemas."""

    def __init__(self, _version: str = "") -> None:
        pass

    def json_schema_validate(self, _model: str) -> NoValidator:
        return self

    def validate(self, _value: Any) -> None:
        return None


class _Sparing(MetaPathFinder, Loader):
    """Finds the SDK's schemas and families of calls, and leaves them for later."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == SCHEMAS or FAMILY.fullmatch(fullname):
            spec = PathFinder.find_spec(fullname, path)  # what the SDK does not have is missed as ever
            return spec and ModuleSpec(fullname, self, origin=spec.origin)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == SCHEMAS:
            vars(module)["SchemaValidator"] = NoValidator
        else:
            vars(module)["__getattr__"] = _later(module.__name__)


def _later(name: str) -> Callable[[str], Callable[..., Any]]:
    """Return the ``__getattr__`` of a family's module: it gives makers that load the real module when they are called."""

    def maker(attribute: str) -> Callable[..., Any]:
        if attribute.startswith("__"):
            raise AttributeError(attribute)

        def make(*arguments: Any, **options: Any) -> Any:
            return getattr(_real(name), attribute)(*arguments, **options)

        return make

    return maker


def _real(name: str) -> ModuleType:
    """Return the SDK's own module, loaded once, in the place of the one that waited."""
    with _LOCK:
        module = sys.modules.get(name)
        if module is None or isinstance(getattr(module, "__loader__", None), _Sparing):
            parent = importlib.import_module(name.rpartition(".")[0])
            spec = PathFinder.find_spec(name, parent.__path__)
            if spec is None or spec.loader is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
        return module


@contextmanager
def sparing() -> Iterator[None]:
    """Within it, an import of ciscoisesdk loads only what makes a client; what is loaded already stays."""
    finder = _Sparing()
    with _LOCK:
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
