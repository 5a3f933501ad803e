# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests reach ISE, over real HTTPS and the real SDK: logins, tokens, certificates, proxies, versions, rate, lost answers."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, Lost
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_gate import LoginGates
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sdk import ise_version
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.registry import close_all, connect
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST, OTHER = "127.10.183.10", "127.10.83.11"
PORT = 9060
VERSIONS = ("3.1.0", "3.1.1", "3.1_Patch_1", "3.2_beta", "3.2", "3.3_patch_1", "3.4", "3.4_patch_2", "3.5.0", "3.5")
DACL = {"name": "One", "dacl": "permit ip any any", "daclType": "IPV4", "description": "one"}


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, dict[str, Any]]]:
    server = IseServer(HOST, PORT, tmp_path_factory.mktemp("ise"), {})
    with server:
        yield server, ControlClient(server.control_url).state()


@pytest.fixture
def ise(_server: tuple[IseServer, dict[str, Any]]) -> IseServer:
    server, state = _server
    ControlClient(server.control_url).fresh(state)
    server.app.csrf_tokens.clear()
    return server


@pytest.fixture
def control(ise: IseServer) -> ControlClient:
    return ControlClient(ise.control_url)


def client_of(ise: IseServer, **more: Any) -> IseClient:
    given: dict[str, Any] = {"ca_file": ise.ca_file, "timeout": 3.0, **more}
    return IseClient(ise.base_url, given.pop("username", ise.username), given.pop("password", ise.password), **given)


def codes_of(error: pytest.ExceptionInfo[FindingError]) -> set[str]:
    return {finding.code for finding in error.value.findings}


# -- versions


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_creates_reads_changes_and_deletes(ise: IseServer, version: str) -> None:
    client = client_of(ise, version=version)
    made = client.create("downloadable_acl", DACL)
    client.update("downloadable_acl", made, {**DACL, "dacl": "deny ip any any"})
    assert client.get("downloadable_acl", made)["dacl"] == "deny ip any any"
    assert "One" in {item["name"] for item in client.list_items("downloadable_acl", "name.EQ.One")}
    client.delete("downloadable_acl", made)
    for kind in ("sgt", "sgacl", "egress_matrix_cell", "authorization_profile", "downloadable_acl", "endpoint_group"):
        assert "One" not in {item["name"] for item in client.list_items(kind)}
    sgt = client.create("sgt", {"name": "Two", "value": 900, "description": ""})
    assert client.get("sgt", sgt)["value"] == 900
    client.close()


@pytest.mark.parametrize("text", ["", "2.7", "3.0", "3.6", "4.1", "3.5; rm", "three"])
def test_a_version_that_is_not_supported_is_named(text: str) -> None:
    with pytest.raises(FindingError) as error:
        ise_version(text)
    assert codes_of(error) == {"SW4302"}


def test_versions_are_understood() -> None:
    assert [str(ise_version(text)) for text in ("3.1.1", "3.4p2", "3.4", "3.5.0", "3.4.0.608")] == [
        "3.1 patch 1", "3.4 patch 2", "3.4", "3.5", "3.4",
    ]  # fmt: skip
    assert ise_version("3.4").sdk == "3.3_patch_1"


# -- logins


def test_one_wrong_password_is_one_attempt_for_all_threads_and_targets(ise: IseServer, control: ControlClient) -> None:
    with IseServer(OTHER, PORT, Path(ise.ca_file).parent, {}) as second:
        other = ControlClient(second.control_url)
        targets = connect([
            {"name": name, "platform": "ise", "host": server.host, "port": server.port, "username": ise.username,
             "password": "wrong-password", "ca_file": server.ca_file}
            for name, server in (("ise1", ise), ("ise2", second))
        ])  # fmt: skip
        with ThreadPoolExecutor(16) as pool:
            futures = [pool.submit(targets[f"ise{number % 2 + 1}"].snapshot, ()) for number in range(16)]
            for future in futures:
                with pytest.raises(FindingError) as error:
                    future.result()
                assert codes_of(error) == {"SW4203"}
        assert control.counters()["failed_logins"] + other.counters()["failed_logins"] == 1
        assert control.counters()["total"] + other.counters()["total"] == 1
        close_all(targets)


def test_a_login_that_is_withdrawn_in_mid_run_stops_the_run(ise: IseServer, control: ControlClient) -> None:
    gates = LoginGates()
    first, second = client_of(ise, gates=gates), client_of(ise, gates=gates)
    assert first.list_items("sgt")
    control.schedule({"match": "GET ^/ers/config/sgacl", "fault": "status:401"})
    with pytest.raises(FindingError):
        first.list_items("sgacl")
    before = control.counters()["total"]
    for client in (first, second):
        with pytest.raises(FindingError) as error:
            client.list_items("sgt")
        assert codes_of(error) == {"SW4203"}
    assert control.counters()["total"] == before
    # Another run starts anew.
    assert client_of(ise).list_items("sgt")


def test_an_answer_that_is_lost_lets_the_next_request_try_the_login(ise: IseServer, control: ControlClient) -> None:
    control.schedule({"match": "GET ^/ers/config/sgt", "fault": "drop_before"})
    assert client_of(ise, sleep=lambda seconds: None).list_items("sgt")


# -- where a request goes, and with what


def test_the_environment_of_the_sdk_does_not_leak_in(
    ise: IseServer, control: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "BASE_URL": "https://127.0.0.9:1", "UI_BASE_URL": "https://127.0.0.9:1", "ERS_BASE_URL": "https://127.0.0.9:1",
        "MNT_BASE_URL": "https://127.0.0.9:1", "PX_GRID_BASE_URL": "https://127.0.0.9:1", "USERNAME": "somebody",
        "PASSWORD": "else", "ENCODED_AUTH": "c29tZWJvZHk6ZWxzZQ==", "VERIFY": "False", "VERSION": "3.5.0", "DEBUG": "True",
        "USES_API_GATEWAY": "False", "USES_CSRF_TOKEN": "True", "CLIENT_CERT": "/nonexistent.pem",
        "CLIENT_KEY": "/nonexistent.key", "SINGLE_REQUEST_TIMEOUT": "1", "WAIT_ON_RATE_LIMIT": "True",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"IDENTITY_SERVICES_ENGINE_{name}", value)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.9:1")
    client = client_of(ise)
    made = client.create("downloadable_acl", DACL)
    assert client.get("downloadable_acl", made)["name"] == "One"
    assert client.open_api("GET", "/api/v1/trustsec/general-settings")
    assert client.monitoring("Session/ActiveList").startswith(b"<?xml")
    assert control.counters()["failed_logins"] == 0
    assert control.counters()["total"] == 4
    # And nothing of it helps where something is missing.
    with pytest.raises(FindingError):
        IseClient("", ise.username, ise.password)
    with pytest.raises(FindingError):
        IseClient(ise.base_url, "", "")


@pytest.mark.parametrize(("fault", "code"), [("redirect", "SW4209"), ("html200", "SW4209"), ("cut_json", "SW4209")])
def test_answers_that_are_not_the_api_are_named_and_not_followed(
    ise: IseServer, control: ControlClient, fault: str, code: str
) -> None:
    control.schedule({"match": "GET ^/ers/config/sgt", "times": 0, "fault": fault})
    with pytest.raises(FindingError) as error:
        client_of(ise, sleep=lambda seconds: None).list_items("sgt")
    assert codes_of(error) == {code}
    assert "GET other" not in control.counters()["requests"]


def test_a_create_is_never_sent_twice(ise: IseServer, control: ControlClient) -> None:
    client = client_of(ise, timeout=0.5, sleep=lambda seconds: None)
    for fault in ("drop_before", "drop_after_commit", "hang_after_commit", "cut_json"):
        control.schedule({"match": "POST ^/ers/config/downloadableacl", "fault": fault, "seconds": 1.0})
        before = control.counters()["requests"].get("POST ers/downloadableacl", 0)
        try:
            client.create("downloadable_acl", {**DACL, "name": fault})
        except Lost:
            pass
        assert control.counters()["requests"]["POST ers/downloadableacl"] == before + 1


def test_a_proxy_is_used_where_it_is_given(ise: IseServer, control: ControlClient) -> None:
    with Proxy() as proxy:
        client = client_of(ise, proxy=f"http://user:proxy-secret@127.0.0.1:{proxy.port}")
        assert client.list_items("sgt")
        assert proxy.targets == [f"{HOST}:{PORT}"]
        client.close()
    dead = client_of(ise, proxy=f"http://user:proxy-secret@127.0.0.1:{proxy.port}", sleep=lambda seconds: None)
    with pytest.raises(FindingError) as error:
        dead.list_items("sgt")
    assert codes_of(error) == {"SW4202"}
    assert "proxy-secret" not in str(error.value)


class Proxy:
    """An HTTP proxy that knows CONNECT only."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self.listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096)
            self.targets.append(head.split()[1].decode())
            host, _, port = self.targets[-1].rpartition(":")
            far = socket.create_connection((host, int(port)))
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    @staticmethod
    def _copy(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass


# -- tokens against cross-site requests


@pytest.mark.parametrize("version", ["3.3_patch_1", "3.5.0"])
def test_tokens_are_fetched_used_and_renewed(
    ise: IseServer, control: ControlClient, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.settings(csrf=True)
    client = client_of(ise, version=version)
    made = client.create("downloadable_acl", DACL)
    assert client.adapter.csrf
    client.update("downloadable_acl", made, {**DACL, "dacl": "deny ip any any"})
    counts = control.counters()
    assert (counts["writes"], counts["writes_done"]) == (3, 2)  # the first write taught us that tokens are needed
    # The token's session has died on the server: refused once, fetched anew, sent again.
    ise.app.csrf_tokens.clear()
    client.update("downloadable_acl", made, {**DACL, "dacl": "permit ip any any"})
    # After 60 s without use it would die: it is renewed before, without a refusal.
    before = control.counters()
    real = time.time
    monkeypatch.setattr(client.adapter, "_clock", lambda: real() + 61)
    monkeypatch.setattr(ise.store, "clock", lambda: real() + 61)
    client.open_api("PUT", "/api/v1/trustsec/coa/push", {"coaType": "POLICY"})
    client.delete("downloadable_acl", made)
    after = control.counters()
    assert after["statuses"].get("403", 0) == before["statuses"].get("403", 0)
    assert after["writes_done"] == before["writes_done"] + 1


def test_tokens_hold_for_threads(ise: IseServer, control: ControlClient) -> None:
    control.settings(csrf=True)
    client = client_of(ise)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: client.create("downloadable_acl", {**DACL, "name": f"T{n}"}), range(24)))
    assert len(set(made)) == 24
    assert control.counters()["writes_done"] == 24


def test_an_operator_is_not_mistaken_for_a_missing_token(ise: IseServer, control: ControlClient) -> None:
    client = client_of(ise, username=ise.operator_username, password=ise.operator_password)
    with pytest.raises(FindingError) as error:
        client.create("downloadable_acl", DACL)
    assert codes_of(error) == {"SW4204"}
    assert control.counters()["writes"] == 1


# -- certificates of the client


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, _server: Any) -> Iterator[dict[str, Any]]:
    """The emulated ISE behind TLS that demands a client certificate."""
    directory = tmp_path_factory.mktemp("mutual")
    authority = trustme.CA()
    served, ours, foreign = (
        authority.issue_cert(OTHER),
        authority.issue_cert("automation"),
        trustme.CA().issue_cert("x"),
    )
    paths = {name: str(directory / name) for name in ("ca", "server", "ours", "key", "foreign", "encrypted")}
    authority.cert_pem.write_to_path(paths["ca"])
    served.private_key_and_cert_chain_pem.write_to_path(paths["server"])
    ours.cert_chain_pems[0].write_to_path(paths["ours"])
    ours.private_key_pem.write_to_path(paths["key"])
    foreign.private_key_and_cert_chain_pem.write_to_path(paths["foreign"])
    Path(paths["encrypted"]).write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", encoding="ascii")
    config = uvicorn.Config(
        _server[0].app, host=OTHER, port=PORT + 4, ssl_certfile=paths["server"], ssl_keyfile=paths["server"],
        ssl_ca_certs=paths["ca"], ssl_cert_reqs=ssl.CERT_REQUIRED, log_config=None, log_level="critical", lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield {**paths, "url": f"https://{OTHER}:{PORT + 4}"}
    server.should_exit = True
    thread.join(timeout=5)


def test_a_client_certificate_is_shown(mutual: dict[str, Any], ise: IseServer) -> None:
    client = IseClient(
        mutual["url"], ise.username, ise.password, ca_file=mutual["ca"],
        client_certificate=mutual["ours"], client_key=mutual["key"],
    )  # fmt: skip
    assert client.list_items("sgt")
    client.close()


@pytest.mark.parametrize("shown", ["", "foreign"])
def test_without_the_right_client_certificate_the_reason_is_named(
    mutual: dict[str, Any], ise: IseServer, shown: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mutual["server"])
    context.load_verify_locations(mutual["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server((OTHER, 0))

    def refuse() -> None:
        for _attempt in range(4):
            try:
                context.wrap_socket(listener.accept()[0], server_side=True)
            except OSError:
                continue

    threading.Thread(target=refuse, daemon=True).start()
    client = IseClient(
        f"https://{OTHER}:{listener.getsockname()[1]}", ise.username, ise.password, ca_file=mutual["ca"],
        client_certificate=mutual.get(shown, ""), sleep=lambda seconds: None,
    )  # fmt: skip
    with pytest.raises(FindingError) as error:
        client.list_items("sgt")
    assert codes_of(error) == {"SW4206"}, error.value
    listener.close()


def test_an_encrypted_key_is_refused_before_tls_asks_for_its_password(mutual: dict[str, Any]) -> None:
    with pytest.raises(FindingError) as error:
        IseClient(
            mutual["url"], "u", "p", client_certificate=mutual["ours"], client_key=mutual["encrypted"]
        )  # fmt: skip
    assert codes_of(error) == {"SW4200"}


def test_a_certificate_alone_sends_no_password(mutual: dict[str, Any], control: ControlClient) -> None:
    client = IseClient(
        mutual["url"], "", "", ca_file=mutual["ca"], client_certificate=mutual["ours"], client_key=mutual["key"]
    )
    with pytest.raises(FindingError) as error:  # the lab's application knows passwords only
        client.list_items("sgt")
    assert codes_of(error) == {"SW4203"}


# -- rate, clock, import


def test_a_server_that_limits_the_rate_is_obeyed(ise: IseServer, control: ControlClient) -> None:
    control.settings(rate_limit=40)
    client = client_of(ise)
    identifier = client.list_items("sgacl")[0]["id"]
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _n: client.get("sgacl", identifier), range(60)))) == 60
    assert control.counters()["max_in_flight"] <= 4


def test_the_clock_of_ise_is_measured(ise: IseServer) -> None:
    client = client_of(ise)
    assert client.skew is None
    client.list_items("sgt")
    assert client.skew is not None
    ahead, margin = client.skew
    assert abs(ahead) <= margin + 1.0
    client.adapter._clock = lambda: time.time() + 3600
    client.list_items("sgt")
    assert -3602 < client.skew[0] < -3598


def test_a_run_that_does_not_touch_ise_never_loads_the_sdk() -> None:
    root = "ansible_collections.segwright.microseg.plugins"
    code = (
        f"import sys, {root}.plugin_utils.targets.registry as r, {root}.action.policy_plan, {root}.action.policy_apply\n"
        f"import {root}.action.device_policy, {root}.action.policy_validate, {root}.action.device_facts\n"
        "r.connect([{'name': 'fw1', 'platform': 'nftables', 'host': '127.0.0.1', 'username': 'root'}])\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ciscoisesdk', 'fastjsonschema', 'xmltodict')])"
    )
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=where)
    assert answer.stdout.strip() == "[]", answer.stderr
