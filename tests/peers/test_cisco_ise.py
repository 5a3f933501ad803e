# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official cisco.ise 2.10.0 modules create, change, find and delete objects of the emulated ISE.

They were written for a real ISE by people who never saw this emulator: what they need of a wire format, it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.ise.client import ControlClient
from tests.lab.ise.example import SEED
from tests.lab.ise.server import IseServer
from tests.peers import cisco_ise

HOST = "127.10.83.10"


@pytest.fixture(scope="module")
def peer() -> cisco_ise.Peer:
    found = cisco_ise.found(cisco_ise.default_directory())
    if found is None:
        pytest.skip("no environment of the peer here: python -m tests.peers.cisco_ise builds it")
    return found


@pytest.fixture
def ise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IseServer]:
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("peer"), SEED) as server:
        yield server


def crud(module: str, state: str, **arguments: Any) -> dict[str, Any]:
    return {"module": module, "args": {"state": state, **arguments}}


def test_downloadable_acls(peer: cisco_ise.Peer, ise: IseServer) -> None:
    control = ControlClient(ise.control_url)
    text = "permit tcp any host 100.64.40.10 eq 443\ndeny ip any any"
    results = cisco_ise.run(
        peer, ise,
        [
            crud("downloadable_acl", "present", name="Peer", description="first", dacl=text, daclType="IPV4"),
            crud("downloadable_acl", "present", name="Peer", description="second", dacl=text, daclType="IPV4"),
            {"module": "downloadable_acl_info", "args": {"page": 1, "size": 20}},
            crud("downloadable_acl", "absent", name="Peer", dacl=text),
        ],
    )  # fmt: skip
    assert [each["result"]["changed"] for each in (results[0], results[1], results[3])] == [True, True, True]
    assert "Peer" in {each["name"] for each in results[2]["result"]["ise_response"]}
    revisions = [name for name in control.state()["revisions"] if name.startswith("#ACSACL#-IP-Peer-")]
    assert len(revisions) == 2  # created and changed once each, each save with a suffix of its own
    assert control.state()["revisions"][revisions[0]]["dacl"] == text
    assert all(each["name"] != "Peer" for each in control.state()["objects"]["downloadableacl"].values())


@pytest.mark.full
def test_all_kinds(peer: cisco_ise.Peer, ise: IseServer) -> None:
    control = ControlClient(ise.control_url)
    ids = {name: control.object("sgt", name)["id"] for name in ("Pumps", "Pump_Servers")}
    mqtt = control.object("sgacl", "Mqtt")["id"]
    kinds = [
        ("sgt", "sgt", {"name": "Peer_Sgt", "value": 950, "description": "one"}),
        ("sg_acl", "sgacl", {"name": "Peer_Sgacl", "aclcontent": "permit ip", "ipVersion": "IPV4", "description": "one"}),
        ("authorization_profile", "authorizationprofile", {
            "name": "Peer_Profile", "accessType": "ACCESS_ACCEPT", "daclName": "Pump_Access", "description": "one",
        }),
        ("endpoint_group", "endpointgroup", {"name": "Peer_Group", "description": "one"}),
    ]  # fmt: skip
    tasks = []
    for module, _resource, body in kinds:
        tasks += [
            crud(module, "present", **body),
            crud(module, "present", **{**body, "description": "two"}),
            {"module": f"{module}_info", "args": {"size": 100, "page": 1}},
            crud(module, "absent", **body),
        ]
    cell = {
        "sourceSgtId": ids["Pump_Servers"], "destinationSgtId": ids["Pumps"], "matrixCellStatus": "MONITOR",
        "defaultRule": "NONE", "sgacls": [mqtt], "name": "Pump_Servers-Pumps",
    }  # fmt: skip
    tasks += [
        crud("egress_matrix_cell", "present", **cell),
        crud("egress_matrix_cell", "present", **{**cell, "matrixCellStatus": "ENABLED"}),
        {"module": "egress_matrix_cell_info", "args": {"size": 100, "page": 1}},
        crud("egress_matrix_cell", "absent", **cell),
    ]
    results = cisco_ise.run(peer, ise, tasks)
    names = [body["name"] for _module, _resource, body in kinds] + [cell["name"]]
    for number, name in enumerate(names):
        created, changed, listed, deleted = (results[4 * number + step]["result"] for step in range(4))
        assert (created["changed"], changed["changed"], deleted["changed"]) == (True, True, True), name
        assert name in {each["name"] for each in listed["ise_response"]}
    left = {each["name"] for kind in control.state()["objects"].values() for each in kind.values()}
    assert not left & set(names)


@pytest.mark.full
def test_cost_of_the_official_way_grows_with_what_exists(peer: cisco_ise.Peer, ise: IseServer) -> None:
    first = cisco_ise.creation_cost(peer, ise, 3)
    assert first["created"] == 3
    assert first["requests"] >= 4 * 3  # a new client, two walks of the list and a create for each object
