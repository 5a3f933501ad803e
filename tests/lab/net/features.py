# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine permits: asked of the kernel in a throw-away namespace, never guessed from a version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass

from ..processes import spawn
from .firewall import find_sshd

_RULES = """table inet probe {
    chain forward_probe { type filter hook forward priority filter; policy drop;
        ct state established,related accept
    }
}
"""


@dataclass(frozen=True)
class Feature:
    name: str
    present: bool
    reason: str = ""


def _inside(script: str, text: str = "") -> str:
    """Run a script in a fresh network namespace; returns an empty text or the reason why it failed."""
    try:
        child = spawn(
            ["/bin/sh", "-c", script],
            new_namespace=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return "not permitted to make network namespaces (root or CAP_SYS_ADMIN is needed)"
    out, _ = child.communicate(text.encode(), timeout=20)
    lines = out.decode(errors="replace").strip().splitlines()
    return "" if child.returncode == 0 else (lines[-1] if lines else f"ended with {child.returncode}")


def probe_features() -> list[Feature]:
    """Everything the network part needs, each with the reason when it is missing. Takes about 0.05 s."""
    if sys.platform != "linux":
        return [Feature("network namespaces", False, f"{sys.platform} has none; Linux is needed")]
    found = []
    for program, package in (
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("unshare", "util-linux"),
        ("ssh-keygen", "openssh-client"),
    ):
        present = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None
        found.append(Feature(program, present, "" if present else f"Debian package {package}"))
    sshd = find_sshd() is not None
    found.append(Feature("sshd", sshd, "" if sshd else "Debian package openssh-server"))
    reason = _inside("true")
    found.append(Feature("network namespaces", not reason, reason))
    if not reason and found[0].present:
        reason = _inside("ip link add one type veth peer name two && ip link add three type bridge")
        found.append(Feature("veth and bridge", not reason, reason))
        if found[1].present:
            reason = _inside("nft -f -", _RULES)
            found.append(Feature("nftables inet with connection tracking", not reason, reason))
    return found


def why_not() -> str:
    """Empty when the network part can run here, else one line that names what is missing."""
    return "; ".join(f"{each.name}: {each.reason}" for each in probe_features() if not each.present)
