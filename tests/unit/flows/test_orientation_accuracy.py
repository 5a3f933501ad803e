"""Who opened, on public captures reduced to what exporters send (tests/corpora/orientation.py prints the table)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import record_table
from tests.corpora import orientation
from tests.unit.flows.oriented import oriented_rows

# Percent right of TCP, as stated in facts/flows.md section 5: OT and IT at least so. IoT: the 100.0 there are of 8,350 connections, of
# which the captures kept hold 473; one wrong (two high ports, one conversation, the same millisecond) is 99.8, two of 62 sampled are 96.8.
FLOOR = {**orientation.STATED, **{("IoT", each): 99.8 for each in orientation.VARIANTS}, ("IoT", "sampled"): 96.8}


@pytest.mark.parametrize("variant", orientation.VARIANTS)
@pytest.mark.parametrize("group", orientation.GROUPS)
def test_accuracy_by_kind_of_network(corpora: Path, full: bool, group: str, variant: str) -> None:
    if not full and variant in ("missed", "sampled"):
        pytest.skip("in make full; the quick run looks at a part of the captures with and without flags")
    made = orientation.measure(corpora, group, variant, 1 if full else {"OT": 6}.get(group, 8))
    total = made["right"] + made["wrong"]
    assert total > (25 if variant == "sampled" else 20)
    # What is wrong and not marked as a guess could become a rule.
    assert made["wrong"] - made["flagged"] <= 0.01 * total, made
    assert made["dns_wrong"] == 0
    if full:
        assert round(100 * made["right"] / total, 1) >= FLOOR[group, variant], made


def test_the_server_of_active_ftp_dials_from_port_20_to_many_clients() -> None:
    def tables() -> Any:
        server, client = address.columns_of("10.0.0.1"), address.columns_of("10.0.0.2")
        for i in range(6):
            yield record_table(1, {
                "start_us": i, "end_us": i, "source_hi": server[0], "source_lo": server[1], "target_hi": client[0], "target_lo": client[1],
                "protocol": 6, "source_port": 20, "target_port": 40000 + i, "packets": 1, "bytes": 1, "exporter": "e", "source": "0" * 16,
            })  # fmt: skip

    rows = oriented_rows(tables())
    assert len(rows) == 6
    for row in rows:
        server_is_a = row["a_lo"] == address.columns_of("10.0.0.1")[1]
        assert (row["a_is_client"] == server_is_a, row["method"]) == (True, 6)


@pytest.mark.parametrize(
    ("protocol", "client", "server"),
    [(17, 5000, 53), (17, 4712, 123), (6, 5007, 443), (6, 1883, 22), (6, 5000, 502), (6, 4840, 102), (17, 47808, 53), (6, 1025, 20000),
     (6, 49152, 102)],
)  # fmt: skip
def test_a_port_that_systems_of_old_dial_from_is_no_server_though_it_is_on_the_list(
    protocol: int, client: int, server: int
) -> None:
    """One conversation seen from one side, without flags: 5000 is MELSOFT's port, and what a device that counts from 1024 up dials from."""
    (one_hi, one_lo), (other_hi, other_lo) = address.columns_of("10.0.0.1"), address.columns_of("10.0.0.2")
    table = record_table(1, {
        "start_us": 1, "end_us": 1, "source_hi": one_hi, "source_lo": one_lo, "target_hi": other_hi, "target_lo": other_lo,
        "protocol": protocol, "source_port": client, "target_port": server, "packets": 1, "bytes": 1, "exporter": "e", "source": "0" * 16,
    })  # fmt: skip
    (row,) = oriented_rows(iter([table]))
    assert (row["b_port"] if row["a_is_client"] else row["a_port"]) == server
