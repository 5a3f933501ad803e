"""Wildcard masks of more than 4,096 pieces: read, printed back, compared and counted like every other address."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.budget import hardware_blocks
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import check_result, compare_result
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import PacketSpace, permitted
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.masks import wildcard_set
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import make_packet
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.lookup import Lookup

TEXTS = {
    "ios": "ip access-list extended A\n deny tcp any 10.9.9.5 0.255.255.0 eq 23\n permit ip 10.0.0.7 0.255.255.248 any\n",
    "nxos": "ip access-list A\n  10 deny tcp any 10.9.9.5 0.255.255.0 eq 23\n  20 permit ip 10.0.0.7 0.255.255.248 any\n",
}


@pytest.mark.parametrize("platform", TEXTS)
def test_read_printed_and_decided(platform: str) -> None:
    (found,) = registry.parse(platform, TEXTS[platform])
    assert not found.opaque
    assert [ace.conditions for ace in found.aces] == [(), ()]
    first, second = found.aces
    assert first.destination == wildcard_set(0x0A000005, 0x00FFFF00)
    assert second.source == wildcard_set(0x0A000007, 0x00FFFFF8)
    assert registry.round_trip(platform, TEXTS[platform])
    passing = permitted(PacketSpace(), found.first_match())
    walk = Lookup(found.first_match())
    for source, destination, port, wanted in (
        ("10.200.3.7", "10.1.2.5", 23, False),
        ("10.200.3.7", "10.1.2.6", 23, True),
        ("10.200.3.7", "10.1.2.5", 22, True),
        ("10.200.3.15", "10.1.2.5", 22, True),
        ("10.200.3.6", "10.1.2.5", 22, False),
        ("11.200.3.7", "10.1.2.5", 22, False),
    ):
        packet = make_packet(6, source, destination, port, 1024)
        assert (packet in passing) == wanted, packet
        entry = walk.deciding(packet)
        assert (entry is not None and entry.permit) == wanted
    assert [hardware_blocks(ace) for ace in found.aces] == [1, 1]
    assert ace_dict(first)["destination"] == ["10.0.0.5 0.255.255.0"]


def test_the_same_mask_in_two_syntaxes_and_another_mask() -> None:
    ios, nxos = ({"platform": name, "text": TEXTS[name]} for name in ("ios", "nxos"))
    assert compare_result(ios, nxos)["equal"]
    changed = {"platform": "nxos", "text": TEXTS["nxos"].replace("0.255.255.0", "0.255.127.0")}
    found = compare_result(ios, changed)
    assert not found["equal"]
    assert found["not_modelled_packets"] == []
    assert found["only_in_first"] == []
    (box,) = found["only_in_second"]
    witness = box["witness"]
    assert witness["destination"].endswith(".5")
    assert int(witness["destination"].split(".")[2]) >= 128
    assert witness["destination_port"] == 23
    assert len(box["boxes"]) == 1


def test_anomalies_among_masks() -> None:
    text = (
        "ip access-list extended A\n 10 permit tcp any 10.0.0.5 0.255.255.0\n 20 deny tcp any host 10.7.7.5\n"
        " 30 permit udp any 10.0.0.4 0.255.255.1\n 40 permit udp any 10.0.0.5 0.255.255.0 eq 53\n"
    )
    found = check_result("ios", text)
    assert [(item["entry"], item["kind"], item["covered_by"]) for item in found["anomalies"]] == [
        (2, "contradicting", [1]),
        (4, "dead", [3]),
    ]
    assert found["not_modelled"] == []


def test_ipv6_masks_and_groups_of_nxos() -> None:
    text = "ipv6 access-list S\n  10 permit udp 2001:db8::5 0:0:ffff::ff00:0 any\n"
    (six,) = registry.parse("nxos", text)
    assert six.aces[0].source is not None
    assert six.aces[0].source.masked
    assert registry.round_trip("nxos", text)
    alone = "object-group ip address G\n  10 10.0.0.5 0.255.255.0\nip access-list A\n  10 permit ip addrgroup G any\n"
    (one,) = registry.parse("nxos", alone)
    assert one.aces[0].conditions == ()
    assert one.aces[0].source == wildcard_set(0x0A000005, 0x00FFFF00)
    (two,) = registry.parse("nxos", alone.replace("ip access-list", "  20 host 10.1.1.1\nip access-list"))
    assert two.aces[0].conditions == ("source addrgroup G",)  # no single set can say both


def test_nftables_says_any_mask_and_the_others_refuse() -> None:
    odd = Ace(True, 6, 4, wildcard_set(0x0A000005, 0x00FFFF00))
    text = registry.render("nftables", "L", [odd])
    assert "ip saddr & 255.0.0.255 == 10.0.0.5" in text
    assert registry.parse("nftables", text)[0].aces[0].source == odd.source
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("asa", "L", [odd])
