# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live ISE as policy: every object has an outcome, and what is enforced is what stood there, by a reader of lists that is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.model import Snapshot
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import objects_sha256
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.ise_export import run_ise_export
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.validate import run_validate
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_snapshot import write_snapshot

ICMP_ERRORS = (3, 11)


def permits(text: str, packet: dict[str, Any]) -> bool:
    """First match over the few forms that these tests write, read word by word; nothing matches: denied."""
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] not in ("permit", "deny"):
            continue
        verdict, protocol, rest = words[0] == "permit", words[1], words[2:]
        if protocol not in ("ip", packet["protocol"]):
            continue
        fits = True
        addresses = ["source", "destination"] if rest and rest[0] in ("any", "host") else []
        side = ""
        while rest and fits:
            word = rest.pop(0)
            if addresses and word in ("any", "host"):
                side = addresses.pop(0)
                fits = word == "any" or packet[side] == rest.pop(0)
                side = {"source": "src", "destination": "dst"}[side]
            elif word in ("src", "dst"):
                side = word
            elif word == "eq":
                fits = packet[f"{side}_port"] == {"bootps": 67, "bootpc": 68, "domain": 53}.get(
                    rest[0], int(rest[0]) if rest[0].isdigit() else -1
                )
                rest.pop(0)
            elif word in ("gt", "lt"):
                bound, port = int(rest.pop(0)), packet[f"{side}_port"]
                fits = port > bound if word == "gt" else port < bound
            elif word == "range":
                fits = int(rest.pop(0)) <= packet[f"{side}_port"] <= int(rest.pop(0))
            elif word == "established":
                fits = packet["flags"] & {"ack", "rst"} != set()
            elif protocol == "icmp":
                names = {"unreachable": 3, "time-exceeded": 11, "echo": 8, "echo-reply": 0}
                fits = packet["type"] == (int(word) if word.isdigit() else names[word])
            else:
                raise AssertionError(f"this test writes no {word!r}: {line}")
        if fits:
            return verdict
    return False


def packets(rng: Random, number: int = 60) -> list[dict[str, Any]]:
    ports = [22, 23, 53, 67, 68, 80, 443, 1883, 8080, 8090, 8100, 50000]
    return [
        {
            "protocol": rng.choice(("tcp", "udp", "icmp")), "src_port": rng.choice(ports), "dst_port": rng.choice(ports),
            "flags": rng.choice(({"syn"}, {"ack"}, {"rst"}, {"syn", "ack"})), "type": rng.choice((0, 3, 8, 11)),
            "source": "10.9.9.9", "destination": rng.choice(("10.1.1.1", "10.1.1.2", "10.1.1.3")),
        }
        for _ in range(number)
    ]  # fmt: skip


def passes_by_itself(packet: dict[str, Any], dacl: bool) -> bool:
    """What every compiled list passes: ICMP errors, and in a DACL the request for a lease."""
    if packet["protocol"] == "icmp":
        return packet["type"] in ICMP_ERRORS
    return dacl and packet["protocol"] == "udp" and (packet["src_port"], packet["dst_port"]) == (68, 67)


FORWARD = (
    "permit tcp dst eq 443", "permit tcp dst eq 1883", "permit udp dst eq 53", "permit tcp dst range 8080 8100", "permit icmp echo",
)  # fmt: skip
BACK = {
    "permit tcp dst eq 443": "permit tcp src eq 443 established", "permit tcp dst eq 1883": "permit tcp src eq 1883 established",
    "permit udp dst eq 53": "permit udp src eq 53", "permit icmp echo": "permit icmp echo-reply",
    "permit tcp dst range 8080 8100": "permit tcp src range 8080 8100 established",
}  # fmt: skip
AWKWARD = (
    ["deny tcp dst eq 23", "permit ip"], ["permit tcp dst eq 443"], ["permit ip"], ["permit tcp dst eq 22 dscp ef", "deny ip"],
    ["frobnicate", "deny ip"],
)  # fmt: skip


def body(**values: Any) -> dict[str, Any]:
    return {"description": "", "owned": False, "internal": {"id": "x"}, **values}


def random_ise(rng: Random) -> dict[str, dict[str, Any]]:
    """Return a matrix between a few groups, most pairs with both directions, some awkward; lists that profiles and rules hand out."""
    groups = [f"G-{n}" if n == 3 else f"Group_{n}" for n in range(rng.randint(2, 5))]
    made = {f"sgt/{name}": body(value=100 + n) for n, name in enumerate(groups)}
    made |= {"sgt/Unknown": body(value=0), "sgt/TrustSec_Devices": body(value=2), "sgt/Idle": body(value=999)}
    closed = rng.random() < 0.8
    made["egress_matrix_cell/ANY-ANY"] = cell("ANY", "ANY", [], "DENY_IP" if closed else "PERMIT_IP")

    def sgacl(lines: list[str]) -> str:
        name = f"L{sum(key.startswith('sgacl/') for key in made)}"
        made[f"sgacl/{name}"] = body(ip_version=rng.choice(("IPV4",) * 9 + ("IP_AGNOSTIC",)), content="\n".join(lines))
        return name

    for place, one in enumerate(groups):
        for other in groups[place:]:
            if rng.random() < 0.3:
                continue
            if rng.random() < 0.25:
                made[f"egress_matrix_cell/{one}-{other}"] = cell(one, other, [sgacl(rng.choice(AWKWARD))], "NONE")
                continue
            lines = rng.sample(FORWARD, rng.randint(1, 3))
            answers = [BACK[line] for line in lines]
            status = rng.choice(("ENABLED",) * 6 + ("MONITOR", "DISABLED"))
            if one == other:
                lists = [sgacl([*lines, *answers, "deny ip"])]
                made[f"egress_matrix_cell/{one}-{one}"] = cell(one, one, lists, "NONE", status)
                continue
            several = rng.random() < 0.3
            first = [sgacl(lines[:1]), sgacl(lines[1:])] if several and lines[1:] else [sgacl(lines)]
            made[f"egress_matrix_cell/{one}-{other}"] = cell(one, other, first, "DENY_IP", status)
            made[f"egress_matrix_cell/{other}-{one}"] = cell(other, one, [sgacl([*answers, "deny ip"])], "NONE", status)
    made["egress_matrix_cell/Unknown-Group_0"] = cell("Unknown", "Group_0", [], "DENY_IP")
    dacls = {
        "Narrow": ["permit udp any eq bootpc any eq bootps", "permit tcp any host 10.1.1.1 eq 443", "deny ip any any"],
        "Cut": ["deny tcp any host 10.1.1.2 eq 22", "permit tcp any host 10.1.1.2", "deny ip any any"],
        "Open": ["permit ip any any"],
    }  # fmt: skip
    for name, lines in dacls.items():
        made[f"downloadable_acl/{name}"] = body(dacl_type="IPV4", content="\n".join(lines))
        made[f"authorization_profile/P_{name}"] = body(access_type="ACCESS_ACCEPT", dacl_name=name, ipv6_dacl_name="")
    made["downloadable_acl/Unused"] = body(dacl_type="IPV4", content="deny ip any any")
    made["endpoint_group/Medical"] = body(parent="")
    made["anc_policy/Quarantine"] = body(actions=["QUARANTINE"])
    made["ip_sgt_mapping/srv"] = body(host="10.7.0.0/24", sgt="Group_0", deploy_type="ALL", deploy_to="")
    condition = {
        "conditionType": "ConditionAttributes", "isNegate": False, "dictionaryName": "IdentityGroup", "attributeName": "Name",
        "operator": "equals", "attributeValue": "Endpoint Identity Groups:Medical",
    }  # fmt: skip
    made["authorization_rule/Medical@Default"] = body(
        policy_set="Default", state="enabled", condition=condition, profiles=["P_Narrow"], security_group="Group_1"
    )
    return made


def cell(source: str, destination: str, sgacls: list[str], rule: str, status: str = "ENABLED") -> dict[str, Any]:
    return body(source=source, destination=destination, status=status, sgacls=sgacls, default_rule=rule)


def exported(objects: dict[str, Any], place: Path, **more: Any) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    file = place / "snapshot.json"
    write_snapshot(file, Snapshot("ise1", "ise", objects, objects_sha256(objects), {}, "2026-11-20T10:00:00Z"), {})
    values = {
        "src": str(file), "policy_dir": str(place / "policies"), "data_dir": str(place / "data"), "check_mode": False,
        "diff_mode": False, "today": "2026-11-20",
    }  # fmt: skip
    return run_ise_export({**values, **more}, {})


def live_texts(objects: dict[str, Any]) -> dict[tuple[int, int], str]:
    """The text of each cell by tags, with what stands behind its lists; put together here, not by the product."""
    tags = {key.split("/", 1)[1]: item["value"] for key, item in objects.items() if key.startswith("sgt/")}
    made = {}
    for key, item in objects.items():
        if key.startswith("egress_matrix_cell/") and item["source"] in tags and item["destination"] in tags:
            lines = [objects[f"sgacl/{name}"]["content"] for name in item["sgacls"]]
            lines += [{"DENY_IP": "deny ip", "PERMIT_IP": "permit ip"}.get(item["default_rule"], "")]
            made[tags[item["source"]], tags[item["destination"]]] = "\n".join(lines)
    return made


@pytest.mark.one_python
def test_what_is_enforced_is_what_stood_there_and_nothing_is_lost(tmp_path: Path, full: bool) -> None:
    """Random ISEs: outcomes for all objects, a gate that passes, and each compiled text decides probe packets as the live one does."""
    enforced = lists = compared = 0
    for number in range(200 if full else 12):
        rng = Random(number)
        objects = random_ise(rng)
        made = exported(objects, tmp_path / str(number))
        report = json.loads((tmp_path / str(number) / "data" / "out" / "ise_export.json").read_text(encoding="utf-8"))
        assert {item["object"] for item in report["objects"]} == set(objects)
        assert all(item["why"] for item in report["objects"])
        assert {item["code"] for item in report["errors"]} <= {
            "SW2840"
        }  # what no dialect reads; its cell is not compared
        assert made["gate"] == []
        checked = run_validate({"policy_dir": str(tmp_path / str(number) / "policies"), "data_dir": str(tmp_path / "v"),
                                "output_dir": "", "today": "2026-11-20"})  # fmt: skip
        assert not checked.get("failed"), checked
        site = load_site(tmp_path / str(number) / "policies").site
        assert site is not None
        texts, probes = live_texts(objects), packets(rng)
        for target in compile_site(site).targets:
            wanted = {(item.kind, item.name): item.body for item in target.objects}
            tags = {name: value["value"] for (kind, name), value in wanted.items() if kind == "sgt"}
            for (kind, _name), item in wanted.items():
                if kind == "egress_matrix_cell":
                    lines = [wanted["sgacl", each]["content"] for each in item["sgacls"]]
                    lines += ["deny ip"] if item["default_rule"] == "DENY_IP" else []
                    pair = (tags[item["source"]], tags[item["destination"]])
                    live, ours = texts.get(pair, "deny ip"), "\n".join(lines)
                    enforced += 1
                elif kind == "downloadable_acl":
                    segment = item["description"].rsplit(" ", 1)[1]
                    names = [each["list"] for each in made["lists"] if each["segment"] == segment]
                    assert len(names) == 1
                    live, ours = objects[f"downloadable_acl/{names[0]}"]["content"], item["content"]
                    lists += 1
                else:
                    continue
                for packet in probes:
                    if not passes_by_itself(packet, kind == "downloadable_acl"):
                        assert permits(live, packet) == permits(ours, packet), (number, pair, packet, live, ours)
                        compared += 1
    print(f"exports: {enforced} cells and {lists} lists enforced, {compared} packets decided alike")
    assert enforced > 20 and lists > 5


def test_an_open_matrix_is_only_observed(tmp_path: Path) -> None:
    """Where pairs without a cell are permitted, a policy that denies them would cut: no segment is put under the matrix."""
    objects = {
        "sgt/A": body(value=100), "sgt/B": body(value=200), "sgacl/L": body(ip_version="IPV4", content="permit tcp dst eq 443\ndeny ip"),
        "egress_matrix_cell/A-B": cell("A", "B", ["L"], "NONE"), "egress_matrix_cell/ANY-ANY": cell("ANY", "ANY", [], "PERMIT_IP"),
    }  # fmt: skip
    made = exported(objects, tmp_path)
    assert made["segments"] == {"A": "observe", "B": "observe"}
    assert any("are not denied today" in text for text in made["decisions"])
    site = load_site(tmp_path / "policies").site
    assert site is not None
    assert compile_site(site).targets == ()
    assert [rule.id for rule in site.rules()] == ["A-to-B-tcp-443"]


def test_a_directory_with_a_policy_is_left_alone(tmp_path: Path) -> None:
    """The same export again changes nothing; another one, or a policy of people, is refused."""
    objects = random_ise(Random(1))
    assert exported(objects, tmp_path)["changed"]
    before = {path: path.read_bytes() for path in (tmp_path / "policies").rglob("*") if path.is_file()}
    assert not exported(objects, tmp_path)["changed"]
    with pytest.raises(FindingError, match="holds a policy already"):
        exported(objects, tmp_path, site="another")
    assert before == {path: path.read_bytes() for path in (tmp_path / "policies").rglob("*") if path.is_file()}


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    made = exported(random_ise(Random(2)), tmp_path, check_mode=True, diff_mode=True)
    assert made["changed"] and any(item["after_header"] == "site.yml" for item in made["diff"])
    assert not (tmp_path / "policies").exists() and not (tmp_path / "data").exists()


def test_names_that_people_gave_become_legal_and_differ(tmp_path: Path) -> None:
    """Groups whose names no file or SGACL can have, or that differ by case or by an unusual sign only."""
    names = ["Café 1", "cafe-1", "CAFE_1", "any", "9to5", "../../etc"]
    objects = {f"sgt/{name}": body(value=100 + n) for n, name in enumerate(names)}
    objects |= {f"egress_matrix_cell/{name}-x": cell(name, name, [], "DENY_IP") for name in names}
    made = exported(objects, tmp_path)
    assert len(made["segments"]) == len(names)
    assert len({name.lower() for name in made["segments"]}) == len(names)
    assert made["gate"] == []
