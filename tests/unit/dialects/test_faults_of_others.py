"""What public parsers lose or falsify on legal output (facts/devices.md section 2.3), each read right here.

The texts are hand-written; NX-OS and ASA have their own file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.sgacl_cells import Cell, read_cells
from tests.unit.dialects.meaning import matched


def one(line: str, header: str = "Extended IP access list T") -> Ace:
    """Return the one entry of a list in show form."""
    (found,) = registry.parse("ios", f"{header}\n    {line}\n")
    assert found.opaque == ()
    (ace,) = found.aces
    return ace


def test_genie_every_port_of_a_list_counts() -> None:
    ace = one("10 permit tcp any any eq 443 8443 www")
    assert matched(ace, [f"tcp 1.1.1.1:5 2.2.2.2:{port}" for port in (443, 8443, 80, 444)]) == [True, True, True, False]


def test_genie_a_destination_range_after_a_source_range_is_a_range() -> None:
    ace = one("10 permit udp any range 100 200 any range 300 400")
    packets = ["udp 1.1.1.1:100 2.2.2.2:400", "udp 1.1.1.1:200 2.2.2.2:350", "udp 1.1.1.1:300 2.2.2.2:100"]
    assert matched(ace, packets) == [True, True, False]


def test_genie_fragments_do_not_vanish() -> None:
    assert matched(one("10 deny ip any any fragments"), ["udp 1.1.1.1 2.2.2.2 frag", "udp 1.1.1.1:1 2.2.2.2:2"]) == [
        True,
        False,
    ]


def test_genie_a_time_range_does_not_vanish() -> None:
    assert one("10 permit ip any any time-range NIGHT (inactive)").conditions == ("time-range NIGHT",)


def test_genie_flag_words_do_not_vanish() -> None:
    assert matched(one("10 permit tcp any any syn"), ["tcp 1.1.1.1:1 2.2.2.2:2 S", "tcp 1.1.1.1:1 2.2.2.2:2 A"]) == [
        True,
        False,
    ]


def test_genie_match_any_does_not_vanish() -> None:
    ace = one("10 permit tcp any any match-any +rst -fin")
    assert matched(ace, ["tcp 1.1.1.1:1 2.2.2.2:2 A", "tcp 1.1.1.1:1 2.2.2.2:2 RF", "tcp 1.1.1.1:1 2.2.2.2:2 F"]) == [
        True,
        True,
        False,
    ]


def test_genie_a_destination_object_group_keeps_its_name() -> None:
    assert one("10 permit tcp any object-group DST eq 22").object_groups == (("destination", "DST"),)


def test_genie_a_line_with_a_service_group_is_not_lost() -> None:
    ace = one("10 permit object-group SVC host 10.0.0.1 any")
    assert (ace.object_groups, ace.conditions) == ((("service", "SVC"),), ("service object-group SVC",))


def test_genie_an_evaluate_line_is_not_lost() -> None:
    (found,) = registry.parse(
        "ios", "Extended IP access list T\n    10 permit tcp any any eq 22\n    20 evaluate MIRROR\n"
    )
    assert [(line.line, line.text) for line in found.opaque] == [(3, "20 evaluate MIRROR")]


def test_genie_addrgroup_endpoints_are_not_lost() -> None:
    ace = one("10 permit tcp addrgroup A addrgroup B eq 22")
    assert ace.conditions == ("destination addrgroup B", "source addrgroup A")


@pytest.mark.parametrize(
    ("word", "number"), [("bootpc", 68), ("bootps", 67), ("syslog", 514), ("isakmp", 500), ("1985", 1985)]
)
def test_genie_ports_are_numbers_whatever_the_output_says(word: str, number: int) -> None:
    ports = one(f"10 permit udp any any eq {word}").destination_ports
    assert ports is not None
    assert ports.pairs == ((number, number),)


def test_genie_ipv6_a_list_of_ports_is_not_a_range() -> None:
    ace = one("permit tcp any any eq 443 8443 sequence 10", "IPv6 access list T")
    assert matched(ace, [f"tcp ::1#5 ::2#{port}" for port in (443, 8443, 5000)]) == [True, True, False]


def test_genie_ipv6_a_source_range_survives_a_destination_range() -> None:
    ace = one("permit udp any range 100 200 any range 300 400 sequence 10", "IPv6 access list T")
    assert matched(ace, ["udp ::1#100 ::2#400", "udp ::1#300 ::2#400", "udp ::1#100 ::2#200"]) == [True, False, False]


def test_genie_ipv6_fragments_do_not_vanish() -> None:
    ace = one("deny ipv6 any any fragments sequence 10", "IPv6 access list T")
    assert matched(ace, ["udp ::1 ::2 frag", "udp ::1#1 ::2#2"]) == [True, False]


@pytest.mark.parametrize(
    "line", ["10 permit tcp dst eq 443", "10 permit udp src range 67 68", "10 permit tcp src eq 22 established"]
)
def test_genie_role_based_ports_do_not_vanish(line: str) -> None:
    ace = one(line, "Role-based IP access list T")
    assert ace.source_ports is not None or ace.destination_ports is not None


def test_genie_a_running_configuration_is_read() -> None:
    (found,) = registry.parse(
        "ios", "ip access-list extended T\n 10 remark web\n 10 permit tcp any any eq www\n!\nend\n"
    )
    assert [(ace.sequence, ace.remarks) for ace in found.aces] == [(10, ("web",))]


CELLS = """sw1#show cts role-based permissions
IPv4 Role-based permissions default (configured):
        Permit IP-00
IPv4 Role-based permissions from group 10:Infusion Pumps (ICU) to group 20:EHR (configured) (monitored):
        WEB-01
        Deny IP-00
IPv4 Role-based permissions from group 10:Infusion Pumps (ICU) to group Unknown:
        Deny IP-00
IPv6 Role-based permissions from group 30 to group 40 (monitored):
        V6_ONLY
RBACL Monitor All for Dynamic Policies : FALSE
RBACL Monitor All for Configured Policies : FALSE
sw1#
"""


def test_genie_monitored_cells_are_told_from_enforced_ones() -> None:
    cells, opaque = read_cells(CELLS)
    assert opaque == []
    assert [(cell.configured, cell.monitored) for cell in cells] == [
        (True, False),
        (True, True),
        (False, False),
        (False, True),
    ]


def test_genie_a_group_name_with_blanks_keeps_its_cell_and_its_lists() -> None:
    cells, _opaque = read_cells(CELLS)
    assert cells[0] == Cell(4, None, None, ("Permit IP-00",), configured=True, line=2)
    assert cells[1] == Cell(4, 10, 20, ("WEB-01", "Deny IP-00"), "Infusion Pumps (ICU)", "EHR", True, True, 4)
    assert (cells[2].destination, cells[2].sgacls) == (0, ("Deny IP-00",))
    assert (cells[3].family, cells[3].source, cells[3].destination) == (6, 30, 40)
    _cells, opaque = read_cells(CELLS.replace("        WEB-01", "        two words here"))
    assert [line.line for line in opaque] == [5, 6]


@pytest.mark.corpora
def test_real_cells_are_read_whole(corpora: Path) -> None:
    folder = corpora / "device-outputs" / "cisco_iosxe" / "show_cts_role-based_permissions"
    if not folder.is_dir():
        pytest.skip("no device outputs in the corpora")
    for path in sorted(folder.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        cells, opaque = read_cells(text)
        assert opaque == [], path.name
        assert len(cells) == sum(line.strip().endswith(":") for line in text.splitlines()), path.name
        assert all(cell.sgacls for cell in cells), path.name


def test_genie_every_entry_of_show_cts_rbacl_survives() -> None:
    entries = ["permit tcp dst eq 443", "permit tcp src eq 443 established", "permit udp dst range 5000 5010",
               "permit icmp echo", "permit tcp dst eq 104 log", "deny ip log"]  # fmt: skip
    text = "CTS RBACL Policy\n  name   = S-03\n  IP protocol version = IPV4\n  RBACL ACEs:\n" + "".join(
        f"    {e}\n" for e in entries
    )
    (found,) = registry.parse("sgacl", text)
    assert ([ace.raw for ace in found.aces], found.opaque) == (entries, ())


def test_ntc_a_destination_port_after_a_host_is_no_source_port() -> None:
    ace = one("10 permit tcp any host 10.0.0.1 eq 443")
    assert ace.source_ports is None
    assert matched(ace, ["tcp 1.1.1.1:443 10.0.0.1:5", "tcp 1.1.1.1:5 10.0.0.1:443"]) == [False, True]


def test_ntc_options_are_not_glued_to_the_port() -> None:
    ace = one("10 permit tcp any any eq 443 established dscp ef log (3 matches)")
    assert (ace.destination_ports.pairs if ace.destination_ports else ()) == ((443, 443),)
    assert (ace.established, ace.log, ace.conditions, ace.matches) == (True, True, ("dscp ef",), 3)


def test_ntc_object_group_lines_do_not_vanish() -> None:
    text = "Extended IP access list T\n    10 permit tcp object-group A object-group B\n    20 deny ip any any\n"
    assert [ace.sequence for ace in registry.parse("ios", text)[0].aces] == [10, 20]


def test_ntc_a_prompt_is_no_error() -> None:
    (found,) = registry.parse(
        "ios", "sw1#show ip access-lists\nExtended IP access list T\n    10 permit ip any any\nsw1#"
    )
    assert (len(found.aces), found.opaque) == (1, ())


def test_ntc_other_kinds_of_list_do_not_stop_the_reading() -> None:
    text = (
        "Extended MAC access list M\n    permit any any\nFQDN IP access list F\n    10 permit ip any host dynamic a.example\n"
        "IPv6 access list SIX\n    permit ipv6 any any sequence 10\nRole-based IP access list R\n    10 permit icmp\n"
        "Extended IP access list T\n    10 permit ip any any\n"
    )
    assert [(item.name, bool(item.opaque)) for item in registry.parse("ios", text)] == [
        ("M", True), ("F", True), ("SIX", False), ("R", False), ("T", False),
    ]  # fmt: skip


def test_ntc_numeric_icmp_is_read() -> None:
    assert matched(one("10 permit icmp any any 3 4"), ["icmp 1.1.1.1 2.2.2.2 3/4", "icmp 1.1.1.1 2.2.2.2 3/3"]) == [
        True,
        False,
    ]


def test_ntc_a_service_group_is_read() -> None:
    text = "Service object group SVC\n tcp eq 443\nExtended IP access list T\n    10 permit object-group SVC any any\n"
    assert [ace.protocol for ace in registry.parse("ios", text)[0].aces] == [6]


def test_ntc_estimate_counters_are_read() -> None:
    ace = one("10 permit tcp any any eq 443 (3 matches) (5 estimate matches)")
    assert (ace.matches, ace.estimate_matches) == (3, 5)
