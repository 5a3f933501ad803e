# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from ISE: bodies and XML as ISE writes them, against a client that counts what it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_facts import (
    active_sessions,
    endpoint_observations,
    read_ise_facts,
    session_observations,
    session_start,
)

NOW = 1_795_000_000
NOW_US = NOW * 1_000_000
MAC, OTHER = "02:1A:10:00:00:11", "02:1A:10:00:00:12"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
SESSION = {
    "passed": "true",
    "failed": "false",
    "user_name": "02-1A-10-00-00-11",
    "nas_ip_address": "192.0.2.31",
    "calling_station_id": MAC,
    "nas_port_id": "GigabitEthernet1/0/1",
    "network_device_name": "ward-block.example",
    "framed_ip_address": "192.0.2.11",
    "auth_acs_timestamp": "2026-11-18T11:06:40.000Z",
    "acct_session_time": "86400",
    "endpoint_policy": "Lab-Infusion-Pump",
    "selected_azn_profiles": "Pumps",
    "cts_security_group": "Pumps",
    "response": "{User-Name=x; cisco-av-pair=cts:security-group-tag=0064-00; }",
}


def row(mac: str, address: str) -> str:
    return (
        f"<activeSession><user_name>x</user_name><calling_station_id>{mac}</calling_station_id>"
        f"<nas_ip_address>192.0.2.31</nas_ip_address><framed_ip_address>{address}</framed_ip_address>"
        "<framed_ipv6_address/></activeSession>"
    )


def xml(fields: dict[str, str]) -> bytes:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return f"{HEAD}<sessionParameters>{inner}</sessionParameters>".encode()


class FakeIse:
    """Endpoints and sessions from tables; ``failures`` are raised once each, in order, when the endpoints are listed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[Exception] = []
        self.sessions: dict[str, Any] = {MAC: xml(SESSION), OTHER: NotFound()}
        self.active: bytes = (
            f"{HEAD}<activeList>{row(MAC, '192.0.2.11')}{row(OTHER, '192.0.2.12')}</activeList>".encode()
        )
        self.bodies = {
            "e1": {
                "id": "e1",
                "name": MAC,
                "mac": MAC,
                "profileId": "p1",
                "groupId": "g1",
                "description": "bed 4, infusion pump",
                "customAttributes": {"customAttributes": {"Host-Name": "pump1", "owner": "icu"}},
            },
            "e2": {
                "id": "e2",
                "name": OTHER,
                "mac": OTHER,
                "profileId": "gone",
                "groupId": "g1",
                "description": "pump2",
            },
        }

    def list_items(self, kind: str, name_filter: str = "") -> list[dict[str, Any]]:
        self.asked.append(f"{kind} {name_filter}".strip())
        if kind == "endpoint" and not name_filter and self.failures:
            raise self.failures.pop(0)
        if kind == "endpoint" and name_filter:
            key, _eq, value = name_filter.split(".")
            return [self._item(each) for each in self.bodies.values() if each.get(key) == value]
        lists: dict[str, list[dict[str, Any]]] = {
            "profiler_profile": [{"id": "p1", "name": "Lab-Infusion-Pump", "description": ""}],
            "endpoint_group": [{"id": "g1", "name": "Medical", "description": ""}],
            "endpoint": [self._item(each) for each in self.bodies.values()],
            "network_device": [{"id": "n1", "name": "sw-ward", "description": ""}],
            "sgt": [{"id": "s1", "name": "Pumps", "description": ""}],
        }
        return lists[kind]

    def _item(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": body["id"], "name": body["name"], "description": body.get("description", "")}

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        self.asked.append(f"{kind} {identifier}")
        return {"value": 200} if kind == "sgt" else self.bodies[identifier]

    def monitoring(self, path: str) -> bytes:
        self.asked.append(path)
        if path == "Session/ActiveList":
            return self.active
        found = self.sessions[path.rsplit("/", 1)[1].replace("%3A", ":")]
        if isinstance(found, Exception):
            raise found
        return bytes(found)


def read(client: FakeIse, **more: Any) -> Any:
    return read_ise_facts(client, "ise1", clock=lambda: float(NOW), **more)


def test_an_endpoint_and_its_session_become_one_device() -> None:
    facts = read(FakeIse())
    assert facts.findings == ()
    assert facts.counts == {"endpoints": 2, "sessions": 2}
    register = merge(facts.observations)
    pump = register.devices[MAC.lower()]
    assert {name: fact.value for name, fact in pump.facts.items()} == {
        "endpoint_profile": "Lab-Infusion-Pump",
        "endpoint_group": "Medical",
        "hostname": "pump1",
        "authorization_profile": "Pumps",
        "sgt": 100,
        "switch": "ward-block.example",
        "interface": "GigabitEthernet1/0/1",
    }
    assert pump.facts["endpoint_profile"].source == "ise:endpoint"
    assert pump.facts["switch"].source == "ise:session"
    held = [each for each in pump.addresses if not each.source.startswith("assumed")]
    assert [(each.address, each.from_us, each.to_us) for each in held] == [
        ("192.0.2.11", NOW_US - 86_400_000_000, NOW_US + 1)
    ]
    # A session that ended while it was read leaves what the list said.
    other = register.devices[OTHER.lower()]
    assert other.facts["hostname"].confidence == 0.3
    assert other.facts["switch"].value == "ward-block.example"
    assert "endpoint_profile" not in other.facts


def test_inventory_names_of_switches_win_over_those_of_ise() -> None:
    client = FakeIse()
    facts = read(client, switches={"192.0.2.31": "acc1"})
    assert {each.facts["switch"] for each in facts.observations if "switch" in each.facts} == {"acc1"}
    assert not any(each.startswith("network_device") for each in client.asked)


def test_names_that_a_session_lacks_are_looked_up_once() -> None:
    client = FakeIse()
    lacking = {**SESSION, "network_device_name": "", "response": "{}"}
    client.sessions = {MAC: xml(lacking), OTHER: xml({**lacking, "calling_station_id": OTHER})}
    facts = read(client)
    sessions = [each for each in facts.observations if each.source == "ise:session"]
    assert {(each.facts["switch"], each.facts["sgt"]) for each in sessions} == {("sw-ward", 200)}
    assert client.asked.count("network_device ipaddress.EQ.192.0.2.31") == 1
    assert client.asked.count("sgt name.EQ.Pumps") == 1


def test_a_list_that_changed_while_its_pages_were_read_is_read_again() -> None:
    client = FakeIse()
    client.failures = [FindingError(codes.BAD_ANSWER.at("it changed while it was read"))]
    assert read(client).counts["endpoints"] == 2
    client.failures = [FindingError(codes.BAD_ANSWER.at("it changed while it was read")) for _ in range(3)]
    facts = read(client)
    assert facts.counts == {"sessions": 2}
    assert [each.code for each in facts.findings] == [codes.FACTS_FAILED.number]


def test_beyond_the_limit_the_number_of_requests_does_not_grow_with_the_endpoints() -> None:
    client = FakeIse()
    for number in range(300):
        mac = f"02:1A:20:00:{number // 256:02X}:{number % 256:02X}"
        client.bodies[f"x{number}"] = {"id": f"x{number}", "name": mac, "mac": mac, "profileId": "p1", "groupId": "g1"}
    facts = read(client, most_details=10)
    assert not any(each.startswith("endpoint x") for each in client.asked)
    assert len(client.asked) < 15
    profiles = [each.facts.get("endpoint_profile") for each in facts.observations if each.source == "ise:endpoint"]
    assert profiles.count("Lab-Infusion-Pump") == 301
    assert "302 endpoints are more than 10" in facts.findings[0].message


def test_a_refused_login_ends_the_reading_and_one_failing_half_does_not() -> None:
    client = FakeIse()
    client.failures = [FindingError(codes.LOGIN_REFUSED.at("https://192.0.2.10: HTTP 401"))]
    with pytest.raises(FindingError, match="SW4203"):
        read(client)
    client.failures = [FindingError(codes.NOT_AUTHORIZED.at("https://192.0.2.10: HTTP 403"))]
    facts = read(client)
    assert facts.counts == {"sessions": 2}
    assert "HTTP 403" in facts.findings[0].message and "ise1" in facts.findings[0].message
    client.failures = [FindingError(codes.NOT_AUTHORIZED.at("https://192.0.2.10: HTTP 403"))]
    client.active = b"<html>"
    with pytest.raises(FindingError, match="SW4204"):
        read(client)


BOMB = (
    b"""<?xml version="1.0"?><!DOCTYPE activeList [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><activeList>&b;</activeList>"""
)
EXTERNAL = (
    b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><activeList>&x;</activeList>"""
)


@pytest.mark.parametrize("content", [BOMB, EXTERNAL, b"", b"no xml", b"<activeList><activeSession>", b"<other/>"])
def test_xml_that_is_dangerous_or_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(FindingError, match="SW4301"):
        active_sessions(content)
    client = FakeIse()
    client.active = content
    facts = read(client)
    assert [each.code for each in facts.findings] == [codes.FACTS_FAILED.number]
    assert facts.counts == {"endpoints": 2}


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"acct_session_time": "60"}, NOW_US - 60_000_000),
        ({"acct_session_time": "", "auth_acs_timestamp": "2026-11-01T06:00:00.000Z"}, 1_793_512_800_000_000),
        ({"auth_acs_timestamp": "2026-11-01T07:00:00+01:00"}, 1_793_512_800_000_000),
        ({"auth_acs_timestamp": "2036-11-01T07:00:00Z"}, NOW_US),
        ({"auth_acs_timestamp": "yesterday"}, NOW_US),
        ({"acct_session_time": "-5"}, NOW_US),
        ({"acct_session_time": "99999999999999999999"}, NOW_US),
        ({}, NOW_US),
    ],
)
def test_when_a_session_began(fields: dict[str, str], start: int) -> None:
    assert session_start(fields, NOW_US) == start


def of(**changed: str) -> list[Observation]:
    return session_observations({**SESSION, **changed}, {}, {}, NOW_US)


def test_what_cannot_be_in_a_session_is_left_out() -> None:
    assert of(calling_station_id="not a mac") == []
    assert of(calling_station_id="FF:FF:FF:FF:FF:FF") == []
    assert "interface" not in of(nas_port_id="50101; reload")[0].facts
    assert of(nas_port_id="Gi1/0/7")[0].facts["interface"] == "GigabitEthernet1/0/7"
    assert "sgt" not in of(response="", cts_security_group="")[0].facts
    assert of(passed="false")[0].confidence < of()[0].confidence
    both = of(framed_ipv6_address="2001:db8::11, 2001:db8::12")[0].addresses
    assert [each.address for each in both if isinstance(each, AddressClaim)] == [
        "192.0.2.11",
        "2001:db8::11",
        "2001:db8::12",
    ]
    register = merge(of(framed_ip_address="0.0.0.0"))
    assert register.devices[MAC.lower()].addresses == ()


def test_names_come_from_attributes_then_from_one_word_descriptions() -> None:
    def names(**more: Any) -> list[tuple[str, str]]:
        made = endpoint_observations({"mac": MAC, **more}, {}, {}, NOW_US)
        return [(each.source, each.facts["hostname"]) for each in made if "hostname" in each.facts]

    attributes = {"customAttributes": {"customAttributes": {"Device Name": "ct1", "hostname": "<b>x</b>"}}}
    assert names(**attributes, description="CT, room 2") == [("ise:endpoint", "ct1")]
    assert names(description="ct1.example") == [("ise:endpoint-description", "ct1.example")]
    assert names(description="a device; drop table") == []
    assert names(customAttributes=None, description=None) == []
    assert endpoint_observations({"mac": "", "name": "user@example"}, {}, {}, NOW_US) == []
