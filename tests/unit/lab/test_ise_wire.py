# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wire details of the emulated ISE by plain requests: bulk, cloning, ETags, slashes, certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer

pytest_plugins = ["tests.lab.ise.fixtures"]

requests = pytest.importorskip("requests")


@pytest.fixture
def session(ise: IseServer) -> Iterator[Any]:
    with requests.Session() as made:
        made.trust_env = False
        made.verify = ise.ca_file
        made.auth = (ise.username, ise.password)
        made.headers.update({"Accept": "application/json", "Content-Type": "application/json"})
        yield made


def bulk(operation: str, **items: Any) -> dict[str, Any]:
    kind = "vnd.com.cisco.ise.trustsec.sgt.1.0+xml"
    return {"SGTBulkRequest": {"operationType": operation, "resourceMediaType": kind, **items}}


def test_one_bulk_request_at_a_time(ise: IseServer, ise_control: ControlClient, session: Any) -> None:
    ise_control.settings(version="3.3", bulk_delay=60)
    url = f"{ise.base_url}/ers/config/sgt/bulk/submit"
    items = [{"Sgt": {"name": f"Bulk_{n}", "value": 2000 + n}} for n in range(3)] + [
        {"Sgt": {"name": "Pumps", "value": 9}}
    ]
    first = session.put(url, json=bulk("create", resourcesList=items), timeout=5)
    assert (first.status_code, first.content) == (202, b"")
    assert session.put(url, json=bulk("create", resourcesList=items), timeout=5).status_code == 503
    status = session.get(first.headers["Location"], timeout=5).json()["BulkStatus"]
    assert (status["executionStatus"], status["resourcesCount"], status["successCount"]) == ("IN_PROGRESS", 4, 0)


def test_items_of_a_bulk_request_stand_for_themselves(ise: IseServer, ise_control: ControlClient, session: Any) -> None:
    ise_control.settings(version="3.4p2")
    url = f"{ise.base_url}/ers/config/sgt/bulk/submit"
    items = [{"Sgt": {"name": "Bulk_1", "value": 2001}}, {"Sgt": {"name": "Pumps", "value": 9}}]
    place = session.put(url, json=bulk("create", resourcesList=items), timeout=5).headers["Location"]
    status = session.get(place, timeout=5).json()["BulkStatus"]
    assert (status["executionStatus"], status["successCount"], status["failCount"]) == ("COMPLETED", 1, 1)
    made = next(row["id"] for row in status["resourcesStatus"] if row["name"] == "Bulk_1")
    assert session.put(url, json=bulk("delete", idList={"id": [made]}), timeout=5).status_code == 202
    assert session.get(f"{ise.base_url}/ers/config/sgt/{made}", timeout=5).status_code == 404
    many = [{"Sgt": {"name": f"X{n}", "value": n}} for n in range(501)]
    assert session.put(url, json=bulk("create", resourcesList=many), timeout=5).status_code == 400
    assert session.get(f"{ise.base_url}/ers/config/sgt/bulk/1", timeout=5).status_code == 404
    ise_control.settings(version="3.5")
    assert session.put(url, json=bulk("create", resourcesList=items), timeout=5).status_code == 404


def test_a_cell_is_cloned(ise: IseServer, ise_control: ControlClient, session: Any) -> None:
    cell = ise_control.object("egressmatrixcell", "Pumps-Pump_Servers")
    url = f"{ise.base_url}/ers/config/egressmatrixcell/clonecell/{cell['id']}/srcSgt/{cell['destinationSgtId']}"
    url += f"/dstSgt/{cell['sourceSgtId']}"
    assert session.put(url, timeout=5).status_code == 204
    clone = ise_control.object("egressmatrixcell", "Pump_Servers-Pumps")
    assert (clone["sgacls"], clone["matrixCellStatus"]) == (cell["sgacls"], cell["matrixCellStatus"])
    assert session.put(url, timeout=5).status_code == 400


def test_if_match_only_where_it_is_switched_on(ise: IseServer, ise_control: ControlClient, session: Any) -> None:
    sgt = ise_control.object("sgt", "Pumps")["id"]
    url = f"{ise.base_url}/ers/config/sgt/{sgt}"
    tag = session.get(url, timeout=5).headers["ETag"]
    body = {"Sgt": {"id": sgt, "name": "Pumps", "value": 100, "description": "one"}}
    stale = {"If-Match": '"00000000000000000000000000000000"'}
    assert session.put(url, json=body, headers=stale, timeout=5).status_code == 200
    ise_control.settings(if_match=True)
    assert session.put(url, json=body, headers=stale, timeout=5).status_code == 412
    assert session.put(url, json=body, headers={"If-Match": tag}, timeout=5).status_code == 412  # changed since
    tag = session.get(url, timeout=5).headers["ETag"]
    assert session.put(url, json=body, headers={"If-Match": tag}, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("setting", "plain", "slash"), [("both", 200, 200), ("required", 404, 200), ("refused", 200, 404)]
)
def test_slashes(
    ise: IseServer, ise_control: ControlClient, session: Any, setting: str, plain: int, slash: int
) -> None:
    ise_control.settings(trailing_slash=setting)
    url = f"{ise.base_url}/ers/config/sgt"
    assert (session.get(url, timeout=5).status_code, session.get(f"{url}/", timeout=5).status_code) == (plain, slash)


def test_login_by_certificate(ise: IseServer, ise_control: ControlClient, session: Any) -> None:
    url = f"{ise.base_url}/ers/config/sgt"
    session.auth = None
    certificate = (ise.client_certificate, ise.client_certificate)
    assert session.get(url, cert=certificate, timeout=5).status_code == 401
    ise_control.settings(client_certificates="allowed")
    with requests.Session() as other:
        other.trust_env, other.verify, other.cert = False, ise.ca_file, certificate
        assert other.get(url, headers={"Accept": "application/json"}, timeout=5).status_code == 200
    ise_control.settings(client_certificates="required")
    with requests.Session() as other:
        other.trust_env, other.verify, other.auth = False, ise.ca_file, (ise.username, ise.password)
        assert other.get(url, headers={"Accept": "application/json"}, timeout=5).status_code == 401


def test_answers_are_chunked_and_printed_as_jackson_does(ise: IseServer, session: Any) -> None:
    answer = session.get(f"{ise.base_url}/ers/config/sgt", timeout=5)
    assert answer.headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in answer.headers
    assert '"total" : ' in answer.text
    assert answer.headers["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT" and answer.headers["Server"] == ""
