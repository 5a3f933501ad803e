"""tools/find_python: a name on PATH proves nothing, only an interpreter that runs does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = Path(sys._base_executable)  # type: ignore[attr-defined]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder like a pyenv root: a shim of this version that does not run, and no other Python on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "dirname", "ls", "sort"):
        (programs / name).symlink_to(shutil.which(name) or "")
    shim = tmp_path / "pyenv" / "shims" / f"python{VERSION}"
    shim.parent.mkdir(parents=True)
    shim.write_text(f"#!/bin/sh\necho 'pyenv: python{VERSION}: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    return tmp_path


def install(machine: Path, release: str) -> Path:
    python = machine / "pyenv" / "versions" / release / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(REAL)
    return python


def find(root: Path, machine: Path, *versions: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{machine}/pyenv/shims:{machine}/bin", "HOME": str(machine / "home"), **more}
    command = ["/bin/sh", str(root / "tools" / "find_python"), *versions]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_behind_a_shim_that_does_not_run(root: Path, machine: Path) -> None:
    install(machine, f"{VERSION}.1")
    done = find(root, machine, VERSION)
    assert done.returncode == 0, done.stderr
    assert "shims" not in done.stdout
    assert Path(done.stdout.strip()).resolve() == REAL.resolve()


def test_the_newest_patch_release_is_taken(root: Path, machine: Path) -> None:
    for patch in ("2", "9", "10"):
        install(machine, f"{VERSION}.{patch}")
    assert f"/{VERSION}.10/" in find(root, machine, VERSION).stdout


def test_an_interpreter_named_by_hand(root: Path, machine: Path) -> None:
    done = find(root, machine, "3.13", "3.12", "3.11", SEGWRIGHT_PYTHON=str(REAL))
    assert Path(done.stdout.strip()).resolve() == REAL.resolve()


def test_an_interpreter_of_another_version_is_not_taken(root: Path, machine: Path) -> None:
    install(machine, "3.14.0")  # the folder says 3.14, what runs there is not
    done = find(root, machine, "3.14")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no working Python of version 3.14" in done.stderr


def test_the_answer_can_make_environments(root: Path) -> None:
    done = subprocess.run([str(root / "tools" / "find_python")], capture_output=True, text=True, check=True)
    script = "import ensurepip, sys, venv; print(sys.version_info[:2] >= (3, 11))"
    assert subprocess.run([done.stdout.strip(), "-c", script], capture_output=True, text=True).stdout == "True\n"
