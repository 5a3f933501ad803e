"""The same name is the same condition, but not where two texts define it differently."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import compare_result

RANGE = "time-range WORK\n periodic weekdays {}\n!\n"
LIST = "ip access-list extended A\n permit tcp any host 192.0.2.1 eq 443 time-range WORK\n deny ip any any\n"
ODD = "object-group network G\n host 192.0.2.1\n {}\n!\nobject-group network H\n {}\n!\n"
GROUPED = "ip access-list extended A\n permit tcp object-group G any eq 443\n"


def compared(platform: str, first: str, second: str) -> dict[str, Any]:
    return compare_result({"platform": platform, "text": first}, {"platform": platform, "text": second})


def test_a_time_range_that_changed_is_no_equality() -> None:
    day, night = RANGE.format("8:00 to 17:00"), RANGE.format("0:00 to 23:59")
    assert compared("ios", day + LIST, day + LIST + "!\n")["equal"]
    found = compared("ios", day + LIST, night + LIST)
    assert (found["comparable"], found["equal"], found["only_in_first"], found["only_in_second"]) == (
        True,
        False,
        [],
        [],
    )
    assert "192.0.2.1" in found["not_modelled_packets"][0]["text"]


def test_a_name_without_definition_in_one_text_counts_as_the_same() -> None:
    """Show output holds no definitions; what is not there cannot be compared."""
    assert compared("ios", RANGE.format("8:00 to 17:00") + LIST, LIST)["equal"]
    assert compared("ios", LIST, LIST + "!\n")["equal"]


def test_the_state_of_a_time_range_is_no_difference() -> None:
    shown = "time-range entry: WORK ({})\n   periodic weekdays 8:00 to 17:00\n   used in: IP ACL entry\n"
    assert compared("ios", shown.format("active") + LIST, shown.format("inactive") + LIST)["equal"]


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        (("fqdn-thing a", "host 192.0.2.3"), ("fqdn-thing a", "host 192.0.2.3"), True),
        (("fqdn-thing a", "host 192.0.2.3"), ("fqdn-thing b", "host 192.0.2.3"), False),
        (("group-object H", "odd 192.0.2.3"), ("group-object H", "odd 192.0.2.4"), False),
        (("fqdn-thing a", "host 192.0.2.3"), ("fqdn-thing a", "host 192.0.2.4"), True),
    ],
)
def test_a_group_that_is_not_understood_is_compared_by_its_lines(
    before: tuple[str, str], after: tuple[str, str], equal: bool
) -> None:
    """Also by those of the groups in it; a group that it does not name does not count."""
    found = compared("ios", ODD.format(*before) + GROUPED, ODD.format(*after) + GROUPED)
    assert (found["comparable"], found["equal"]) == (True, equal)


def test_objects_of_an_asa_and_ranges_of_nx_os() -> None:
    asa = "object network S\n fqdn {}\naccess-list A extended permit tcp any object S time-range W\ntime-range W\n periodic daily {}\n"
    assert compared("asa", asa.format("a.example", "1:00 to 2:00"), asa.format("a.example", "1:00 to 2:00") + "!\n")[
        "equal"
    ]
    assert not compared("asa", asa.format("a.example", "1:00 to 2:00"), asa.format("a.example", "1:00 to 3:00"))[
        "equal"
    ]
    nxos = "time-range W\n  10 periodic daily {}\nip access-list A\n  10 permit ip any any time-range W\n"
    assert compared("nxos", nxos.format("1:00:00 to 2:00:00"), nxos.format("1:00:00 to 2:00:00") + "!\n")["equal"]
    assert not compared("nxos", nxos.format("1:00:00 to 2:00:00"), nxos.format("1:00:00 to 3:00:00"))["equal"]
