# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that knows SHA-1 and CBC only, as images of old switches do: reached where its host is set so, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.connections import target_specs
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ios_facts import open_shell
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.spec import TargetSpec

ADDRESS = "127.10.87.10"
# A process of its own: pylibssh keeps Python's lock while it waits.
SERVER = """
import asyncio, sys
import asyncssh

class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("netops", "lab-password")

async def shell(process):
    process.stdout.write("old1#")
    async for line in process.stdin:
        text = "Cisco IOS Software, C2960 Software, Version 12.2(55)SE12\\r\\n" if "version" in line else ""
        process.stdout.write("\\r\\n" + text + "old1#")

async def main(address, known):
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    server = await asyncssh.create_server(
        Server, address, 0, server_host_keys=[key], process_factory=shell, signature_algs=["ssh-rsa"],
        kex_algs=["diffie-hellman-group14-sha1"], encryption_algs=["aes128-cbc"], mac_algs=["hmac-sha1"],
    )
    port = server.sockets[0].getsockname()[1]
    with open(known, "w") as stream:
        stream.write(f"[{address}]:{port} " + key.export_public_key().decode())
    print(port, flush=True)
    await asyncio.sleep(120)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetSpec]:
    pytest.importorskip("asyncssh")
    pytest.importorskip("pylibsshext")
    known = tmp_path_factory.mktemp("old") / "known_hosts"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, ADDRESS, str(known)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield TargetSpec("old1", "ios", ADDRESS, port, "netops", "lab-password", known_hosts_file=str(known))
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("transport", ["netmiko", "libssh"])
def test_nobody_offers_old_algorithms_unasked(old: TargetSpec, transport: str) -> None:
    with pytest.raises(FindingError) as caught:
        open_shell(replace(old, facts_transport=transport))
    assert [each.code for each in caught.value.findings] == [codes.UNREACHABLE.number]
    assert "kex" in str(caught.value)


def test_a_host_that_is_set_so_is_reached_over_libssh(old: TargetSpec) -> None:
    shell = open_shell(replace(old, facts_transport="libssh", ssh_legacy=True))
    try:
        assert "Version 12.2(55)SE12" in shell.show("show version", 20)
    finally:
        shell.close()


def test_the_host_key_is_still_checked(old: TargetSpec, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(FindingError) as caught:
        open_shell(replace(old, facts_transport="libssh", ssh_legacy=True, known_hosts_file=str(tmp_path / "empty")))
    assert [each.code for each in caught.value.findings] == [codes.HOST_KEY.number]


def test_one_variable_of_a_host_says_it() -> None:
    host = {"microseg_platform": "ios", "ansible_host": ADDRESS}
    (plain,) = target_specs({"old1": host}, ["old1"])
    assert (plain["facts_transport"], plain["ssh_legacy"]) == ("netmiko", False)
    (legacy,) = target_specs({"old1": {**host, "microseg_ssh_legacy": True}}, ["old1"])
    assert (legacy["facts_transport"], legacy["ssh_legacy"]) == ("libssh", True)
