"""Texts in which a line, a member or a name is put in front, removed or given again: what stood there first is not what counts."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "access-list A line 1 extended deny ip any any\naccess-list A line 1 extended permit ip any any\n",
            "before the first",
        ),
        ("access-list A line 1 remark x\naccess-list A line 1 extended permit ip any any\n", "before the first"),
        ("access-list A line 2 extended deny ip any any\naccess-list A line 1 extended permit ip any any\n", "fall"),
    ],
)
def test_asa_lines_that_are_inserted_before_others(text: str, reason: str) -> None:
    found = registry.parse_one("asa", text)
    assert any(reason in line.reason for line in found.opaque)


def test_asa_lines_in_rising_order_are_as_they_stand() -> None:
    text = "access-list A line 1 remark x\naccess-list A line 2 extended deny ip any any\naccess-list A line 3 extended permit ip any any\n"
    assert registry.parse_one("asa", text).opaque == ()


@pytest.mark.parametrize("indent", ["", " "])
@pytest.mark.parametrize(
    ("platform", "text", "condition"),
    [
        ("asa", "object-group network W\n{0}network-object host 192.0.2.1\n{0}no network-object host 192.0.2.1\n"
                "access-list A extended permit ip object-group W any\n", "source object-group W"),
        ("asa", "object network W\n{0}host 192.0.2.1\n{0}no host 192.0.2.1\naccess-list A extended permit ip object W any\n",
         "source object W"),
        ("nxos", "object-group ip address W\n{0}host 192.0.2.1\n{0}no host 192.0.2.1\nip access-list A\n permit ip addrgroup W any\n",
         "source addrgroup W"),
        ("nxos", "object-group ip port P\n{0}10 eq 80\n{0}no 10\nip access-list A\n permit tcp any any portgroup P\n",
         "destination portgroup P"),
        ("ios", "object-group network W\n{0}host 192.0.2.1\n{0}no host 192.0.2.1\nip access-list extended A\n"
                " permit ip object-group W any\n", "source object-group W"),
    ],
)  # fmt: skip
def test_a_group_with_a_member_that_is_removed_is_not_certain(
    platform: str, text: str, condition: str, indent: str
) -> None:
    found = registry.parse_one(platform, text.format(indent))
    assert (found.opaque, found.aces[0].conditions) == ((), (condition,))
    assert (found.aces[0].source, found.aces[0].destination_ports) == (None, None)


@pytest.mark.parametrize(
    "later", ["name 10.1.1.2 web\n", "no name 10.1.1.1\n", "no name 10.1.1.1 web\n", "clear configure name\n"]
)
def test_an_asa_name_with_two_addresses_or_none_is_not_certain(later: str) -> None:
    text = f"name 10.1.1.1 web\naccess-list A extended permit ip host web any\n{later}"
    assert registry.parse_one("asa", text).aces[0].conditions == ("source host web",)


def test_an_asa_name_given_twice_alike_is_certain() -> None:
    text = "name 10.1.1.1 web\nname 10.1.1.1 web description again\naccess-list A extended permit ip host web any\n"
    found = registry.parse_one("asa", text).aces[0]
    assert found.conditions == ()
    assert found.source is not None
