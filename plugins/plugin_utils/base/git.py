# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run git to read a checkout, without running anything that the checkout's own configuration names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, FindingError, Location

TIMEOUT_SECONDS = 60


def checkout_of(directory: Path) -> Path:
    """Return the nearest folder at or above the directory that is a git checkout, or the directory itself."""
    for folder in (directory, *directory.parents):
        if (folder / ".git").exists():
            return folder
    return directory


def run_git(
    directory: str | Path,
    words: Sequence[str],
    failure: Code,
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: int = TIMEOUT_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run git on a checkout whoever owns it (execution environments run as another user than the checkout's).

    No hook, pager, file system monitor or signature program that the repository's configuration names is started:
    settings given here win over it. ``settings`` are configuration values by key, ``environment`` is added to the
    process's own without its GIT variables. Raises FindingError of kind ``failure`` where git is missing or does not end in ``seconds``.
    """
    here = Path(directory).resolve()
    fixed = {
        "safe.directory": str(checkout_of(here)),
        "core.fsmonitor": "false",
        "core.hooksPath": "/dev/null",
        "core.pager": "cat",
        "gpg.program": "gpg",
        "gpg.openpgp.program": "gpg",
        "gpg.ssh.program": "ssh-keygen",
        "gpg.x509.program": "false",
        "log.showSignature": "false",
        **(settings or {}),
    }
    options = [word for key, value in fixed.items() for word in ("-c", f"{key}={value}")]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    inherited.update({"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(environment or {})})
    command = ["git", *options, "--no-pager", "-C", str(here), *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=inherited,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FindingError(failure.at(f"{type(error).__name__}: {error}", Location(str(directory)))) from error
