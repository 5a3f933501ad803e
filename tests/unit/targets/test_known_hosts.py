# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of a known-hosts file says of its host what the whole file says; paramiko is the judge."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import known_hosts
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.known_hosts import lines_for

paramiko = pytest.importorskip("paramiko")


def key(number: int) -> str:
    """An Ed25519 public key's text; no private key belongs to it."""
    raw = number.to_bytes(32, "big")
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + raw
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def written(path: Path, dice: random.Random) -> list[tuple[str, int]]:
    """Write a large file of all forms of names, and return hosts and ports to ask for."""
    hosts = [(f"10.0.{number // 250}.{number % 250 + 1}", dice.choice([22, 22, 2222])) for number in range(400)]
    lines = ["# a comment\n", "\n"]
    for number, (host, port) in enumerate(hosts):
        name = host if port == 22 else f"[{host}]:{port}"
        form = dice.choice(["plain", "two", "hashed", "upper", "absent", "twice"])
        if form == "two":
            name = f"sw{number}.example,{name}"
        elif form == "hashed":
            name = paramiko.hostkeys.HostKeys.hash_host(name)
        elif form == "upper":
            name = f"SW{number},{name}"
        if form != "absent":
            lines.append(f"{name} {key(number)} comment\n")
        if form == "twice":
            lines.append(f"{name} {key(number + 10_000)}\n")
    path.write_text("".join(lines).rstrip("\n"), encoding="utf-8")
    assert path.stat().st_size > known_hosts.SMALL_BYTES
    return [*hosts, ("10.9.9.9", 22)]


def keys_of(path: str, host: str, port: int) -> set[str]:
    loaded = paramiko.hostkeys.HostKeys(path)
    found = loaded.lookup(host if port == 22 else f"[{host}]:{port}") or {}
    return {found[kind].get_base64() for kind in found}


def test_the_part_says_what_the_whole_says(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    hosts = written(path, random.Random(7))
    whole = paramiko.hostkeys.HostKeys(str(path))
    for host, port in hosts[::9] + hosts[-1:]:
        part = lines_for(str(path), host, port)
        assert part != str(path) and Path(part).stat().st_size < path.stat().st_size
        found = whole.lookup(host if port == 22 else f"[{host}]:{port}") or {}
        assert keys_of(part, host, port) == {found[kind].get_base64() for kind in found}


def test_a_changed_file_is_read_again_and_a_small_or_absent_one_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    written(path, random.Random(8))
    assert keys_of(lines_for(str(path), "10.77.0.1", 22), "10.77.0.1", 22) == set()
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"\n10.77.0.1 {key(5)}\n")
    assert keys_of(lines_for(str(path), "10.77.0.1", 22), "10.77.0.1", 22) == {key(5).split()[1]}
    small = tmp_path / "small"
    small.write_text(f"10.0.0.1 {key(1)}\n", encoding="utf-8")
    assert lines_for(str(small), "10.0.0.1", 22) == str(small)
    for absent in ("", str(tmp_path / "gone")):
        assert lines_for(absent, "10.0.0.1", 22) == absent
