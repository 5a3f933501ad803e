"""acl_check with ``replies``: the list of the other direction has to pass the answers, or the gap is named."""

from __future__ import annotations

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import check_result
from tests.unit.dialects.test_classification import walk

FORWARD = (
    "ip access-list extended IN\n permit tcp any host 192.0.2.10 eq 443\n permit udp any host 192.0.2.53 eq domain\n"
)
BACK = """ip access-list extended OUT
 permit tcp host 192.0.2.10 eq 443 any established
 permit udp host 192.0.2.53 eq domain any gt 1023
"""


def test_the_gap_is_named_with_a_conversation_that_fails() -> None:
    found = check_result("ios", FORWARD, replies={"text": BACK})
    assert not found["ok"]
    assert [item["code"] for item in found["errors"]] == ["SW1120"]
    told = found["replies"]
    assert (told["name"], told["complete"], told["certain"], told["truncated"]) == ("OUT", False, True, False)
    assert [box["text"] for box in told["gap"]] == ["udp 192.0.2.53/32 port 53 -> any port 0-1023"]
    from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.text import packet_from_dict

    opener, answer = packet_from_dict(told["opener"]), packet_from_dict(told["answer"])
    assert walk(registry.parse_one("ios", FORWARD).first_match(), opener)[0] == "permit"
    assert walk(registry.parse_one("ios", BACK).first_match(), answer)[0] == "deny"
    assert (opener.source, opener.source_port) == (answer.destination, answer.destination_port)


def test_conversations_may_be_narrowed_to_client_ports() -> None:
    found = check_result("ios", FORWARD, replies={"text": BACK, "client_ports": "1024-65535"})
    assert (found["ok"], found["replies"]["complete"], found["replies"]["gap"]) == (True, True, [])
    pings = FORWARD + " permit icmp any any echo\n"
    found = check_result("ios", pings, replies={"text": BACK, "client_ports": "1024-65535"})
    assert found["replies"]["answer"]["icmp_type"] == 0  # protocols without ports always count


def test_what_a_condition_decides_is_uncertain() -> None:
    found = check_result(
        "ios",
        FORWARD,
        replies={"text": BACK.replace("established", "established time-range WORK"), "client_ports": "2000"},
    )
    told = found["replies"]
    assert (told["complete"], told["certain"], told["gap"]) == (False, False, [])
    assert told["uncertain"]
    assert "may drop" in found["errors"][0]["message"]


def test_a_condition_of_one_name_in_both_lists_is_one_unless_defined_differently() -> None:
    first = FORWARD.replace("eq 443", "eq 443 time-range WORK")
    back = BACK.replace("established", "established time-range WORK").replace(" gt 1023", "")
    hours = "time-range WORK\n periodic weekdays {} to 18:00\n"
    alike = check_result("ios", hours.format("8:00") + first, replies={"text": hours.format("8:00") + back})
    unlike = check_result("ios", hours.format("8:00") + first, replies={"text": hours.format("9:00") + back})
    assert not unlike["replies"]["complete"]
    assert unlike["replies"]["uncertain"]
    # Likewise is not yet told apart from unlike by the check of replies: it claims no more than it knows.
    assert alike["replies"]["gap"] == []


def test_the_reverse_cell_of_a_security_group_list() -> None:
    forward, back = "permit tcp dst eq 443\ndeny ip\n", "permit tcp src eq 443 established\ndeny ip\n"
    assert check_result("sgacl", forward, replies={"text": back})["replies"]["complete"]
    assert not check_result("sgacl", forward, replies={"text": back.replace("443", "80")})["ok"]


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ({"text": "access-list A extended permit ip any any", "platform": "asa"}, "SW1245"),
        ({"text": BACK, "client_ports": "high"}, "SW1211"),
        ({"text": BACK, "client_ports": "9-8"}, "SW1211"),
        ({"text": BACK, "client_ports": "1-70000"}, "SW1211"),
        ({"text": BACK.replace("udp", "foo")}, "SW1203"),
        ({"text": "ip access-list extended B\n permit ip any any\n", "name": "OUT"}, "SW1205"),
    ],
)
def test_what_cannot_be_checked_is_said(replies: dict[str, str], code: str) -> None:
    with pytest.raises(FindingError, match=code):
        check_result("ios", FORWARD, replies=replies)
