# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's parts wired together: what ISE holds reaches the switches only by authentication and push; foreign objects."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import control, credentials, seeds
from tests.lab.bridge import SwitchView
from tests.lab.description import load_hospital
from tests.lab.fixtures import free_lab_id
from tests.lab.places import Places
from tests.lab.supervisor import Lab

HOSPITAL = load_hospital()
PUMP = HOSPITAL.hosts["pump1"]
TELNET = {
    "protocol": "tcp",
    "source": PUMP.address,
    "destination": "100.64.40.13",
    "source_port": 40000,
    "destination_port": 23,
}
MQTT = {**TELNET, "destination_port": 1883}


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """ISE and switches, without namespaces: what starts for everybody."""
    base = tmp_path_factory.mktemp("sim")
    with Lab.start({"ise", "switches"}, free_lab_id(base), base) as running:
        yield running


def _switch(lab: Lab, operation: str, **data: Any) -> Any:
    return control.call(lab.places.switch_control, "POST", f"/{operation}", data)


def _verdicts(lab: Lab) -> tuple[bool | None, bool | None]:
    probes = [{"interface": PUMP.interface, "direction": "in", "packet": each} for each in (TELNET, MQTT)]
    found = _switch(lab, "decide", device="acc1", probes=probes)["verdicts"]
    return found[0]["permit"], found[1]["permit"]


def _soon(what: Callable[[], bool], patience: float = 5.0) -> bool:
    deadline = time.monotonic() + patience
    while not what() and time.monotonic() < deadline:
        time.sleep(0.1)
    return what()


def test_sessions_of_ise_are_sessions_of_the_switches(sim: Lab) -> None:
    view = sim.switch_view()
    assert {each["device"] for each in view["sessions"]} == {"acc1", "acc2"}
    where = {each["mac"].lower(): (each["device"], each["interface"], each["ip"]) for each in view["sessions"]}
    assert where == {each.mac: (each.switch, each.interface, each.address) for each in HOSPITAL.hosts.values()}
    assert all(each["dacl"] is None and each["sgt"] is None for each in view["sessions"])


def test_a_list_reaches_a_port_only_when_the_session_is_authenticated_again(sim: Lab) -> None:
    assert _verdicts(sim) == (True, True)
    lines = "permit tcp any host 100.64.40.13 eq 1883\ndeny ip any any"
    dacl = {"name": "TEST_WIRING", "dacl": lines, "daclType": "IPV4", "description": ""}
    sim.ask_ise("POST", "/objects/downloadableacl", dacl)
    profile = {"name": "TEST_WIRING", "accessType": "ACCESS_ACCEPT", "daclName": "TEST_WIRING", "description": ""}
    sim.ask_ise("POST", "/objects/authorizationprofile", profile)
    changed = sim.authorize({"endpoint_profile": PUMP.profile, "authorization_profile": "TEST_WIRING"})
    assert len(changed["changed"]) == 3
    time.sleep(1.2)  # more than two polls of the switches
    assert _verdicts(sim) == (True, True)
    sim.authorize({"mac": PUMP.mac, "reauthenticate": True})
    assert _soon(lambda: _verdicts(sim) == (False, True))
    running = _switch(sim, "running", device="acc1")
    assert "TEST_WIRING" not in str(running)  # a downloaded list is no part of the configuration
    sim.authorize({"endpoint_profile": PUMP.profile, "authorization_profile": "PermitAccess", "reauthenticate": True})
    assert _soon(lambda: _verdicts(sim) == (True, True))


def test_somebody_elses_objects_are_there_from_the_start(sim: Lab) -> None:
    for name in ("acc1", "acc2"):
        text = str(_switch(sim, "running", device=name))
        assert f"ip access-list extended {seeds.FOREIGN_ACL}" in text
        assert f"access-class {seeds.FOREIGN_ACL} in" in text
        assert "SW_" not in text
    assert sim.ask_ise("GET", f"/objects/downloadableacl/{seeds.FOREIGN_DACL}")["dacl"]
    assert sim.ask_ise("GET", f"/objects/sgacl/{seeds.FOREIGN_SGACL}")["aclcontent"]


def test_the_address_of_a_switch_in_ise_is_where_it_answers(sim: Lab) -> None:
    places = sim.places
    devices = {each["name"]: each["ipAddress"] for each in sim.ask_ise("GET", "/devices")}
    assert devices == {"acc1": places.switch(1)[0], "acc2": places.switch(2)[0]}
    known = places.known_hosts.read_text(encoding="ascii")
    assert all(f"[{address}]:2222 ssh-ed25519 " in known for address in devices.values())
    assert "BEGIN CERTIFICATE" in places.ise_ca.read_text(encoding="ascii")


def test_secrets_do_not_stand_in_the_state_or_the_logs(sim: Lab) -> None:
    secrets = [credentials.ISE_PASSWORD, credentials.ISE_OPERATOR_PASSWORD, credentials.SWITCH_PASSWORD]
    for path in [sim.places.state, *sim.places.logs.iterdir()]:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in secrets), path.name


def test_control_answers_mistakes_with_a_reason(sim: Lab) -> None:
    with pytest.raises(control.LabError, match="no such control path"):
        control.call(sim.places.control, "GET", "/moon")
    with pytest.raises(control.LabError, match="no network"):
        control.call(sim.places.control, "POST", "/probe", {"probes": []})
    with pytest.raises(control.LabError, match="no hospital"):
        control.call(sim.places.control, "POST", "/hospital", {"do": "report"})
    assert control.call(sim.places.control, "GET", "/health")["ok"] is True


def test_switches_that_hold_different_matrices_are_told_apart() -> None:
    cell = {"source": 10, "destination": 20, "sgacls": [], "default_rule": "DENY_IP", "status": "ENABLED"}
    default = {"source": 65535, "destination": 65535, "sgacls": [], "default_rule": "PERMIT_IP", "status": "ENABLED"}
    matrices = {
        "acc1": {"cells": [cell], "default": default, "monitor_all": True},
        "acc2": {"cells": [], "default": default},
    }

    def ask(method: str, path: str) -> Any:
        answers = {
            "/sessions": {},
            "/devices": [{"name": "acc1"}, {"name": "acc2"}],
            "/objects/sgt": [{"value": 10, "name": "Pumps"}],
        }
        if path.endswith("/download"):
            return {"push": "7", "matrix": matrices[path.split("/")[2]]}
        return answers.get(path, {"last": 1, "changes": []})

    cells = SwitchView(ask, {}).build()["cts_cells"]
    assert [(each["device"], each["source"], each["status"]) for each in cells] == [
        ("acc1", 10, "MONITOR"),
        ("acc1", "default", "ENABLED"),
        ("acc2", "default", "ENABLED"),
    ]
    matrices["acc2"] = matrices["acc1"]
    assert all("device" not in each for each in SwitchView(ask, {}).build()["cts_cells"])


def test_the_seed_names_no_true_group() -> None:
    places = Places.of(0)
    text = repr(seeds.ise_seed(HOSPITAL, places)) + repr(seeds.fleet_spec(HOSPITAL, places))
    for segment in HOSPITAL.segments():
        assert not re.search(rf"\b{segment}\b", text), segment
