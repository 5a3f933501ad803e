"""What the actions and lookups return, and orienting the store again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import known_ports, port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.reorientation import rebuild
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import (
    flow_rows,
    run_flow_import,
    run_flow_info,
)
from tests.unit.flows import packets

DAY = 1_795_392_000


def values(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "paths": [str(tmp_path / "in")],
        "data_dir": str(tmp_path / "d"),
        "kind": "auto",
        "check_mode": False,
        **more,
    }


def capture(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    frames = packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502)
    frames += packets.session(DAY + 90_000, "192.0.2.11", 40000, "192.0.2.20", 443)
    return packets.write(tmp_path / "in" / "a.pcap", frames)


def test_check_mode_says_what_would_be_read_and_writes_nothing(tmp_path: Path) -> None:
    capture(tmp_path)
    result = run_flow_import(values(tmp_path, check_mode=True))
    assert (result["changed"], [each["status"] for each in result["inputs"]]) == (True, ["new"])
    assert not (tmp_path / "d").exists()
    assert run_flow_import(values(tmp_path))["days"] == ["2026-11-23", "2026-11-24"]
    again = run_flow_import(values(tmp_path, check_mode=True))
    assert (again["changed"], [each["status"] for each in again["inputs"]]) == (False, ["known"])


def test_an_input_that_cannot_be_read_fails_the_task_and_names_it(tmp_path: Path) -> None:
    capture(tmp_path)
    result = run_flow_import(values(tmp_path, paths=[str(tmp_path / "in"), str(tmp_path / "gone.pcap")]))
    assert result["failed"]
    assert "SW1401" in result["msg"]
    assert result["connections"] == 2


def test_info_counts_and_filters_by_day(tmp_path: Path) -> None:
    capture(tmp_path)
    run_flow_import(values(tmp_path))
    whole = run_flow_info({"data_dir": str(tmp_path / "d")})
    assert whole["counts"]["flows"] == whole["counts"]["answered_flows"] == 2
    assert whole["counts"]["packets"] == 12
    assert [each["day"] for each in whole["days"]] == ["2026-11-23", "2026-11-24"]
    assert (whole["methods"], whole["classes"]) == ({"1": 2}, {"unicast": 2})
    assert whole["first"] == "2026-11-23T00:00:00Z"
    later = run_flow_info({"data_dir": str(tmp_path / "d"), "since": "2026-11-24", "top": 5})
    assert [each["service"] for each in later["top_talkers"]] == ["https"]
    empty = run_flow_info({"data_dir": str(tmp_path / "none")})
    assert (empty["counts"]["flows"], empty["top_talkers"], empty["first"]) == (0, [], "")


def test_rows_by_client_server_protocol_and_port(tmp_path: Path) -> None:
    capture(tmp_path)
    run_flow_import(values(tmp_path))
    data_dir = tmp_path / "d"
    assert [row["server_port"] for row in flow_rows(data_dir)] == [502, 443]
    assert [row["client"] for row in flow_rows(data_dir, server="192.0.2.16/28", protocol="tcp", port=502)] == [
        "192.0.2.10"
    ]
    assert flow_rows(data_dir, client="192.0.2.10", until="2026-11-23") == []
    assert flow_rows(data_dir, protocol="17") == []
    assert {row["client_binding"] for row in flow_rows(data_dir, bind=True)} == {"unknown"}
    for wrong in ({"client": "192.0.2.0/24 OR true"}, {"protocol": "tcp OR 1"}, {"since": "yesterday"}):
        with pytest.raises(ValueError, match=r"."):
            flow_rows(data_dir, **wrong)


def test_a_damaged_store_is_a_finding(tmp_path: Path) -> None:
    capture(tmp_path)
    run_flow_import(values(tmp_path))
    path = next((tmp_path / "d" / "flows" / "rollup").glob("day=*/rollup.parquet"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FindingError, match="SW1422"):
        run_flow_info({"data_dir": str(tmp_path / "d")})


def test_what_a_later_import_proves_turns_earlier_guesses_round(tmp_path: Path) -> None:
    late = packets.tcp("192.0.2.10", 1500, "192.0.2.20", 7777, packets.ACK)
    guess = packets.write(tmp_path / "guess.pcap", [(DAY, packets.frame(late))])
    proof = packets.write(tmp_path / "proof.pcap", packets.session(DAY + 5, "192.0.2.11", 5001, "192.0.2.20", 7777))
    ingest([guess], tmp_path / "d")
    before = flow_rows(tmp_path / "d")
    assert [(row["client"], row["server_port"], row["method"], row["answered_flows"]) for row in before] == [
        ("192.0.2.20", 1500, 9, 1)
    ]
    ingest([proof], tmp_path / "d")
    assert rebuild(tmp_path / "d")[0] == 1
    after = [(row["client"], row["server"], row["server_port"], row["method"]) for row in flow_rows(tmp_path / "d")]
    assert after == [("192.0.2.10", "192.0.2.20", 7777, 3), ("192.0.2.11", "192.0.2.20", 7777, 1)]
    table = store.connections(tmp_path / "d").to_pylist()
    assert [(row["packets_out"], row["packets_in"], row["answered"]) for row in table] == [(1, 0, False), (4, 2, True)]
    assert rebuild(tmp_path / "d") == (0, [])


def test_a_guess_that_runs_over_midnight_is_turned_round_on_both_days(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(
        'kind: flow-mapping\nschema_version: "1.0"\nformat: csv\ncolumns: {start: s, end: e, source: a, target: b, protocol: p,'
        " source_port: c, target_port: d}\ntime: {unit: s}\n"
    )
    (tmp_path / "t.csv").write_text(
        f"s,e,a,b,p,c,d\n{DAY + 86_000},{DAY + 87_000},192.0.2.10,192.0.2.20,tcp,1500,7777\n"
    )
    ingest([tmp_path / "t.csv"], tmp_path / "d", kind="mapped", options={"mapping": str(tmp_path / "m.yml")})
    before = [(row["day"], row["client"], row["server_port"]) for row in flow_rows(tmp_path / "d")]
    assert before == [("2026-11-23", "192.0.2.20", 1500), ("2026-11-24", "192.0.2.20", 1500)]
    proof = packets.write(tmp_path / "proof.pcap", packets.session(DAY + 5, "192.0.2.11", 5001, "192.0.2.20", 7777))
    ingest([proof], tmp_path / "d")
    turned, days = rebuild(tmp_path / "d")
    assert (turned, [each.isoformat() for each in days]) == (1, ["2026-11-23", "2026-11-24"])
    after = [(row["day"], row["client"], row["server_port"]) for row in flow_rows(tmp_path / "d", client="192.0.2.10")]
    assert after == [("2026-11-23", "192.0.2.10", 7777), ("2026-11-24", "192.0.2.10", 7777)]


def test_orienting_the_recorded_hospital_again_changes_nothing_that_is_right(root: Path, tmp_path: Path) -> None:
    source = root / "samples" / "hospital"
    if not (source / "ground-truth.json").exists():
        pytest.skip("no recorded sample in this checkout")
    ingest([source], tmp_path / "d")
    before = flow_rows(tmp_path / "d")
    rebuild(tmp_path / "d")
    names = ("client", "server", "server_port", "protocol", "class", "flows", "answered_flows", "packets", "bytes")
    assert [[row[name] for name in names] for row in flow_rows(tmp_path / "d")] == [
        [row[name] for name in names] for row in before
    ]


def test_the_list_of_ports_names_each_once_and_ot_before_others() -> None:
    keys = [(each.protocol, each.port) for each in known_ports()]
    assert len(keys) == len(set(keys)) > 250
    assert (port_name(6, 502), port_name(17, 47808), port_name(6, 2222)) == ("modbus", "bacnet", "ethernet-ip-io")
    ranks = {(each.protocol, each.port): each.rank for each in known_ports()}
    assert ranks[6, 44818] == ranks[6, 104] == 0 < ranks[6, 1883] < ranks[6, 443]
