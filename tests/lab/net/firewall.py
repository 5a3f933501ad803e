# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fw1: a real router with nftables and a real OpenSSH server, inside its namespace and its own file system view.

The SSH server is process 1 of its own pid namespace, so whatever a session leaves behind (a revert timer, a sleeper)
ends with the lab. ``/etc``, ``/root``, ``/run``, ``/tmp`` and ``/var/lib`` are private to fw1: what automation writes
there never reaches the machine the lab runs on.
"""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

from ..description import Hospital
from ..places import Places
from ..processes import LabError, ProcessMark, in_namespace, mark, spawn
from .namespaces import Namespaces
from .topology import CONTROLLER, FIREWALL

# The process that holds the SSH server's pid namespace waits for it and ignores TERM; its death ends all of them.
DEAF = frozenset({"fw1-sshd"})

# What fw1 holds before Segwright comes: somebody else's table, and no enforcement at all.
FOREIGN_RULESET = """\
table inet filter_foreign {
    counter seen_by_others {
        comment "kept by the site's own scripts"
    }
    chain watch_forward {
        type filter hook forward priority filter - 10; policy accept;
        counter name "seen_by_others" comment "foreign: not managed by segwright"
    }
}
"""

_SETUP = """\
set -eu
private={private}
mkdir -p "$private/etc" "$private/etc.work" "$private/lib" "$private/lib.work" "$private/root"
mount -n -t overlay overlay -o lowerdir=/etc,upperdir="$private/etc",workdir="$private/etc.work" /etc 2>/dev/null || {{
  mkdir -p "$private/etc.copy"; mount -n -t tmpfs -o mode=755 tmpfs "$private/etc.copy"
  cp -a /etc/. "$private/etc.copy/"; mount -n --bind "$private/etc.copy" /etc; }}
mount -n -t overlay overlay -o lowerdir=/var/lib,upperdir="$private/lib",workdir="$private/lib.work" /var/lib 2>/dev/null || true
case "$(grep '^root:' /etc/shadow | cut -d: -f2)" in
  '!'*|'') sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow;;
esac
chmod 700 "$private/root"; mount -n --bind "$private/root" /root
mkdir -p "$private/run"; mount -n -t tmpfs -o mode=755 tmpfs "$private/run"
mkdir -p -m 755 "$private/run/sshd"; mkdir -p -m 700 "$private/run/fw1"
cp "$private/sshd_config" "$private/host_key" "$private/authorized_keys" "$private/run/fw1/"
chmod 600 "$private/run/fw1/host_key"
mount -n --bind "$private/run" /run
mount -n -t tmpfs -o mode=1777 tmpfs /tmp
hostname fw1
cd /
exec {sshd} -D -e -f /run/fw1/sshd_config
"""

_CONFIG = """\
ListenAddress {address}
Port 22
HostKey /run/fw1/host_key
AuthorizedKeysFile /run/fw1/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
AllowUsers root
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
AllowTcpForwarding no
MaxStartups 200:30:400
MaxSessions 50
Subsystem sftp internal-sftp
"""


def find_sshd() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")


def _make_key(path: Path, comment: str) -> str:
    for each in (path, path.with_suffix(".pub")):
        each.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path.with_suffix(".pub").read_text(encoding="ascii").strip()


def make_keys(places: Places) -> str:
    """New host key and client key; returns the host's public key as ``ssh-ed25519 AAAA...`` without the comment."""
    private = places.directory / "fw1"
    private.mkdir(exist_ok=True, mode=0o700)
    host = _make_key(private / "host_key", "fw1")
    client = _make_key(places.ssh_key, f"segwright-lab-{places.lab_id}")
    (private / "authorized_keys").write_text(client + "\n", encoding="ascii")
    (private / "authorized_keys").chmod(0o600)
    return " ".join(host.split()[:2])


def load_ruleset(namespaces: Namespaces, text: str = FOREIGN_RULESET) -> None:
    """Load nft text into fw1 with one transaction."""
    namespaces.run(FIREWALL, ["nft", "-f", "-"], stdin=text)


def reset_ruleset(namespaces: Namespaces) -> None:
    """Put fw1 back to the state before Segwright: the foreign table only, no connection remembered."""
    namespaces.run(FIREWALL, ["nft", "flush", "ruleset"])
    load_ruleset(namespaces)
    if shutil.which("conntrack"):
        namespaces.run(FIREWALL, ["conntrack", "-F"], check=False)


def ruleset(namespaces: Namespaces) -> str:
    return namespaces.run(FIREWALL, ["nft", "-s", "list", "ruleset"])


def _penalties(sshd: str) -> str:
    shown = subprocess.run([sshd, "-V"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", shown.stderr + shown.stdout)
    recent = found is not None and (int(found[1]), int(found[2])) >= (9, 8)
    return "PerSourcePenalties no\n" if recent else ""


def start_ssh_server(namespaces: Namespaces, hospital: Hospital, places: Places) -> ProcessMark:
    """Start OpenSSH inside fw1, bound to its management address only; raises LabError when it does not answer."""
    sshd = find_sshd()
    if sshd is None:
        raise LabError("no sshd on this machine (Debian package openssh-server)")
    private = places.directory / "fw1"
    config = _CONFIG.format(address=hospital.firewall) + _penalties(sshd)
    (private / "sshd_config").write_text(config, encoding="ascii")
    script = private / "start.sh"
    script.write_text(_SETUP.format(private=shlex.quote(str(private)), sshd=shlex.quote(sshd)), encoding="utf-8")
    command = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    log = places.logs / "fw1-sshd.log"
    with log.open("wb") as handle:
        child = spawn([*command, "sh", str(script)], namespace=namespaces.descriptor(FIREWALL), log=handle)
    started = mark("fw1-sshd", child.pid)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise LabError(f"fw1's SSH server ended: {log.read_text(errors='replace').strip()[-400:]}")
        if in_namespace(namespaces.descriptor(CONTROLLER), lambda: _greets(hospital.firewall)):
            return started
        time.sleep(0.05)
    raise LabError(f"fw1's SSH server does not answer; see {log}")


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
