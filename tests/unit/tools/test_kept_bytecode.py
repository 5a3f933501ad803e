"""Bytecode of collections that is kept is that of the file as it stands, and tracebacks name the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys, importlib
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
_AnsibleCollectionFinder(paths=[sys.argv[1]])._install()
made = importlib.import_module("ansible_collections.some.thing.plugins.plugin_utils.one")
print(made.VALUE, made.f.__code__.co_filename, made.__file__)
"""


@pytest.mark.one_python
def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("ansible")
    path = tmp_path / "ansible_collections" / "some" / "thing" / "plugins" / "plugin_utils" / "one.py"
    path.parent.mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(ROOT / "tools" / "kept_bytecode")

    def shown() -> str:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    path.write_text("VALUE = 1\n\n\ndef f(): ...\n", encoding="utf-8")
    assert shown() == f"1 {path} {path}"
    (kept,) = path.parent.glob("__pycache__/one.*.pyc")
    before = kept.stat().st_mtime_ns
    assert shown() == f"1 {path} {path}"
    assert kept.stat().st_mtime_ns == before
    path.write_text("VALUE = 'two'\n\n\ndef f(): ...\n", encoding="utf-8")
    assert shown() == f"two {path} {path}"
    path.write_text("VALUE = \n", encoding="utf-8")
    with pytest.raises(AssertionError, match="SyntaxError"):
        shown()
