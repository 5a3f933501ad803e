"""acl_parse, acl_compare, acl_check and the filters: engine results, through Ansible itself, and their documentation."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import (
    check_result,
    compare_result,
    parse_result,
)

PLUGINS = "ansible_collections.segwright.microseg.plugins"
MODULES = ("acl_parse", "acl_compare", "acl_check", "acl_classify")
DACL = """permit udp any any eq domain
permit tcp any host 192.0.2.10 range 11000 11200
permit tcp any host 192.0.2.10 eq 11112
deny tcp any host 192.0.2.10 eq 11113
deny ip any any"""


def test_parse_result() -> None:
    found = parse_result("dacl", "remark web\npermit tcp any host 192.0.2.1 eq 443 8443\npermit foo any any\n")
    json.dumps(found)
    assert found["round_trip"] is False
    assert found["acls"][0]["entries"] == [{
        "permit": True, "family": 4, "protocol": "tcp", "source": ["any"], "destination": ["192.0.2.1/32"],
        "destination_ports": ["443", "8443"], "remarks": ["web"], "line": 2, "text": "permit tcp any host 192.0.2.1 eq 443 8443",
    }]  # fmt: skip
    assert found["opaque"] == [
        {"acl": "", "line": 3, "text": "permit foo any any", "reason": "protocol 'foo' is not understood"}
    ]


def test_cells_of_a_matrix() -> None:
    text = (
        "sw1#show cts role-based permissions\nIPv4 Role-based permissions default:\n        Permit IP-00\n"
        "IPv4 Role-based permissions from group 10:Infusion Pumps to group Unknown (configured) (monitored):\n        PUMP_GW-01\n"
        "        Deny IP-00\nsomething else\n"
    )
    found = parse_result("sgacl", text)
    json.dumps(found)
    assert [(cell["default"], cell["sgacls"], cell["monitored"]) for cell in found["cells"]] == [
        (True, ["Permit IP-00"], False), (False, ["PUMP_GW-01", "Deny IP-00"], True),
    ]  # fmt: skip
    cell = found["cells"][1]
    assert (cell["source_group"], cell["source_name"], cell["destination_group"]) == (10, "Infusion Pumps", 0)
    assert [line["text"] for line in found["opaque"]] == ["something else"]
    assert (found["acls"], found["round_trip"]) == ([], False)
    assert parse_result("sgacl", "permit tcp dst eq 443\ndeny ip\n")["cells"] == []


def test_compare_result() -> None:
    first = {"platform": "dacl", "text": "permit tcp any host 10.0.0.1 eq 443"}
    second = {
        "platform": "ios",
        "text": "ip access-list extended A\n permit tcp any host 10.0.0.1 range 440 443\n deny ip any any",
    }
    found = compare_result(first, second)
    assert (found["equal"], found["comparable"], found["only_in_first"], found["truncated"]) == (False, True, [], False)
    (part,) = found["only_in_second"]
    assert part["text"] == "tcp any -> 10.0.0.1/32 port 440-442"
    assert part["witness"]["destination_port"] == 440
    assert compare_result(first, first)["equal"] is True
    table = {"platform": "nftables", "text": (
        "table inet t {\n chain sw_forward {\n type filter hook forward priority filter; policy drop;\n"
        " ct state established,related accept\n ip daddr 10.0.0.1 tcp dport 443 counter accept\n }\n}\n"
    )}  # fmt: skip
    stateful = compare_result(first, table)
    assert (stateful["equal"], stateful["scope"]) == (True, "opening packets without later fragments")


def test_nothing_is_claimed_of_opaque_lists() -> None:
    found = compare_result(
        {"platform": "dacl", "text": "permit foo any any"}, {"platform": "dacl", "text": "permit foo any any"}
    )
    assert (found["equal"], found["comparable"]) == (False, False)
    assert [item["side"] for item in found["not_modelled"]] == ["first", "second"]
    with pytest.raises(FindingError, match="SW1203"):
        check_result("dacl", "permit foo any any")


def test_check_result() -> None:
    found = check_result("dacl", DACL, budget="ise_dacl")
    json.dumps(found)
    assert [(item["kind"], item["line"], item["covered_by"]) for item in found["anomalies"]] == [
        ("dead", 3, [2]),
        ("contradicting", 4, [2]),
    ]
    assert found["ok"] is False
    assert found["counts"] == {
        "entries": 5, "bytes": len(DACL.replace("domain", "53")), "tcp_operators": 1, "udp_operators": 0,
        "hardware_entries": 1 + 4 + 1 + 1 + 1,  # 11000-11007, 11008-11135, 11136-11199, 11200
        "compact_entries": 5, "line_bytes": len(DACL.splitlines()[1]), "radius_packets": 1,
    }  # fmt: skip
    assert [item["code"] for item in found["errors"]] == ["SW1112"]
    quiet = check_result("dacl", "permit udp any any eq domain\ndeny ip any any", removable=False)
    assert (quiet["ok"], quiet["anomalies"]) == (True, [])


@pytest.mark.parametrize("name", MODULES)
def test_documentation_says_what_the_action_takes(name: str) -> None:
    stub = importlib.import_module(f"{PLUGINS}.modules.{name}")
    action = importlib.import_module(f"{PLUGINS}.action.{name}")
    documented = yaml.safe_load(stub.DOCUMENTATION)
    assert documented["module"] == name
    assert yaml.safe_load(stub.EXAMPLES)
    assert yaml.safe_load(stub.RETURN)
    compare_options(documented["options"], action.ARGUMENTS)


def compare_options(documented: dict[str, Any], taken: dict[str, Any]) -> None:
    assert set(documented) == set(taken)
    for name, spec in taken.items():
        for key in ("type", "required", "default", "choices"):
            assert documented[name].get(key) == spec.get(key), (name, key)
        if "options" in spec:
            compare_options(documented[name]["suboptions"], spec["options"])


@pytest.mark.parametrize("name", ["to_dacl", "to_sgacl", "to_acl", "acl_diff"])
def test_filters_are_documented(root: Path, name: str) -> None:
    module = importlib.import_module(f"{PLUGINS}.filter.acl")
    assert name in module.FilterModule().filters()
    documented = yaml.safe_load((root / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8"))
    assert documented["DOCUMENTATION"]["name"] == name
    assert documented["RETURN"]["_value"]["type"]


def filters() -> dict[str, Any]:
    return importlib.import_module(f"{PLUGINS}.filter.acl").FilterModule().filters()


def test_filters() -> None:
    web = [
        {"action": "permit", "protocol": "tcp", "destination": "192.0.2.10", "destination_ports": 443, "label": "web"}
    ]
    assert filters()["to_dacl"](web) == "permit tcp any host 192.0.2.10 eq 443\ndeny ip any any"
    assert filters()["to_sgacl"](
        [{"action": "permit", "protocol": "tcp", "source_ports": 443, "established": True}]
    ) == ("permit tcp src eq 443 established\ndeny ip")
    assert filters()["to_acl"](web, "A", remarks=True, end="").splitlines() == [
        "ip access-list extended A", " remark web", " 10 permit tcp any host 192.0.2.10 eq 443",
    ]  # fmt: skip
    assert filters()["acl_diff"]("permit ip any any", "permit ip any any", platform="dacl")["equal"]


@pytest.mark.parametrize("call", [
    lambda f: f["to_dacl"]("text"), lambda f: f["to_dacl"]([{"permit": True, "source": "10.0.0.1"}]),
    lambda f: f["to_acl"]([], "bad name"), lambda f: f["to_acl"]([], "A", platform="junos"), lambda f: f["acl_diff"]("", ""),
])  # fmt: skip
def test_filters_fail_as_filters_do(call: Any) -> None:
    from ansible.errors import AnsibleFilterError

    with pytest.raises(AnsibleFilterError):
        call(filters())


PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - segwright.microseg.acl_parse: {platform: dacl, text: "permit tcp any any eq 443"}
      register: parsed
    - segwright.microseg.acl_compare:
        first: {platform: dacl, text: "permit tcp any any eq 443"}
        second: {platform: ios, text: "permit tcp any any eq 443"}
      register: compared
      check_mode: true
    - segwright.microseg.acl_check: {platform: dacl, text: "permit tcp any any eq 443", budget: ise_dacl}
      register: checked
    - segwright.microseg.acl_parse: {platform: asa, text: "access-list A extended permit tcp any any eq https"}
      register: firewall
    - segwright.microseg.acl_check: {platform: asa, text: "x"}
      register: refused
      ignore_errors: true
    - ansible.builtin.assert:
        that:
          - parsed.round_trip and not parsed.changed
          - compared.equal
          - checked.ok
          - refused is failed and refused.errors[0].code == 'SW1205'
          - firewall.round_trip and firewall.acls[0].entries[0].destination_ports == ['443']
          - >-
            ([{'action':'permit', 'protocol':'udp'}] | segwright.microseg.to_dacl).startswith('permit udp any any')
"""


@pytest.mark.one_python
def test_through_ansible(root: Path, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(PLAY, encoding="utf-8")
    done = ansible_playbook(root, tmp_path, play)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def ansible_playbook(root: Path, tmp_path: Path, play: Path) -> subprocess.CompletedProcess[str]:
    """Run a play against the local host."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(root / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
    }
    tool = Path(sys.executable).parent / "ansible-playbook"
    if not tool.exists():
        pytest.skip("no ansible-playbook beside this Python")
    return subprocess.run(
        [str(tool), "-i", "localhost,", "-c", "local", str(play)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


FILTERS = ("to_dacl", "to_sgacl", "to_acl", "acl_diff")


def examples(root: Path) -> list[dict[str, Any]]:
    """Return the tasks of all examples of the modules and filters on access lists."""
    tasks: list[dict[str, Any]] = []
    for name in MODULES:
        tasks += yaml.safe_load(importlib.import_module(f"{PLUGINS}.modules.{name}").EXAMPLES)
    for name in FILTERS:
        text = yaml.safe_load((root / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8"))["EXAMPLES"]
        tasks += yaml.safe_load(text)
    return tasks


@pytest.mark.one_python
def test_every_example_runs_as_it_stands(root: Path, tmp_path: Path) -> None:
    tasks = examples(root)
    assert len(tasks) > 14
    stub = importlib.import_module(f"{PLUGINS}.modules.acl_classify")
    rows = [line[4:] for line in stub.EXAMPLES.splitlines() if line.startswith("#   ")]
    (tmp_path / "flows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    play = tmp_path / "examples.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    done = ansible_playbook(root, tmp_path, play)
    assert done.returncode == 0, done.stdout + done.stderr
    # What the comments beside the examples promise.
    for promised in (
        "permit udp any eq 68 any eq 67\\npermit tcp any host", "permit tcp src eq 443 established\\ndeny ip",
        "['permit', 'deny'] by ['permit tcp", "1 of 3 rows denied, 1 by the end", "drops the answer tcp 192.0.2.10:443",
        "is covered by entry 20", "udp any -> any port 123", "tcp any -> 192.0.2.21/32 port 502",
    ):  # fmt: skip
        assert promised in done.stdout, (promised, done.stdout)


MIXED = """sw1#show running-config | section access-list
ip access-list standard MGMT
 10 permit 10.0.0.0 0.0.0.255
ip access-list extended PUMPS_IN
 10 permit tcp any host 192.0.2.10 eq 443
 20 permit tcp host 10.20.0.7 host 192.0.2.10 eq 443
access-list 101 permit tcp any any eq www
sw1#
"""
NEXUS = "ip access-list PUMPS\n  10 permit tcp 10.20.0.0/24 192.0.2.10/32 eq 443\n"
FIREWALL = "access-list OUT extended permit tcp any host 192.0.2.10 eq https\n"


@pytest.mark.parametrize(
    ("platform", "text", "name", "code", "said"),
    [
        ("ios", MIXED, "", "SW1206", "MGMT, PUMPS_IN, 101"),
        ("ios", MIXED, "PUMPS_OUT", "SW1205", "holds MGMT, PUMPS_IN, 101"),
        ("ios", "ip access-list extended A\n permit ip any any", "B", "SW1205", "holds A"),
        ("ios", "", "", "SW1205", "empty"),
        ("dacl", " \r\n\r\n", "", "SW1205", "empty"),
        ("asa", MIXED, "101", "SW1243", "those of ios"),
        ("dacl", MIXED, "PUMPS_IN", "SW1243", "those of ios"),
        ("nxos", MIXED, "MGMT", "SW1243", "those of ios"),
        ("ios", NEXUS, "", "SW1243", "those of nxos"),
        ("ios", FIREWALL, "", "SW1243", "those of asa"),
        ("nftables", FIREWALL, "", "SW1243", "those of asa"),
        ("ios", "table inet seg {\n}\n", "", "SW1243", "those of nftables"),
    ],
)
def test_what_a_stranger_pastes_wrongly_is_said(platform: str, text: str, name: str, code: str, said: str) -> None:
    with pytest.raises(FindingError, match=code) as caught:
        check_result(platform, text, name)
    assert said in str(caught.value)
    with pytest.raises(FindingError, match=code):
        compare_result(
            {"platform": platform, "text": text, "name": name}, {"platform": "dacl", "text": "deny ip any any"}
        )


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_kind(ends: str) -> None:
    found = check_result("ios", MIXED.replace("\n", ends), "PUMPS_IN")
    assert [(item["kind"], item["line"]) for item in found["anomalies"]] == [("dead", 6)]
    assert "is covered by entry 10" in found["anomalies"][0]["reason"]


def test_an_explicit_ipv6_deny_is_not_removable() -> None:
    """The platform permits neighbour discovery before its own deny, but not before one that is written out."""
    text = "ipv6 access-list V6\n permit tcp any host 2001:db8::1 eq 443 sequence 10\n deny ipv6 any any sequence 20\n"
    assert check_result("ios_ipv6", text)["anomalies"] == []
    twice = text.replace(" deny", " permit tcp any host 2001:db8::1 eq 443 sequence 15\n deny")
    assert [(item["kind"], item["entry"]) for item in check_result("ios_ipv6", twice)["anomalies"]] == [("dead", 2)]


def test_an_entry_with_a_condition_is_named_and_blamed_for_nothing() -> None:
    text = "ip access-list extended A\n permit tcp any any eq 443 time-range WORK\n permit tcp any host 10.0.0.1 eq 443\n deny ip any any\n"
    found = check_result("ios", text)
    assert found["anomalies"] == []
    assert [(item["entry"], item["conditions"]) for item in found["not_modelled"]] == [(1, ["time-range WORK"])]
    assert check_result("ios", text.replace(" time-range WORK", ""))["anomalies"][0]["kind"] == "dead"
