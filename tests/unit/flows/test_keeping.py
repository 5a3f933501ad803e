"""What is kept, for how long, what it is worth, and how it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import kept, rollup, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.quality import (
    ceiling_of,
    noted_by_exporter,
    noted_by_interface,
    observed,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.retention import due, expire
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.search import Search
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import (
    flow_rows,
    run_flow_import,
    run_flow_info,
)
from tests.unit.flows import packets
from tests.unit.flows.test_frames import blocks

DAY = 1_795_392_000  # 2026-11-23 00:00:00 UTC
PUMP, PLC = "02:00:00:00:00:01", "02:00:00:00:00:03"
IMPORT: dict[str, Any] = {"kind": "auto", "check_mode": False, "diff_mode": False}


def days_of_traffic(folder: Path, count: int = 4) -> list[Path]:
    """Return one capture for each day, and one of a session that runs over the second midnight."""
    made = []
    for number in range(count):
        frames = []
        for each in range(3):
            moment = DAY + number * 86_400 + 3600 * (each + 1)
            frames += packets.session(moment, f"192.0.2.{10 + each}", 40_000 + each, "192.0.2.20", 502)
        made.append(packets.write(folder / f"day-{number}.pcap", frames))
    late = packets.session(DAY + 2 * 86_400 - 0.002, "192.0.2.10", 41_000, "192.0.2.20", 502)
    return [*made, packets.write(folder / "midnight.pcap", late)]


def test_connections_go_after_their_days_and_the_rollup_stays(tmp_path: Path) -> None:
    ingest(days_of_traffic(tmp_path), tmp_path)
    before = store.rollup(tmp_path).to_pylist()
    days = store.stored_days(tmp_path)
    assert len(days) == 4
    plan = due(tmp_path, 2)
    assert plan.days == tuple(days[:2])
    assert store.stored_days(tmp_path) == days
    gone = expire(tmp_path, 2)
    assert gone.days == plan.days and gone.bytes > 0
    assert store.rollup(tmp_path).to_pylist() == before
    assert store.stored_days(tmp_path) == days[2:]
    # Not even asked for is it made again from what is left, and a second time there is nothing to do.
    rollup.refresh(tmp_path, days)
    assert store.rollup(tmp_path).to_pylist() == before
    assert expire(tmp_path, 2).files == ()
    assert expire(tmp_path, 0).files == ()
    with pytest.raises(FindingError, match="SW1495"):
        expire(tmp_path, -1)


def test_denials_go_with_their_days_and_answers_once_they_cannot_hold(tmp_path: Path) -> None:
    ingest(days_of_traffic(tmp_path), tmp_path)
    source = next(iter(store.read_inputs(tmp_path)["inputs"]))
    columns = {"denies": kept.DENIES, "names": kept.NAMES}
    for kind, days in (("denies", (0, 1, 3)), ("names", (-9, -7, 2))):
        rows = [{"time_us": (DAY + day * 86_400) * 1_000_000} for day in days]
        for row in rows:
            row.update({name: "" if each == "string" else 0 for name, each in columns[kind].items() if name not in row})  # type: ignore[misc]
        kept.write(tmp_path, kind, source, [kept.table_of(kind, rows)])
    plan = due(tmp_path, 2)
    assert [(path.parent.parent.name, path.parent.name) for path in plan.beside] == [
        ("denies", "day=2026-11-23"), ("denies", "day=2026-11-24"), ("names", "day=2026-11-14"), ("names", "day=2026-11-16"),
    ]  # fmt: skip
    assert expire(tmp_path, 2).beside == plan.beside
    assert [kept.read(tmp_path, kind).num_rows for kind in ("denies", "names")] == [1, 1]
    assert due(tmp_path, 2).beside == ()


def test_a_session_that_reaches_into_a_kept_day_is_kept(tmp_path: Path) -> None:
    frames = packets.session(DAY + 3600, "192.0.2.10", 40_000, "192.0.2.20", 502)
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path)
    path = store.connection_files(tmp_path)[store.stored_days(tmp_path)[0]][0]
    row = store.connections(tmp_path).to_pylist()[0]
    row["end_us"] += 2 * 86_400_000_000
    store.write_table(pa.Table.from_pylist([row], store.connections(tmp_path).schema), path, "connections")
    later = [
        each for n in (1, 2) for each in packets.session(DAY + n * 86_400, "192.0.2.11", 40_000 + n, "192.0.2.20", 502)
    ]
    ingest([packets.write(tmp_path / "b.pcap", later)], tmp_path)
    assert due(tmp_path, 2).files == ()
    assert due(tmp_path, 1).files[0].parent.name == "day=2026-11-24"


def test_an_interrupted_expiry_is_ended_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(days_of_traffic(tmp_path), tmp_path)
    before = store.rollup(tmp_path).to_pylist()

    def killed(self: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            expire(tmp_path, 1)
    assert store.rollup(tmp_path).to_pylist() == before
    expire(tmp_path, 1)
    assert len(store.stored_days(tmp_path)) == 1
    assert store.rollup(tmp_path).to_pylist() == before


def test_an_exporter_whose_clock_runs_ahead_makes_nothing_old(tmp_path: Path) -> None:
    """A day that has not come yet is not the store's newest; where there are only such days, as with a clock that stands, it is."""
    ahead = packets.write(
        tmp_path / "ahead.pcap", packets.session(4_000_000_000, "192.0.2.10", 40_000, "192.0.2.20", 502)
    )
    alone, store_dir = tmp_path / "alone", tmp_path / "data"
    ingest([*days_of_traffic(tmp_path), ahead], store_dir)
    days = store.stored_days(store_dir)
    assert days[-1].year == 2096
    assert due(store_dir, 30).files == () and due(store_dir, 30).days == ()
    assert expire(store_dir, 2).days == tuple(day for day in days[:-1] if day <= days[-2] - timedelta(days=2))
    later = packets.write(
        tmp_path / "later.pcap", packets.session(4_000_864_000, "192.0.2.10", 40_000, "192.0.2.20", 502)
    )
    ingest([ahead, later], alone)
    assert len(due(alone, 5).files) == 1


def test_flows_that_come_after_their_days_retention_are_left_out_and_said(tmp_path: Path) -> None:
    captures = days_of_traffic(tmp_path)
    result = run_flow_import(
        {**IMPORT, "paths": [str(c) for c in captures[1:]], "data_dir": str(tmp_path), "retention_days": 1}
    )
    assert result["expired"]["days"] == ["2026-11-24", "2026-11-25"]
    before = store.rollup(tmp_path).to_pylist()
    frames = packets.session(DAY + 86_400 + 60, "192.0.2.99", 40_000, "192.0.2.20", 502)
    late = packets.write(tmp_path / "late.pcap", frames)
    result = run_flow_import({**IMPORT, "paths": [str(late)], "data_dir": str(tmp_path), "retention_days": 1})
    assert [each["code"] for each in result["warnings_found"]] == ["SW1494"]
    assert store.rollup(tmp_path).to_pylist() == before
    check = {**IMPORT, "check_mode": True, "paths": [str(late)], "data_dir": str(tmp_path), "retention_days": 1}
    assert run_flow_import(check)["changed"] is False


def test_what_a_killed_import_left_is_not_the_next_ones(tmp_path: Path) -> None:
    captures = days_of_traffic(tmp_path)
    ingest(captures[:2], tmp_path / "d")
    before = store.connections(tmp_path / "d").to_pylist()
    other = next(iter(store.connection_files(tmp_path / "d").values()))[0]
    stray = other.with_name("00000000deadbeef.parquet")
    stray.write_bytes(other.read_bytes())
    assert store.connections(tmp_path / "d").to_pylist() == before
    ingest([captures[2]], tmp_path / "d")
    assert not stray.exists()


def test_the_ceiling_follows_what_was_noted_and_seen() -> None:
    clean = ceiling_of("a", {"datagrams": 5000, "lost": 0, "sampling": 1}, {"long_flows": 100, "one_sided_flows": 3})
    assert (clean.ceiling, clean.absence, clean.silence, clean.order, clean.reasons) == (1.0, True, True, True, ())
    sampled = ceiling_of("a", {"sampling": 100}, {})
    assert (sampled.ceiling, sampled.absence, sampled.silence, sampled.order) == (0.7, False, False, True)
    lost = ceiling_of("a", {"datagrams": 990, "lost": 10}, {})
    assert (lost.ceiling, lost.absence) == (0.9, False)
    assert ceiling_of("a", {"datagrams": 100_000, "lost": 1}, {}).absence
    one_sided = ceiling_of("a", {}, {"long_flows": 100, "one_sided_flows": 60})
    assert (one_sided.ceiling, one_sided.absence, one_sided.silence) == (0.8, True, False)
    assert ceiling_of("a", {}, {"long_flows": 4, "one_sided_flows": 4}).ceiling == 1.0
    skewed = ceiling_of("a", {}, {"pairs": 50, "later_us": 50 * 9_000_000})
    assert (skewed.order, skewed.reasons) == (False, ("its clock is +9.0 s from that of the others",))
    assert observed([{"day": 1, "exporter": "a", "flows": 2}, {"day": 2, "exporter": "a", "flows": 3}]) == {
        "a": {"flows": 5}
    }


def test_what_interfaces_drop_bounds_them_and_their_exporter() -> None:
    document = {
        "inputs": {
            "a": {
                "quality": {
                    "kind": "pcap",
                    "exporters": {"tap": {"packets": 900, "records": 9}},
                    "interfaces": {
                        "0 eth0": {"packets": 800, "link_type": 1},
                        "1 up#2": {"packets": 100, "dropped": 50},
                    },
                }
            },
            "b": {
                "quality": {
                    "kind": "export_pcap",
                    "exporters": {"192.0.2.1": {"datagrams": 10, "records": 40, "sampling": 8}},
                    "interfaces": {
                        "192.0.2.1#7": {"records": 40, "sampling": 8, "lost": 9},
                        "192.0.2.1#8": {"records": 9},
                    },
                }
            },
        }
    }
    exporters, interfaces = noted_by_exporter(document), noted_by_interface(document)
    assert exporters["tap"]["dropped"] == 50 and "dropped" not in exporters["192.0.2.1"]
    made = {name: ceiling_of(name, noted, {}) for name, noted in {**exporters, **interfaces}.items()}
    assert {name: (each.ceiling, each.absence, each.silence, each.reasons) for name, each in made.items()} == {
        "tap": (0.9, False, False, ("50 of 950 packets were dropped before anybody looked at them",)),
        "tap#0 eth0": (1.0, True, True, ()),
        "tap#1 up#2": (0.9, False, False, ("50 of 150 packets were dropped before anybody looked at them",)),
        "192.0.2.1": (0.7, False, False, ("one packet in 8 is looked at",)),
        "192.0.2.1#7": (0.7, False, False, ("one packet in 8 is looked at", "9 of 49 samples were lost")),
        "192.0.2.1#8": (1.0, True, True, ()),
    }


def test_a_tap_that_dropped_packets_cannot_say_that_nothing_happened(tmp_path: Path) -> None:
    frame = packets.frame(packets.udp("192.0.2.1", 1000, "192.0.2.2", 502))
    frames = [(DAY * 1_000_000 + number, frame) for number in range(8)]
    answers = {}
    for dropped in (0, 5):
        path = tmp_path / f"{dropped}.pcapng"
        path.write_bytes(blocks("<", 6, frames, dropped=dropped))
        ingest([path], tmp_path / str(dropped), exporter="tap-1")
        answers[dropped] = run_flow_info({"data_dir": str(tmp_path / str(dropped)), "top": 0})
    whole, cut = (answers[dropped]["exporters"]["tap-1"] for dropped in (0, 5))
    assert (whole["ceiling"], whole["absence"], whole["silence"]) == (1.0, True, True)
    assert (cut["ceiling"], cut["absence"], cut["silence"], cut["dropped"]) == (0.9, False, False, 5)
    ports = answers[5]["interfaces"]
    assert {name: (each["packets"], each["ceiling"]) for name, each in ports.items()} == {
        "tap-1#0 eth0": (4, 0.9),
        "tap-1#1 any": (4, 1.0),
    }


def test_the_store_tells_one_sided_views_and_clocks(tmp_path: Path) -> None:
    both, half = [], []
    for number in range(30):
        frames = packets.session(DAY + 60 * number, "192.0.2.10", 40_000 + number, "192.0.2.20", 502)
        both += frames
        # The second tap sees the client's side only, with a clock that is three seconds late.
        half += [(moment + 3, frame) for moment, frame in (frames[0], frames[2], frames[3], frames[5])]
    ingest([packets.write(tmp_path / "both.pcap", both)], tmp_path, exporter="tap-1")
    ingest([packets.write(tmp_path / "half.pcap", half)], tmp_path, exporter="tap-2")
    assert store.rollup(tmp_path).to_pylist()[0]["flows"] == 30
    info = run_flow_info({"data_dir": str(tmp_path), "top": 1})
    first, second = info["exporters"]["tap-1"], info["exporters"]["tap-2"]
    assert (first["flows"], first["one_sided_flows"], first["pairs"], first["silence"]) == (30, 0, 30, True)
    assert (second["long_flows"], second["one_sided_flows"], second["pairs"]) == (30, 30, 30)
    assert (second["later_us"] // 30, second["silence"], second["order"]) == (3_000_000, False, False)
    assert second["ceiling"] == 0.8


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A store with a pump and a controller, a register that knows both, and a policy that names their segments."""
    frames = []
    for number in range(6):
        frames += packets.session(DAY + 600 * number, "192.0.2.10", 40_000 + number, "192.0.2.20", 502)
    frames += packets.session(DAY + 4000, "192.0.2.20", 50_000, "198.51.100.7", 443)
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path)
    since, until = DAY * 1_000_000, (DAY + 86_400) * 1_000_000
    claims = {PUMP: "192.0.2.10", PLC: "192.0.2.20"}
    seen = [Observation(d, {}, (AddressClaim(a, since, until),), "dhcp", until, 0.9) for d, a in claims.items()]
    storage.write(merge(seen), tmp_path)
    lock = {"kind": "members", "schema_version": "1.0"}
    lock["segments"] = {"pumps": {"devices": [{"device": PUMP}]}, "plc": {"devices": [{"device": PLC}]}}  # type: ignore[assignment]
    (tmp_path / "members.lock.json").write_text(json.dumps(lock))
    return tmp_path


def test_rows_by_device_segment_service_and_time(site: Path) -> None:
    def found(**asked: Any) -> list[tuple[str, str]]:
        return [(row["client"], row["service"]) for row in flow_rows(site, policy_dir=str(site), **asked)]

    poll, call = ("192.0.2.10", "modbus"), ("192.0.2.20", "https")
    assert found() == [poll, call]
    assert found(device=PLC) == [poll, call]
    assert found(server_device=PLC) == [poll]
    assert found(client_segment="plc") == [call]
    assert found(segment="pumps") == [poll]
    assert found(server_device=PLC.upper().replace(":", "-")) == [poll], "a MAC in another form is the same device"
    with pytest.raises(ValueError, match="no segment 'nothing'"):
        found(segment="nothing")
    with pytest.raises(ValueError, match="no address of a device '02:00:00:00:00:99'"):
        found(client_device="0200.0000.0099")
    with pytest.raises(ValueError, match="has none"):
        flow_rows(site, segment="pumps", policy_dir=str(site / "elsewhere"))
    assert found(service="modbus") == found(service="tcp/502") == found(service="tcp/500-510") == [poll]
    assert found(address="198.51.100.0/24") == [call]
    assert found(binding="unknown") == [call]
    assert found(order="last") == [call, poll]
    assert found(order="flows", limit=1) == [poll]
    assert found(until="2026-11-23") == []
    row = flow_rows(site, policy_dir=str(site), device=PUMP)[0]
    assert (row["client_device"], row["server_segment"], row["client_binding"], row["flows"]) == (
        PUMP,
        "plc",
        "bound",
        6,
    )
    for wrong in (
        {"order": "x"},
        {"limit": -1},
        {"service": "no such"},
        {"protocol": "no such"},
        {"client": "no such"},
    ):
        with pytest.raises(ValueError, match=r"order|limit|service|protocol|no such"):
            flow_rows(site, **wrong)
    assert "o''clock" in Search(device="o'clock").condition()


def test_the_overview_answers_the_same_questions(site: Path) -> None:
    info = run_flow_info(
        {"data_dir": str(site), "top": 1, "service": "modbus", "limit": 5, "bindings": True, "policy_dir": str(site)}
    )
    assert [row["service"] for row in info["rows"]] == ["modbus"]
    assert info["counts"]["flows"] == 7
    assert len(info["top_talkers"]) == 1
    assert {(b["client_binding"], b["server_binding"]): b["flows"] for b in info["bindings"]} == {
        ("bound", "bound"): 6,
        ("bound", "unknown"): 1,
    }


def test_progress_speaks_seldom_and_says_what_is_left() -> None:
    moments = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    said: list[str] = []
    token = progress.SHOW.set(said.append)
    try:
        ahead = progress.Progress("daily rollup", 30, "days", lambda: next(moments))
        for _each in range(4):
            ahead.step(3)
    finally:
        progress.SHOW.reset(token)
    assert said == [
        "daily rollup: 6 of 30 days, 1.0 a second, 24 s left",
        "daily rollup: 12 of 30 days, 1.0 a second, 18 s left",
    ]


def test_the_newest_day_counts_and_not_the_clock(tmp_path: Path) -> None:
    ingest(days_of_traffic(tmp_path), tmp_path)
    days = store.stored_days(tmp_path)
    assert due(tmp_path, 4).days == ()
    assert due(tmp_path, 3).days == (days[-1] - timedelta(days=3),)


def test_the_database_draws_no_progress_of_its_own() -> None:
    code = (
        "import sys; from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store\n"
        "with store.connect() as made: print(made.execute(\"SELECT current_setting('enable_progress_bar')\").fetchone()[0])"
    )
    path = os.pathsep.join(sys.path)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert run.stdout.strip() == "False"


def test_an_import_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    said: list[str] = []
    token = progress.SHOW.set(said.append)
    try:
        ingest(days_of_traffic(tmp_path), tmp_path / "d")
    finally:
        progress.SHOW.reset(token)
    lines = [each for each in said if each.startswith("import: ")]
    assert len(lines) == len(list(tmp_path.glob("*.pcap"))) > 2
    assert lines[-1].split(": ")[1].split(" of ")[0] == lines[-1].split(" of ")[1].split(" ")[0]
    assert any(each.startswith("daily rollup: ") for each in said)
