"""Lets Ansible keep the bytecode of a collection's files, as Python does for every other import.

Ansible's loader of collections compiles each file anew in every process, which takes a third of the time until a play of ours begins.
The quick run of the gate (``gate.py``) starts hundreds of such processes and names this folder in PYTHONPATH; the long one does not.
The code is what Python's own loader makes of the file: read again where the file is newer than what is kept.
"""

from __future__ import annotations

import sys
from typing import Any

LOADER = "ansible.utils.collection_loader._collection_finder"


class Once:
    """Changes the loader of collections as it is imported, and nothing before or after."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != LOADER:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            keep_bytecode(module._AnsibleCollectionPkgLoaderBase)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def keep_bytecode(loader: Any) -> None:
    """Let the loader ask Python's for the code of what is a file."""
    from importlib.machinery import SourceFileLoader
    from os.path import isfile

    compiled = loader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = self._source_code_path
        if self._compiled_code is None and path and path == self.get_filename(fullname) and isfile(path):
            self._compiled_code = SourceFileLoader(fullname, path).get_code(fullname)
        return compiled(self, fullname)

    loader.get_code = get_code


sys.meta_path.insert(0, Once())
