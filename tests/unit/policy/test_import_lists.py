"""Access lists imported as rules: compiled lists come back to the rules they came from, denials are exact, the rest is named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import parse_one
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, verdicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.catalogue import traffic_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.acl import Scope
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.imported import compiled_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.init import run_init
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.policy_import import run_import
from tests.conftest import full_run

BASE = {"check_mode": False, "diff_mode": True, "today": "2026-11-26"}


def begin(pack: str, directory: Path, rules: bool) -> Path:
    """Begin with a pack; without rules every segment loses its rules, as a site that has only lists."""
    run_init({"pack": pack, "policy_dir": str(directory), "check_mode": False, "diff_mode": False})
    if not rules:
        for path in directory.glob("*/*.yml"):
            text = path.read_text(encoding="utf-8")
            if text.split("\n")[1].startswith("segment:"):
                text = re.sub(r"^use:\n(?:  .*\n)+", "", text, flags=re.MULTILINE)
                path.write_text(re.sub(r"^allow:.*\Z", "allow: []\n", text, flags=re.MULTILINE | re.DOTALL))
        for name in ("workflows.yml", "guardrails.yml", "postures.yml", "templates.yml"):
            (directory / name).unlink(missing_ok=True)
    return directory


def site_of(directory: Path) -> Site:
    loaded = load_site(directory)
    assert loaded.site is not None, loaded.findings
    return loaded.site


def do_import(directory: Path, **values: Any) -> dict[str, Any]:
    return run_import({**BASE, "policy_dir": str(directory), "output_dir": str(directory.parent / "out"), **values})


def permissions(site: Site, segment: str) -> set[Any]:
    """Return what rules from and to a segment permit, whatever their ids."""
    return {
        (rule.client, rule.to, item)
        for rule in site.rules()
        if segment in (rule.client, rule.to)
        for name in rule.services
        for item in traffic_of(site.services[name])
    }


@pytest.mark.one_python
@pytest.mark.parametrize("pack", ["hospital", "plant"])
def test_a_compiled_list_imported_into_an_empty_site_gives_its_rules_and_no_difference(
    pack: str, full: bool, tmp_path: Path
) -> None:
    whole = site_of(begin(pack, tmp_path / "whole", rules=True))
    empty = begin(pack, tmp_path / "empty", rules=False)
    checked = 0
    for listing in compile_site(whole).lists:
        if listing.kind != "dacl" or (not full and checked == 4):
            continue
        directory = tmp_path / f"one-{listing.segment}"
        shutil.copytree(empty, directory)
        answer = do_import(directory, format="dacl", segment=listing.segment, content=rendered(listing))
        assert answer["difference"]["equal"], answer["difference"]
        assert not answer["not_imported"], answer["not_imported"]
        imported = permissions(site_of(directory), listing.segment)
        wanted = permissions(whole, listing.segment)
        # Where both ends use one port, the line for the answer is the line of the request.
        same_line = {(to, client, item) for client, to, item in imported if item.client_ports == item.server_ports}
        assert imported <= wanted and wanted - imported <= same_line, listing.segment
        again = do_import(directory, format="dacl", segment=listing.segment, content=rendered(listing))
        assert not again["changed"] and again["difference"]["equal"]
        checked += 1
    assert checked >= (7 if full else 4)


def test_a_cell_is_imported_with_its_two_ends(tmp_path: Path) -> None:
    directory = begin("hospital", tmp_path / "p", rules=False)
    cell = "permit tcp dst eq 104 11112\npermit tcp src eq 11112 established\ndeny ip"
    answer = do_import(directory, format="sgacl", segment="imaging_modalities", peer="pacs", content=cell)
    assert sorted(answer["rules"]) == ["imaging_modalities-to-pacs-dicom", "pacs-to-imaging_modalities-tcp-11112"]
    assert answer["difference"]["only_in_list"] == []
    assert all("icmp" in box["text"] for box in answer["difference"]["only_in_policy"])  # errors that the cell lacked
    with pytest.raises(FindingError, match="SW2853"):
        do_import(directory, format="sgacl", segment="pacs", content=cell)
    with pytest.raises(FindingError, match="SW2853"):
        do_import(directory, format="dacl", segment="pacs", peer="cameras", content="permit ip any any")


BROWNFIELD = """\
remark pumps, copied from the old switch
permit udp any eq bootpc any eq bootps
permit icmp any any unreachable
permit udp any host 10.20.50.2 eq domain
deny tcp any host 10.20.50.11 eq 22
permit tcp any host 10.20.50.11
permit tcp any host 10.20.50.13 eq 2575 established
permit tcp any any established
permit tcp host 10.20.10.99 any eq 443
permit tcp host 10.20.10.11 any eq 8443
permit udp any host 10.20.50.2 eq domain
permit tcp any 10.20.50.0 0.0.0.255 eq 443 time-range WORK
permit tcp any 10.99.0.0 0.0.255.255 eq 5671
permit ip any any
"""


def test_every_line_of_an_old_list_is_accounted_for(tmp_path: Path) -> None:
    directory = begin("hospital", tmp_path / "p", rules=False)
    text = "ip access-list extended PUMPS_IN\n" + "".join(f" {line}\n" for line in BROWNFIELD.splitlines())
    answer = do_import(directory, format="ios", segment="infusion_pumps", content=text)
    outcomes = {entry["line"]: entry["outcome"] for entry in answer["entries"]}
    assert outcomes == {
        3: "written by the compiler itself", 4: "written by the compiler itself", 5: "rule", 6: "deny", 7: "rule",
        8: "blanket answer", 9: "blanket answer", 10: "other devices", 11: "not imported", 12: "decides nothing", 13: "condition",
        14: "rule", 15: "not imported",
    }  # fmt: skip
    codes: dict[int, set[str]] = {}
    for finding in answer["findings"]:
        codes.setdefault(finding["line"], set()).add(finding["code"])
    assert codes == {
        0: {"SW2851"}, 7: {"SW2848"}, 8: {"SW2844"}, 9: {"SW2844", "SW2848"}, 10: {"SW2842"}, 11: {"SW2843"}, 12: {"SW2849"},
        13: {"SW2841"}, 15: {"SW2846"},
    }  # fmt: skip
    made = permissions(site_of(directory), "infusion_pumps")
    ports = {
        (to, item.server_ports.pairs) for client, to, item in made if client == "infusion_pumps" and item.protocol == 6
    }
    assert ("pump_gateway", ((1, 21), (23, 65535))) in ports  # the denial of port 22 stands
    assert ("net_10_99_0_0_16", ((5671, 5671),)) in ports
    assert ("infrastructure", "udp") in {(to, "udp") for _client, to, item in made if item.protocol == 17}
    difference = answer["difference"]
    assert not difference["equal"] and difference["only_in_list"]
    report = (tmp_path / "out" / "import.md").read_text(encoding="utf-8")
    assert "Permitted by the list, not by the policy" in report
    rule = next(rule for rule in site_of(directory).segments["infusion_pumps"].allow if rule.to == "net_10_99_0_0_16")
    assert (
        rule.reason == "Line 14 of PUMPS_IN: permit tcp any 10.99.0.0 0.0.255.255 eq 5671" and rule.origin == "manual"
    )


def test_a_line_that_is_not_understood_is_an_error_and_nothing_is_claimed(tmp_path: Path) -> None:
    directory = begin("hospital", tmp_path / "p", rules=False)
    text = "permit udp any host 10.20.50.2 eq domain\npermit foo any any\npermit tcp any host 10.20.50.11 eq 8883\n"
    answer = do_import(directory, format="dacl", segment="infusion_pumps", content=text)
    assert "difference" not in answer
    assert [(f["code"], f["line"]) for f in answer["findings"]] == [("SW2840", 2)]
    assert {entry["line"]: entry["after_unread_line"] for entry in answer["entries"]} == {1: False, 2: False, 3: True}


FORMS = {
    "nxos": "ip access-list PUMPS\n  10 deny tcp any 10.20.50.11/32 eq 22\n  20 permit tcp any 10.20.50.11/32 eq 8883\n",
    "asa": (
        "access-list PUMPS extended deny tcp any host 10.20.50.11 eq 22\n"
        "access-list PUMPS extended permit tcp any host 10.20.50.11 eq 8883\n"
    ),
    "nftables": (
        "table inet t {\n chain f {\n type filter hook forward priority filter; policy drop;\n"
        " ct state established,related accept\n ip saddr 10.20.10.0/24 ip daddr 10.20.50.11 tcp dport 8883 accept\n }\n}\n"
    ),
}


@pytest.mark.parametrize("platform", sorted(FORMS))
def test_lists_of_other_platforms(platform: str, tmp_path: Path) -> None:
    directory = begin("hospital", tmp_path / "p", rules=False)
    answer = do_import(directory, format=platform, segment="infusion_pumps", content=FORMS[platform])
    assert answer["rules"] == ["infusion_pumps-to-pump_gateway-mqtt-tls"]
    assert answer["difference"]["only_in_list"] == []


HOSTS = ["10.20.50.11", "10.20.50.12", "10.20.50.13", "10.20.10.21", "192.0.2.5"]
ENDS = st.one_of(
    st.sampled_from([f"host {host}" for host in HOSTS]),
    st.sampled_from(["any", "10.20.50.0 0.0.0.255", "10.20.50.12 0.0.0.1", "192.0.2.0 0.0.0.255"]),
)
PORTS = st.sampled_from(["", " eq 443", " eq 2575", " range 400 500", " gt 8000", " neq 22"])


@st.composite
def line(draw: st.DrawFn) -> str:
    action, protocol, end = (
        draw(st.sampled_from(["permit", "permit", "deny"])),
        draw(st.sampled_from(["tcp", "udp"])),
        draw(ENDS),
    )
    if draw(st.integers(0, 9)) == 0:
        return f"{action} ip any {end}"
    return f"{action} {protocol} any {end}{draw(PORTS)}"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin("hospital", tmp_path_factory.mktemp("random") / "p", rules=False)


@pytest.mark.one_python
@settings(
    max_examples=200 if full_run() else 12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(line(), min_size=1, max_size=7))
def test_random_lists_lose_only_what_is_named_and_gain_only_what_every_list_holds(
    hospital: Path, lines: list[str]
) -> None:
    text = "\n".join(lines)
    answer = do_import(hospital, format="dacl", segment="infusion_pumps", content=text, check_mode=True)
    json.dumps(answer)
    named = [entry for entry in answer["entries"] if entry["outcome"] == "not imported"]
    broad = any(finding["code"] == "SW2850" for finding in answer["findings"])
    assert {entry["line"] for entry in answer["entries"]} == set(range(1, len(lines) + 1))
    if not named and not broad:  # every protocol becomes three, so other protocols are lost, with a finding
        lost = [packet_from_dict(box["witness"]) for box in answer["difference"]["only_in_list"]]
        # A service has no port 0; later fragments follow addresses alone, also where a denial took the whole permit.
        assert [packet for packet in lost if packet.destination_port and not packet.fragment] == [], text
    space = PacketSpace()
    scope = Scope("infusion_pumps")
    held = verdicts(space, compiled_list(site_of(hospital), scope, rules=False)).permitted
    listed = verdicts(space, parse_one("dacl", text).first_match()).permitted
    for box in answer["difference"]["only_in_policy"]:
        witness = box["witness"]
        assert witness, box
        packet = packet_from_dict(witness)
        # Later fragments follow addresses alone on IOS; a rule to any address brings IGMP, and answers among the devices themselves.
        expected = packet in held or packet.fragment or packet.ip_protocol == 2 or packet.destination >> 8 == 0x0A140A
        assert expected or (packet.detail != 2 and packet.ip_protocol == 6), (text, box["text"])
        assert packet not in listed


FIREWALL = """\
access-list ALL extended permit tcp 10.20.10.0 255.255.255.0 host 10.20.50.11 eq 8883
access-list ALL extended deny tcp any host 10.20.50.12 eq 22
access-list ALL extended permit tcp 10.20.0.0 255.255.0.0 host 10.20.50.12 eq 9443
access-list ALL extended permit tcp host 192.0.2.77 host 10.20.50.12 eq 443
access-list ALL extended deny ip any any
"""


@pytest.mark.one_python
def test_a_firewalls_list_is_imported_for_every_segment_at_once(full: bool, tmp_path: Path) -> None:
    together, alone = begin("hospital", tmp_path / "a", rules=False), begin("hospital", tmp_path / "b", rules=False)
    preview = do_import(together, format="asa", content=FIREWALL, check_mode=True)
    assert not site_of(together).rules() and preview["rules"]
    answer = do_import(together, format="asa", content=FIREWALL)
    assert answer["rules"] == preview["rules"]
    equal = {}
    everybody = sorted(site_of(alone).members)
    for segment in everybody if full else ("cameras", "infusion_pumps"):
        made = do_import(alone, format="asa", segment=segment, content=FIREWALL)
        assert made["difference"]["only_in_list"] == []
        equal[segment] = made["difference"]["equal"]
    for segment in equal:
        one, other = (
            {item for item in permissions(site_of(place), segment) if item[0] == segment} for place in (together, alone)
        )
        assert one == other != set()
    assert [(entry["line"], entry["outcome"]) for entry in answer["entries"]] == [
        (1, "rule"), (2, "deny"), (3, "rule"), (4, "other devices"), (5, "deny"),
    ]  # fmt: skip
    first, third = answer["entries"][0], answer["entries"][2]
    assert "infusion_pumps" in first["segments"] and set(first["segments"]) < set(third["segments"])
    assert [(f["code"], f["line"]) for f in answer["findings"] if f["code"] == "SW2842"] == [("SW2842", 4)]
    assert sorted(answer["difference"]["segments"]) == everybody
    assert {name: answer["difference"]["segments"][name] for name in equal} == equal
    services = (together / "services.yml").read_text()
    assert services.count("9443") == (alone / "services.yml").read_text().count("9443") >= 1
    again = do_import(together, format="asa", content=FIREWALL)
    assert not again["changed"] and again["rules"] == []
    assert "into every segment" in (tmp_path / "out" / "import.md").read_text()


@pytest.mark.parametrize("form", ["dacl", "mud", "sgacl"])
def test_other_texts_are_for_one_segment(form: str, tmp_path: Path) -> None:
    directory = begin("hospital", tmp_path / "p", rules=False)
    with pytest.raises(FindingError, match=r"SW4601.*segment: it is needed"):
        do_import(directory, format=form, content="permit ip any any\n")
