"""Entries as people write them in YAML."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.entries import ace_from_dict
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED


@pytest.mark.parametrize(
    ("value", "ace"),
    [
        ({"action": "permit"}, Ace(True)),
        ({"permit": False, "protocol": "IP", "source": "any"}, Ace(False)),
        (
            {"action": "permit", "protocol": "tcp", "destination": "10.0.0.1", "destination_ports": 443},
            Ace(True, 6, destination=IntervalSet.of(0x0A000001), destination_ports=IntervalSet.of(443)),
        ),
        (
            {"action": "permit", "protocol": "tcp", "destination_ports": ["22", "80-81"], "established": True},
            Ace(True, 6, destination_ports=IntervalSet.of(22, (80, 81)), detail=ESTABLISHED),
        ),
        (
            {"action": "deny", "protocol": "icmp", "icmp": ["3/4", 8]},
            Ace(False, 1, detail=IntervalSet.of(772, (2048, 2303))),
        ),
        (
            {"action": "permit", "protocol": "icmp", "family": 6, "icmp": "135"},
            Ace(True, 58, 6, detail=IntervalSet.of((34560, 34815))),
        ),
        (
            {"action": "permit", "protocol": 17, "source": ["2001:db8::/127", "2001:db8::9-2001:db8::a"]},
            Ace(
                True,
                17,
                6,
                source=IntervalSet.of(
                    (0x20010DB8 << 96, (0x20010DB8 << 96) + 1), ((0x20010DB8 << 96) + 9, (0x20010DB8 << 96) + 10)
                ),
            ),
        ),
        (
            {"action": "permit", "protocol": "tcp", "tcp_flags": ["syn", "syn+ack", "none"]},
            Ace(True, 6, detail=IntervalSet.of(2, 18, 0)),
        ),
    ],
)
def test_read(value: dict[str, Any], ace: Ace) -> None:
    assert ace_from_dict(value).meaning() == ace.meaning()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"action": "allow"},
        {"action": "permit", "permit": True},
        {"permit": "yes"},
        {"permit": True, "port": 5},
        "permit ip any any",
        None,
        {"permit": True, "source": "10.0.0.1", "destination": "::1"},
        {"permit": True, "source": "10.0.0.1/8"},
        {"permit": True, "source": []},
        {"permit": True, "protocol": "nope"},
        {"permit": True, "protocol": 256},
        {"permit": True, "protocol": "tcp", "destination_ports": 70000},
        {"permit": True, "protocol": "tcp", "destination_ports": "a"},
        {"permit": True, "established": True},
        {"permit": True, "protocol": "tcp", "icmp": "8"},
        {"permit": True, "protocol": "icmp", "icmp": "300"},
        {"permit": True, "protocol": "tcp", "tcp_flags": "fun"},
        {"permit": True, "source": ["any", "10.0.0.1"]},
        {"permit": True, "family": 5},
        {"permit": True, "protocol": "tcp", "destination_ports": "9-1"},
    ],
)
def test_refused(value: Any) -> None:
    with pytest.raises(FindingError, match="SW1211"):
        ace_from_dict(value)


@pytest.mark.parametrize("name", ["fragments", "established", "inactive", "log"])
@pytest.mark.parametrize("value", ["true", "no", "yes", 1, 0, []])
def test_a_text_is_no_truth_value(name: str, value: object) -> None:
    """``fragments: "true"`` that counted as false would permit every packet; ``established: "no"`` counted as true."""
    with pytest.raises(FindingError, match=f"SW1211.*{name} is not true or false"):
        ace_from_dict({"permit": True, "protocol": "tcp", name: value})


def test_one_remark_is_one_remark() -> None:
    ace = ace_from_dict({"permit": True, "remarks": "pumps", "conditions": "time-range NIGHT"})
    assert (ace.remarks, ace.conditions) == (("pumps",), ("time-range NIGHT",))
