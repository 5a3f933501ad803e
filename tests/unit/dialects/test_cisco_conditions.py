"""What is understood but not modelled: kept in the device's words, an upper bound for packets, printed back as it was."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_ace import parse_ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_options import flag_words
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.cisco_render import ace_lines
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_dict, ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from tests.unit.dialects.random_aces import entry

# line, family, conditions, what is written
LINES = [
    ("permit tcp any any dscp ef", 4, ("dscp ef",), "permit tcp any any dscp ef"),
    ("permit tcp any any dscp 46", 4, ("dscp ef",), "permit tcp any any dscp ef"),
    ("permit tcp any any dscp 45", 4, ("dscp 45",), "permit tcp any any dscp 45"),
    ("deny esp any any precedence internet", 4, ("precedence internet",), "deny esp any any precedence internet"),
    ("deny esp any any precedence 6", 4, ("precedence internet",), "deny esp any any precedence internet"),
    ("deny esp any any tos normal", 4, ("tos normal",), "deny esp any any tos normal"),
    ("permit ip any any ttl lt 5", 4, ("ttl lt 5",), "permit ip any any ttl lt 5"),
    ("permit ip any any ttl range 1 3", 4, ("ttl range 1 3",), "permit ip any any ttl range 1 3"),
    ("permit ip any any option record-route", 4, ("option record-route",), "permit ip any any option record-route"),
    ("permit ip any any option 7 log", 4, ("option record-route",), "permit ip any any option record-route log"),
    ("permit igmp any any host-report", 4, ("igmp host-report",), "permit igmp any any host-report"),
    ("permit igmp any any 2 fragments", 4, ("igmp 2",), "permit igmp any any fragments 2"),
    (
        "permit tcp any any eq 443 time-range Work-Hours (inactive)", 4, ("time-range Work-Hours",),
        "permit tcp any any eq 443 time-range Work-Hours",
    ),
    (
        "permit ip any host 10.1.10.11 log time-range test2 (inactive)", 4, ("time-range test2",),
        "permit ip any host 10.1.10.11 log time-range test2",
    ),
    (
        "permit udp any any eq 161 time-range T dscp 0 log", 4, ("dscp default", "time-range T"),
        "permit udp any any eq 161 dscp default log time-range T",
    ),
    ("permit tcp any any established psh", 4, ("established psh",), "permit tcp any any established psh"),
    ("permit tcp any any ack syn log", 4, ("syn ack",), "permit tcp any any syn ack log"),
    (
        "permit esp object-group PEERS host 10.4.1.1", 4, ("source object-group PEERS",),
        "permit esp object-group PEERS host 10.4.1.1",
    ),
    (
        "deny object-group SVC any object-group DST log", 4,
        ("destination object-group DST", "service object-group SVC"), "deny object-group SVC any object-group DST log",
    ),
    (
        "permit tcp addrgroup A portgroup P any portgroup Q", 4,
        ("destination portgroup Q", "source addrgroup A", "source portgroup P"),
        "permit tcp addrgroup A portgroup P any portgroup Q",
    ),
    ("permit tcp any any log auth routing", 6, ("auth", "routing"), "permit tcp any any auth routing log"),
    ("permit ipv6 any any routing-type 0", 6, ("routing-type 0",), "permit ipv6 any any routing-type 0"),
    ("permit ipv6 any any flow-label 1048575", 6, ("flow-label 1048575",), "permit ipv6 any any flow-label 1048575"),
    ("deny ipv6 any any undetermined-transport", 6, ("undetermined-transport",), "deny ipv6 any any undetermined-transport"),
    ("permit ipv6 any any mobility-type bind-update", 6, ("mobility-type bind-update",), "permit ipv6 any any mobility-type bind-update"),
    ("permit ipv6 any any dest-option-type 5 hbh", 6, ("dest-option-type 5", "hbh"), "permit ipv6 any any dest-option-type 5 hbh"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "family", "conditions", "written"), LINES)
def test_conditions_are_kept_and_printed_back(
    line: str, family: int, conditions: tuple[str, ...], written: str
) -> None:
    ace = parse_ace(line.split(), family)
    assert ace.conditions == conditions
    assert ace_lines(ace, port_lists=True) == [written]
    again = parse_ace(written.split(), family)
    assert (again.meaning(), again.log) == (ace.meaning(), ace.log)
    copied = ace_from_dict(ace_dict(ace))
    assert (copied.meaning(), copied.object_groups) == (ace.meaning(), ace.object_groups)


def test_several_flag_words_match_at_most_what_any_of_them_matches() -> None:
    ace = parse_ace(["permit", "tcp", "any", "any", "established", "psh"], 4)
    assert ace.detail == IntervalSet.of(*(flags for flags in range(64) if flags & (16 | 4 | 8)))


def test_a_group_without_definition_is_every_address_at_most() -> None:
    ace = parse_ace(["permit", "tcp", "object-group", "A", "host", "10.0.0.1", "eq", "443"], 4)
    assert (ace.source, ace.object_groups) == (None, (("source", "A"),))
    service = parse_ace(["deny", "object-group", "S", "any", "host", "10.0.0.1"], 4)
    assert (service.protocol, service.destination_ports) == (None, None)


@pytest.mark.parametrize("platform", ["dacl", "sgacl", "nftables"])
@pytest.mark.parametrize("condition", ["destination object-group X", "time-range T"])
def test_objects_of_one_switch_do_not_leave_it(platform: str, condition: str) -> None:
    """facts/devices.md section 1.1: object groups are not allowed in DACL bodies."""
    with pytest.raises(FindingError, match="SW1204"):
        registry.render(platform, "L", [Ace(True, 6, conditions=(condition,))])


FOREIGN = [
    "vlan 5", "time-range a b", "dscp ef log", "source object-group a\nb", "source object-group a?", "time-range a\x1ab",
    "time-range a?", "time-range (a", "log", "syn", "",
]  # fmt: skip


@pytest.mark.parametrize("condition", FOREIGN)
def test_conditions_of_other_syntaxes_are_refused(condition: str) -> None:
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("ios", "L", [Ace(True, 6, conditions=(condition,))])


BESIDE = [
    Ace(True, source=IntervalSet.from_prefix("10.0.0.0/24"), conditions=("source object-group X",)),
    Ace(True, source=IntervalSet.from_prefix("10.0.0.0/24"), conditions=("source 0.0.0.1 255.255.255.252",)),
    Ace(True, 6, source_ports=IntervalSet.of(80), conditions=("source portgroup X",)),
    Ace(True, 6, destination_ports=IntervalSet.of(80), conditions=("service object-group X",)),
    Ace(True, 6, conditions=("service object-group X",)),
    Ace(True, conditions=("source 10.0.0.0 0.0.0.255",)),
    Ace(True, conditions=("source 999.0.0.1 255.255.255.252",)),
    Ace(True, conditions=("service 0.0.0.1 255.255.255.252",)),
]


@pytest.mark.parametrize("ace", BESIDE)
def test_values_beside_a_condition_that_takes_their_place_are_never_dropped(ace: Ace) -> None:
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("ios", "L", [ace])


@pytest.mark.parametrize("line", ["permit tcp any object-group X eq 80", "permit ip any any time-range T"])
def test_a_dacl_with_objects_of_a_switch_is_opaque(line: str) -> None:
    (found,) = registry.parse("dacl", line)
    assert "downloadable" in found.opaque[0].reason


def test_an_entry_with_a_condition_does_not_close_a_list() -> None:
    text = registry.render("ios", "L", [Ace(False, conditions=("time-range T",))], numbers=False)
    assert text.splitlines()[1:] == [" deny ip any any time-range T", " deny ip any any"]


CONDITIONS = {
    4: [
        "time-range T",
        "dscp ef",
        "dscp 45",
        "precedence critical",
        "tos min-delay",
        "ttl gt 4",
        "ttl range 2 9",
        "option security",
    ],
    6: [
        "time-range T",
        "dscp af41",
        "routing",
        "hbh",
        "routing-type 3",
        "flow-label 77",
        "dest-option-type 9",
        "mobility",
    ],
}
SIDES = ["source object-group A", "destination object-group B", "source addrgroup C", "destination addrgroup D"]


@pytest.mark.one_python
@pytest.mark.parametrize("family", [4, 6])
def test_random_lists_with_conditions_print_back(family: int, full: bool) -> None:
    """Written, read and compared for all packets; a list that lacks one of the conditions is never equal."""
    choice = random.Random(family)
    platform = {4: "ios", 6: "ios_ipv6"}[family]
    for _ in range(600 if full else 60):
        aces = []
        for _ in range(choice.randint(1, 6)):
            ace = entry(choice, fragments=True, family=family)
            said = choice.sample(CONDITIONS[family], choice.choice((0, 0, 1, 1, 2)))
            said = list({text.split()[0]: text for text in said}.values())
            if choice.random() < 0.3:
                side = choice.choice(SIDES)
                ace = replace(ace, **{side.split()[0]: None})
                said.append(side)
            if ace.protocol == 6 and ace.detail is None and not ace.fragments and choice.random() < 0.3:
                ace = replace(ace, detail=flag_words(("syn", "ack")))
                said.append("syn ack")
            aces.append(replace(ace, conditions=tuple(sorted(said)), sequence=None))
        text = registry.render(platform, "L", aces, end="", port_lists=choice.random() < 0.5)
        (again,) = registry.parse(platform, text)
        assert again.opaque == ()
        wanted = first_match_list(aces, implicit=again.implicit)
        assert compare(wanted, again.first_match()).equal, text
        assert {ace.conditions for ace in again.aces} == {ace.conditions for ace in aces}


def test_a_changed_condition_is_never_equal() -> None:
    text = "ip access-list extended A\n permit tcp any any eq 22 time-range NIGHT\n deny ip any any\n"
    first = registry.parse("ios", text)[0].first_match()
    for other in (
        text.replace("NIGHT", "DAY"),
        text.replace(" time-range NIGHT", ""),
        text.replace("NIGHT", "NIGHT dscp ef"),
    ):
        found = compare(first, registry.parse("ios", other)[0].first_match())
        assert not found.equal
        assert found.not_modelled, other
        assert not (found.only_in_first or found.only_in_second)
