"""Related conversations: those of a control session, and nothing else between the same hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, ingest, related
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, arrow_schema

MINUTE = 60_000_000


def row(
    client: str,
    server: str,
    port: int,
    start: int = 0,
    protocol: int = 6,
    kind: str = "unicast",
    client_port: int = 40000,
) -> Any:
    made = {"start_us": start, "end_us": start + 1_000_000, "protocol": protocol, "client_port": client_port, "server_port": port,
            "packets_out": 3, "bytes_out": 300, "packets_in": 3, "bytes_in": 300, "answered": True, "method": 9, "confidence": 0.5,
            "class": kind, "exporter": "e", "sampling": 1, "source": "0" * 16}  # fmt: skip
    made["client_hi"], made["client_lo"] = address.columns_of(client)
    made["server_hi"], made["server_lo"] = address.columns_of(server)
    return made


def marked(*rows: Any) -> set[tuple[str, str, int, str]]:
    found = related.find_related(pa.Table.from_pylist(list(rows), schema=arrow_schema(CONNECTIONS)))
    texts = {pair: [address.text_of(*address.columns_of_int(*end)) for end in pair[:2]] for pair in found}
    return {(*texts[pair], pair[3], name) for pair, name in found.items()}


A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def test_data_of_ftp_both_ways_and_not_of_others() -> None:
    made = marked(
        row(A, B, 21), row(A, B, 50001, 2 * MINUTE), row(B, A, 50002, MINUTE, client_port=20),
        row(A, C, 50003, MINUTE), row(A, B, 8443, MINUTE),
        row(A, B, 50004, 20 * MINUTE), row(A, B, 50005, -MINUTE), row(A, B, 50006, MINUTE, 17),
    )  # fmt: skip
    assert made == {(A, B, 50001, "ftp"), (B, A, 50002, "ftp")}


@pytest.mark.parametrize(
    ("control", "other", "name"),
    [
        (row(A, B, 135), row(A, B, 49152, MINUTE), "dce-rpc"),
        (row(A, B, 111, protocol=17), row(A, B, 33000, MINUTE), "sunrpc"),
        (row(A, B, 5060, protocol=17), row(B, A, 17000, MINUTE, 17), "sip"),
        (row(A, B, 69, protocol=17), row(B, A, 40000, MINUTE, 17, client_port=2000), "tftp"),
        (row(A, B, 69, protocol=17), row(A, B, 2000, MINUTE, 17), "tftp"),
        (row(A, B, 104), row(B, A, 11115, MINUTE), "dicom"),
        (row(A, "239.255.255.250", 1900, protocol=17, kind="multicast", client_port=50000), row(B, A, 50000, MINUTE, 17), "ssdp"),
    ],
)  # fmt: skip
def test_protocols_with_dynamic_ports(control: Any, other: Any, name: str) -> None:
    assert {each[3] for each in marked(control, other)} == {name}
    assert marked(other) == set()


def test_a_transfer_of_tftp_keeps_the_port_of_its_request() -> None:
    other = row(A, B, 2000, MINUTE, 17, client_port=40001)
    assert marked(row(A, B, 69, protocol=17), other, row(B, A, 41000, MINUTE, 17)) == set()


def test_a_conversation_that_also_happens_alone_is_not_related() -> None:
    assert marked(row(A, B, 21), row(A, B, 50001, MINUTE), row(A, B, 50001, 60 * MINUTE)) == set()


def test_bootstrap_traffic_is_recognised() -> None:
    assert [related.bootstrap(17, 67), related.bootstrap(17, 547), related.bootstrap(58, 135 * 256), related.bootstrap(6, 67)] == [
        "dhcp", "dhcpv6", "neighbour-discovery", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("suricata-ftp-ftp-download-active-input.pcap", "ftp"),
        ("zeek-ftp-ipv4.pcap", "ftp"),
        ("zeek-dce-rpc-mapi.pcap", "dce-rpc"),
        ("suricata-output-eve-tftp-01-input.pcap", "tftp"),
        ("zeek-rpc-portmap-sadmind.pcap", "sunrpc"),
    ],
)
def test_public_captures_have_their_related_conversations(
    corpora: Path, tmp_path: Path, name: str, control: str
) -> None:
    ingest.ingest([corpora / "flow-data" / "it" / name], tmp_path)
    found = related.related_in(tmp_path)
    assert found and set(found.values()) == {control}
    rows = related.related_rows(tmp_path)
    assert len(rows) == len(found) and related.related_rows(
        tmp_path, client=rows[0]["client"], server=rows[0]["server"]
    )
    assert related.related_rows(tmp_path, client="192.0.2.0/30") == []
