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
