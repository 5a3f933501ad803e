# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of ISE in few requests, equal to reading every object, and the preflight's findings, over real HTTPS."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.preflight import (
    find_nodes,
    preflight_all,
    refusals,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_preflight import Preflight, preflight
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_read import IseReader
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

HOST, PEER = "127.10.184.10", "127.10.84.11"
PORT = 9060
SIDE = 12
RULES = ("NONE", "PERMIT_IP", "DENY_IP")
STATUSES = ("ENABLED", "MONITOR", "DISABLED")


def seed() -> dict[str, Any]:
    """Return a matrix of 144 cells with every status and default rule, half of them ours."""
    names = [f"SW_{number:02}" for number in range(SIDE)]
    pairs = [(a, b) for a in range(SIDE) for b in range(SIDE)]
    return {
        "settings": {"allow_multiple_sgacls": True},
        "sgts": [{"name": name, "value": 1000 + n, "description": "segwright:x"} for n, name in enumerate(names)],
        "sgacls": [{"name": f"L{n}", "lines": ["permit ip"], "description": "segwright:x"} for n in range(3)],
        "cells": [
            {
                "source": names[a], "destination": names[b], "status": STATUSES[(a + b) % 3], "default_rule": RULES[a % 3],
                "sgacls": [f"L{n}" for n in range(b % 3)][:: -1 if a % 2 else 1],
                "description": "segwright:cell" if (a + b) % 2 else "by hand",
            }
            for a, b in pairs
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IseServer, dict[str, Any]]]:
    server = IseServer(HOST, PORT, tmp_path_factory.mktemp("ise"), seed())
    with server:
        yield server, ControlClient(server.control_url).state()


@pytest.fixture
def ise(_server: tuple[IseServer, dict[str, Any]]) -> IseServer:
    server, state = _server
    ControlClient(server.control_url).fresh(state)
    return server


@pytest.fixture
def control(ise: IseServer) -> ControlClient:
    return ControlClient(ise.control_url)


def client_of(ise: IseServer, **more: Any) -> IseClient:
    given: dict[str, Any] = {"ca_file": ise.ca_file, "timeout": 3.0, "version": "3.5", "sleep": lambda s: None, **more}
    return IseClient(ise.base_url, given.pop("username", ise.username), given.pop("password", ise.password), **given)


def cells_of(reader: IseReader, **how: bool) -> dict[str, Any]:
    return dict(reader.read((), ["egress_matrix_cell"], with_owned=True, **how).objects)


# -- snapshots


@pytest.mark.parametrize("read_form", ["both", "sgacl_only", "rule_only"])
@pytest.mark.parametrize("list_form", ["sgacl_only", "rule_only"])
def test_cells_are_the_same_however_they_are_read(
    ise: IseServer, control: ControlClient, read_form: str, list_form: str
) -> None:
    control.settings(version="3.3", cell_read_form=read_form)
    one_by_one = cells_of(IseReader("ise1", client_of(ise)), everything=True)
    assert len(one_by_one) == SIDE * SIDE + 1
    assert {body["default_rule"] for body in one_by_one.values()} == set(RULES)
    control.settings(version="3.5", cells_list_form=list_form)
    control.reset_counters()
    assert cells_of(IseReader("ise1", client_of(ise)), everything=True) == one_by_one
    sent = control.counters()["total"]
    if list_form == "sgacl_only":  # one list of SGTs and SGACLs each, the matrix, 4 + 2 pages, two contents compared
        assert sent <= 2 + 1 + 4 + 2 + 2
    else:  # default rules are hidden in the list: nothing of it is believed
        assert sent > SIDE * SIDE


def test_only_what_is_ours_is_read_from_a_large_matrix(ise: IseServer, control: ControlClient) -> None:
    found = cells_of(IseReader("ise1", client_of(ise)))
    assert len(found) == SIDE * SIDE // 2
    assert control.counters()["total"] <= 2 + 1 + 4 + 2 + 2
    # A handful is cheaper by content.
    wanted = [DesiredObject("egress_matrix_cell", "SW_00-SW_00", {})]
    control.reset_counters()
    snapshot = IseReader("ise1", client_of(ise)).read(wanted, ["egress_matrix_cell"], with_owned=False)
    assert list(snapshot.objects) == ["egress_matrix_cell/SW_00-SW_00"]
    assert "GET api/trustsec/matrix" in control.counters()["requests"]
    assert control.counters()["total"] == 2 + 1 + 3 + 1


def test_a_cell_that_changes_its_status_in_mid_read_is_not_lost(ise: IseServer) -> None:
    client = client_of(ise)
    original = client.page
    moved = threading.Event()

    def page(kind: str, number: int, name_filter: str = "") -> Any:
        """Let a cell go from the status listed first into the one listed last, and back, so that no list has it."""
        if kind == "egress_matrix_cell" and not moved.is_set():
            moved.set()
        total, items = original(kind, number, name_filter)
        kept = [item for item in items if item["name"] != "SW_01-SW_02"]
        return total - (len(items) - len(kept)), kept

    client.page = page  # type: ignore[method-assign]
    assert "egress_matrix_cell/SW_01-SW_02" in cells_of(IseReader("ise1", client))


def test_cells_of_other_matrices_are_not_ours(ise: IseServer, control: ControlClient) -> None:
    control.settings(multiple_matrices=True)
    client = client_of(ise)
    production = next(
        row["matrixUuId"] for row in client.open_api("GET", "/api/v1/trustsec/matrix")["response"]
        if row["type"] in ("PRODUCTION", "DEFAULT")
    )  # fmt: skip
    before = cells_of(IseReader("ise1", client), everything=True)
    client.open_api("POST", "/api/v1/trustsec/matrix", {"name": "Pilot", "copyPolicyFrom": production})
    control.settings(matrix_list_scope="all")
    assert cells_of(IseReader("ise1", client_of(ise)), everything=True) == before
    found = IseReader("ise1", client_of(ise)).find("egress_matrix_cell", "SW_01-SW_02")
    assert found is not None
    assert found["matrixId"] == production


def test_pages_are_read_side_by_side_and_lists_that_move_are_read_again(ise: IseServer, control: ControlClient) -> None:
    for number in range(230):
        control.call("POST", "/objects/downloadableacl", {
            "name": f"SW_{number}", "dacl": "permit ip any any", "daclType": "IPV4", "description": "segwright:x",
        })  # fmt: skip
    control.schedule({"match": "GET ^/ers/config/downloadableacl$", "nth": 2, "fault": "cut_json", "times": 4})
    reader = IseReader("ise1", client_of(ise))
    found = reader.read((), ["downloadable_acl"], with_owned=True).objects
    assert len(found) == 230
    assert control.counters()["max_in_flight"] <= 8


def test_many_new_sgts_do_not_cost_a_request_each(ise: IseServer, control: ControlClient) -> None:
    wanted = [DesiredObject("sgt", f"SW_new_{n}", {"value": 2000 + n}) for n in range(60)]
    wanted += [DesiredObject("sgt", "SW_clash", {"value": 5})]
    snapshot = IseReader("ise1", client_of(ise)).read(wanted, ["sgt"], with_owned=True)
    assert 5 in [body["value"] for body in snapshot.objects.values()]
    assert control.counters()["total"] <= 1 + 30


# -- preflight


def said(found: Preflight) -> set[str]:
    return {finding.code for finding in found.findings}


def deletes_asked(control: ControlClient) -> int:
    return sum(count for name, count in control.counters()["requests"].items() if name.startswith("DELETE "))


def test_a_sound_ise_passes(ise: IseServer, control: ControlClient) -> None:
    found = preflight(client_of(ise), "ise1", writing=True)
    assert said(found) == set(), found.findings
    assert found.facts | {"clock_ahead_seconds": 0} == {
        "csrf": False, "version": "3.5", "patch": 0, "matrix_mode": "SINGLE_MATRIX", "approval_workflow": False,
        "node": ise.base_url, "clock_ahead_seconds": 0,
    }  # fmt: skip
    counters = control.counters()
    assert (counters["total"], counters["writes"]) == (5, 0)
    assert deletes_asked(control) == 1, "whether it may write is asked by a delete of nothing"
    control.reset_counters()
    preflight(client_of(ise), "ise1")
    assert deletes_asked(control) == 0


@pytest.mark.parametrize(
    ("settings", "version", "code"),
    [
        ({"ers_enabled": False}, "3.5", "SW4304"),
        ({"openapi_enabled": False}, "3.5", "SW4304"),
        ({"approval_workflow": True}, "3.5", "SW4307"),
        ({"version": "3.3"}, "3.5", "SW4309"),
        ({"said_version": "2.7"}, "3.1", "SW4302"),
        ({"said_version": "unknown"}, "3.5", "SW4313"),
        ({"csrf": True}, "3.5", "SW4311"),
        ({"multiple_matrices": True, "said_version": "3.3"}, "3.3", "SW4308"),
    ],
)
def test_what_is_in_the_way_is_named(
    ise: IseServer, control: ControlClient, settings: dict[str, Any], version: str, code: str
) -> None:
    control.settings(**settings)
    found = preflight(client_of(ise, version=version), "ise1", writing=True)
    assert code in said(found), found.findings
    assert all(finding.hint and finding.message.startswith("ise1: ") for finding in found.findings)


@pytest.mark.parametrize(
    ("settings", "version", "code"),
    [
        ({"approval_workflow": True}, "3.5", "SW4307"),
        ({"multiple_matrices": True, "said_version": "3.3"}, "3.3", "SW4308"),
    ],
)
def test_a_mode_of_the_matrix_stops_what_touches_the_matrix_and_nothing_else(
    ise: IseServer, control: ControlClient, settings: dict[str, Any], version: str, code: str
) -> None:
    control.settings(**settings)
    target = IseTarget("ise1", client_of(ise, version=version))
    assert code in {finding.code for finding in preflight_all({"ise1": target}, writing=True)}  # a warning, no refusal
    acl = {"dacl_type": "IPV4", "content": "permit ip any any", "description": "segwright:x"}
    alone = [DesiredObject("downloadable_acl", "SW_mode", acl)]
    steps = [step for step in target.diff(alone, target.snapshot(alone)) if not step.details.get("prune")]
    assert [step.name for step in steps if step.action != "push"] == ["SW_mode"]
    both = [*alone, DesiredObject("sgt", "SW_mode", {"value": 4000, "description": "segwright:x"})]
    with pytest.raises(FindingError) as refused:
        target.diff(both, target.snapshot(both))
    assert [finding.code for finding in refused.value.findings] == [code]


def test_a_plan_is_told_that_its_role_cannot_write(ise: IseServer) -> None:
    operator = IseTarget("ise1", client_of(ise, username=ise.operator_username, password=ise.operator_password))
    [said_before] = refusals({"ise1": operator}, ["ise1", "elsewhere"])
    assert (said_before.code, said_before.severity) == ("SW4306", "warning")
    assert refusals({"ise1": IseTarget("ise1", client_of(ise))}, ["ise1"]) == []


def test_tokens_known_from_the_preflight_cost_no_refused_write(ise: IseServer, control: ControlClient) -> None:
    control.settings(csrf=True)
    client = client_of(ise)
    preflight(client, "ise1", writing=True)
    client.create("sgt", {"name": "SW_csrf", "value": 3000, "description": ""})
    assert "403" not in control.counters()["statuses"]


def test_an_operator_is_told_before_an_apply_and_may_plan(ise: IseServer) -> None:
    operator = client_of(ise, username=ise.operator_username, password=ise.operator_password)
    assert said(preflight(operator, "ise1")) == set()
    assert said(preflight(operator, "ise1", writing=True)) == {"SW4306"}
    with pytest.raises(FindingError):
        preflight_all({"ise1": IseTarget("ise1", operator)}, writing=True)


@pytest.mark.parametrize("status", [400, 500])
def test_an_answer_that_nobody_knows_stops_nobody(ise: IseServer, control: ControlClient, status: int) -> None:
    control.schedule({"match": "DELETE ^/ers/config/sgt/0", "times": 0, "fault": f"status:{status}"})
    found = preflight_all({"ise1": IseTarget("ise1", client_of(ise))}, writing=True)
    assert {(finding.code, finding.severity) for finding in found} == {("SW4313", "warning")}


def test_a_wrong_password_ends_the_preflight_with_one_attempt(ise: IseServer, control: ControlClient) -> None:
    found = preflight(client_of(ise, password="wrong", other_nodes=(f"https://{PEER}:{PORT}",)), "ise1", writing=True)
    assert said(found) == {"SW4203"}
    assert control.counters()["failed_logins"] == 1


def test_clocks_that_differ_are_named(ise: IseServer) -> None:
    client = client_of(ise)
    client.adapter._clock = lambda: time.time() - 300
    found = preflight(client, "ise1")
    assert said(found) == {"SW4310"}
    assert "ahead" in found.findings[0].message


def test_the_primary_is_found_among_several_nodes(ise: IseServer, control: ControlClient, tmp_path: Path) -> None:
    with IseServer(PEER, PORT, tmp_path, peer_of=ise) as second:
        both = tmp_path / "both.pem"
        both.write_text(Path(ise.ca_file).read_text("ascii") + Path(second.ca_file).read_text("ascii"), "ascii")
        client = client_of(ise, ca_file=str(both), other_nodes=(second.base_url,))
        assert preflight(client, "ise1", writing=True).facts["node"] == ise.base_url
        control.settings(primary=False)  # failover: the peer is the primary now
        client = client_of(ise, ca_file=str(both), other_nodes=(second.base_url,))
        found = preflight(client, "ise1", writing=True)
        assert said(found) == set(), found.findings
        assert found.facts["node"] == second.base_url
        assert client.create("sgt", {"name": "SW_two", "value": 3001, "description": ""})
        # A rollback finds it as well, whatever else would stop an apply.
        control.settings(approval_workflow=True)
        client = client_of(ise, ca_file=str(both), other_nodes=(second.base_url,))
        find_nodes({"ise1": IseTarget("ise1", client)})
        assert client.base_url == second.base_url
        control.settings(approval_workflow=False)
        alone = preflight(client_of(ise), "ise1", writing=True)
        assert said(alone) == {"SW4305"}
        assert "ise-2.lab.invalid" in alone.findings[0].message
        # A node that is down is passed over.
        client = IseClient(
            f"https://{PEER}:1", ise.username, ise.password, ca_file=str(both), version="3.5",
            other_nodes=(second.base_url,), sleep=lambda seconds: None,
        )  # fmt: skip
        assert preflight(client, "ise1").facts["node"] == second.base_url
    control.settings(primary=True, peer=False, addresses=[])


def test_an_address_that_refuses_and_one_that_is_silent_are_told_apart(ise: IseServer) -> None:
    refused = IseClient(f"https://{HOST}:1", "u", "p", version="3.5", timeout=1.0, sleep=lambda seconds: None)
    assert said(preflight(refused, "ise1")) == {"SW4202"}
    full = socket.create_server(
        (PEER, 0), backlog=0
    )  # a full queue lets connections time out, as ERS does when it is off
    port = full.getsockname()[1]
    fillers = [socket.socket() for _number in range(4)]
    for each in fillers:
        each.setblocking(False)
        each.connect_ex((PEER, port))
    silent = IseClient(f"https://{PEER}:{port}", "u", "p", version="3.5", timeout=0.3, sleep=lambda seconds: None)
    found = preflight(silent, "ise1")
    assert said(found) == {"SW4304"}, found.findings
    for each in [*fillers, full]:
        each.close()


@pytest.mark.parametrize(
    ("case", "words"), [("expired", "expired"), ("name", "another name"), ("authority", "not trusted")]
)
def test_what_is_wrong_with_a_certificate_is_named(tmp_path: Path, case: str, words: str) -> None:
    authority, ca_file, key = trustme.CA(), tmp_path / "ca.pem", tmp_path / "key.pem"
    past = datetime.now(UTC) - timedelta(days=3)
    issued = authority.issue_cert(
        "elsewhere.invalid" if case == "name" else PEER,
        **({"not_before": past - timedelta(days=3), "not_after": past} if case == "expired" else {}),
    )
    issued.private_key_and_cert_chain_pem.write_to_path(str(key))
    (trustme.CA() if case == "authority" else authority).cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(key))
    listener = socket.create_server((PEER, 0))

    def serve() -> None:
        try:
            context.wrap_socket(listener.accept()[0], server_side=True)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    client = IseClient(f"https://{PEER}:{listener.getsockname()[1]}", "u", "p", ca_file=str(ca_file), version="3.5")
    found = preflight(client, "ise1")
    assert said(found) == {"SW4312"}
    assert words in found.findings[0].message
    listener.close()


def test_pages_needed_grow_with_hundreds(ise: IseServer, control: ControlClient) -> None:
    cells_of(IseReader("ise1", client_of(ise)))
    walks = control.counters()["requests"]["GET ers/egressmatrixcell"] - 2
    assert walks <= math.ceil((SIDE * SIDE + 1) / 100) + 2
