"""What goes wrong at an import and in a question: nothing is lost or answered beside the point without a word."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim, Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import (
    denied,
    ingest,
    inputs,
    related,
    rollup,
    store,
    threats,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import known_ports, port_name
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.search import service_sql
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import pcap
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_import, run_flow_info
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import history
from tests.unit.flows import packets

DAY = 1_795_392_000
DROP = "Nov 23 10:00:00 {} kernel: {} IN=e0 OUT=e1 SRC=10.0.0.1 DST=10.0.0.9 PROTO=TCP SPT=5000 DPT=502\n"


def values(tmp_path: Path, *paths: Path, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    data_dir = str(tmp_path / "data")
    return {
        "paths": [str(each) for each in paths],
        "data_dir": data_dir,
        "kind": "auto",
        "check_mode": check_mode,
        **more,
    }


def capture(path: Path, client: str = "192.0.2.10", moment: int = DAY) -> Path:
    return packets.write(path, packets.session(moment, client, 40000, "192.0.2.20", 502))


def statuses(result: dict[str, Any]) -> list[str]:
    return [each["status"] for each in result["inputs"]]


def test_an_input_that_told_nothing_by_a_wrong_kind_or_option_is_read_again(tmp_path: Path) -> None:
    first = capture(tmp_path / "a.pcap")
    assert run_flow_import(values(tmp_path, first, kind="eve"))["records"] == 0
    assert statuses(run_flow_import(values(tmp_path, first, kind="eve"))) == ["known"]
    assert run_flow_import(values(tmp_path, first))["connections"] == 1
    assert statuses(run_flow_import(values(tmp_path, first, kind="eve"))) == ["known"], (
        "what told something counts once"
    )
    log = tmp_path / "fw.log"
    log.write_text(DROP.format("fw1", "zone-x:"))
    options = {"year": 2025}
    assert run_flow_import(values(tmp_path, log, source_options=options))["inputs"][0].get("denies", 0) == 0
    options["nftables_prefix"] = "zone"  # type: ignore[assignment]
    assert run_flow_import(values(tmp_path, log, source_options=options))["inputs"][0]["denies"] == 1
    # A mapping that is mended under its name.
    table, mapping = tmp_path / "t.csv", tmp_path / "m.yml"
    table.write_text("s,a,b,p,what\n2026-11-23T10:00:00Z,10.0.0.1,10.0.0.2,tcp,allow\n")
    text = 'kind: flow-mapping\nschema_version: "1.0"\ncolumns: {{start: s, source: a, target: b, protocol: p}}\nonly: {{what: [{}]}}\n'
    named = {"kind": "mapped", "source_options": {"mapping": str(mapping)}}
    mapping.write_text(text.format("permit"))
    assert run_flow_import(values(tmp_path, table, **named))["records"] == 0
    assert statuses(run_flow_import(values(tmp_path, table, **named))) == ["known"]
    mapping.write_text(text.format("allow"))
    assert run_flow_import(values(tmp_path, table, **named))["connections"] == 1


def test_a_file_that_is_rotated_while_it_is_read_is_not_taken_for_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashed as one file and read as the next, the first would be known for good and never counted."""
    live, rotated = capture(tmp_path / "live.pcap"), tmp_path / "rotated.pcap"
    other = capture(tmp_path / "other.pcap", "192.0.2.77")
    tables = pcap.PacketCapture.tables

    def after_a_rotation(self: Any) -> Any:
        if self.path == live and not rotated.exists():
            os.rename(live, rotated)
            capture(live, "192.0.2.11", DAY + 60)
        return tables(self)

    monkeypatch.setattr(pcap.PacketCapture, "tables", after_a_rotation)
    result = run_flow_import(values(tmp_path, live, other))
    assert statuses(result) == ["changed", "imported"] and "failed" not in result
    assert [(each["code"], each["file"]) for each in result["warnings_found"]] == [("SW1426", str(live))]
    assert statuses(run_flow_import(values(tmp_path, live, rotated))) == ["imported", "imported"]
    assert store.rollup(tmp_path / "data").num_rows == 3


def test_a_file_that_only_grows_while_it_is_read_is_taken(tmp_path: Path) -> None:
    log = tmp_path / "fw.log"
    log.write_text(DROP.format("fw1", "drop"))
    made = inputs.identify(log)
    assert made.stands()
    with open(log, "a") as stream:
        stream.write(DROP.format("fw2", "drop"))
    assert made.stands() and made.size < log.stat().st_size
    log.write_text(DROP.format("fw3", "drop") * 2)
    assert not made.stands()
    log.unlink()
    assert not made.stands()


def test_what_cannot_be_read_below_a_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    (folder / "closed").mkdir(parents=True)
    capture(folder / "a.pcap")
    capture(folder / "b.pcap", "192.0.2.11")
    head, walk = inputs._head, os.walk

    def barred(path: Path) -> bytes:
        if path.name == "b.pcap":
            raise PermissionError(13, "Permission denied", str(path))
        return head(path)

    def walked(top: Any, onerror: Any) -> Any:
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))
        return walk(top)

    monkeypatch.setattr(inputs, "_head", barred)
    monkeypatch.setattr(inputs.os, "walk", walked)
    result = run_flow_import(values(tmp_path, folder))
    assert statuses(result) == ["imported"]
    (told,) = result["warnings_found"]
    assert (told["code"], told["file"]) == ("SW1425", str(folder)) and "2 below it, closed" in told["message"]


def test_a_rollup_that_was_removed_is_made_again(tmp_path: Path) -> None:
    frames = packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502)
    frames += packets.session(DAY + 86_400, "192.0.2.10", 40001, "192.0.2.20", 502)
    run_flow_import(values(tmp_path, packets.write(tmp_path / "a.pcap", frames)))
    data = tmp_path / "data"
    before = store.rollup(data)
    path = data / "flows" / "rollup" / "day=2026-11-23" / "rollup.parquet"
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(FindingError, match="SW1422") as caught:
        store.rollup(data)
    assert "remove its folder" in caught.value.findings[0].hint
    path.unlink()
    assert store.rollup(data, "2026-11-24").num_rows == 1 and not path.exists(), "no more than is asked for"
    assert store.rollup(data).equals(before) and store.days_without_rollup(data) == []
    path.unlink()
    next((data / "flows" / "connections" / path.parent.name).glob("*.parquet")).write_bytes(b"PAR1 no more")
    with pytest.raises(FindingError, match="SW1422"):
        store.rollup(data)


def test_options_are_known_or_refused_and_check_mode_tells_what_the_import_would(tmp_path: Path) -> None:
    first, mapping = capture(tmp_path / "a.pcap"), tmp_path / "m.yml"
    mapping.write_text("kind: flow-mapping\ncolumns: {}\n")
    for code, more in (
        ("SW1452", {"source_options": {"utc_ofset": 60}}),
        ("SW1452", {"source_options": {"year": 2025}, "kind": "pcap"}),
        ("SW1463", {"kind": "mapped"}),
        ("SW1463", {"kind": "deny_log", "source_options": {"year": "this"}}),
        ("SW1465", {"kind": "mapped", "source_options": {"mapping": str(mapping)}}),
    ):
        for check_mode in (True, False):
            with pytest.raises(FindingError) as caught:
                run_flow_import(values(tmp_path, first, check_mode=check_mode, **more))
            assert caught.value.findings[0].code == code
    run_flow_import(values(tmp_path, first))
    threats = tmp_path / "threats.csv"
    threats.write_text("address,valid_from\n203.0.113.0/24,2026-01-01\n")
    asked = values(tmp_path, first, threat_lists=[str(threats)])
    for changes in (True, False):
        planned = run_flow_import({**asked, "check_mode": True})
        done = run_flow_import(asked)
        assert planned["changed"] is done["changed"] is changes
        assert planned["threats"]["indicators"] == done["threats"]["indicators"] == 1


def test_the_host_that_wrote_a_message_is_the_point_whoever_gathered_it(tmp_path: Path) -> None:
    log = tmp_path / "all.log"
    log.write_text(DROP.format("fw1", "drop") + DROP.format("fw2", "drop").replace("10.0.0.1", "10.0.0.2"))
    ingest.ingest([log], tmp_path / "data", exporter="closet-3", options={"year": 2025})
    assert [row["point"] for row in denied.deny_rows(tmp_path / "data")] == ["fw1", "fw2"]
    # A device's own stamp names no host.
    log.write_text(
        "*Nov 23 10:00:00.1 UTC: %SEC-6-IPACCESSLOGP: list A denied tcp 10.0.0.3(1) -> 10.0.0.9(80), 1 packet\n"
    )
    ingest.ingest([log], tmp_path / "data", exporter="sw9", options={"year": 2025, "utc_offset_minutes": 60})
    (row,) = denied.deny_rows(tmp_path / "data", service="http")
    assert (row["point"], row["first"]) == ("sw9", "2025-11-23T10:00:00Z"), "the offset is for times that name no zone"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"since": "yesterday"}, "since is 'yesterday'"),
        ({"since": "2026-11-24", "until": "2026-11-24"}, "nothing lies between"),
        ({"service": "tcp/x"}, "'x' is no port"),
        ({"service": "tcp/70000"}, "70000"),
        ({"protocol": "tpc"}, "protocol 'tpc'"),
        ({"server": "10.0.0.256"}, "10.0.0.256"),
        ({"limit": -1}, "limit"),
    ],
)
def test_a_question_that_cannot_be_answered_is_a_finding(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(FindingError) as caught:
        run_flow_info({"data_dir": str(tmp_path), **asked})
    (found,) = caught.value.findings
    assert found.code == "SW1496" and message in found.message and found.hint


def test_each_port_of_the_list_has_one_name_of_its_own() -> None:
    assert (port_name(6, 80), port_name(6, 79), port_name(6, 993), port_name(6, 111)) == (
        "http",
        "finger",
        "imaps",
        "sunrpc",
    )
    assert "server_port = 80)" in service_sql("http")
    assert [each.name for each in known_ports() if "," in each.name.partition("(")[0]] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), "SW1427"),
        (store.duckdb.IOException('Could not write to file ".spill-7/x": No space left on device'), "SW1427"),
        (store.duckdb.OutOfMemoryException("failed to pin block"), "SW1427"),
        (FileNotFoundError(2, "No such file or directory", "x.1.parquet"), "SW1429"),
        (store.duckdb.IOException('No files found that match the pattern "x.1.parquet"'), "SW1429"),
        (OSError(5, "Input/output error"), "SW1422"),
        (store.duckdb.InvalidInputException("No magic bytes found"), "SW1422"),
    ],
)
def test_a_full_disk_is_not_taken_for_a_damaged_store(error: Exception, code: str) -> None:
    """Who believes that connections are damaged removes them."""
    assert store.fault(error, "a day").findings[0].code == code


def test_a_disk_that_is_full_when_a_day_is_summed_leaves_the_day_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: Any, **_options: Any) -> int:
        raise OSError(28, "No space left on device")

    first = capture(tmp_path / "a.pcap")
    with monkeypatch.context() as patched:
        patched.setattr(rollup.store, "write_table", fails)
        with pytest.raises(FindingError, match="SW1427"):
            run_flow_import(values(tmp_path, first))
    assert statuses(run_flow_import(values(tmp_path, first))) == ["known"]
    assert store.rollup(tmp_path / "data").num_rows == 1


def test_one_clock_that_is_wrong_does_not_hide_what_all_others_saw(tmp_path: Path) -> None:
    """A capture of 1970 took the days that learning tells apart, and one of 2096 was all that the last 30 days held."""
    data = tmp_path / "data"
    today = int(utc_now().timestamp()) // 86_400 * 86_400
    frames = [
        each
        for day in range(5)
        for each in packets.session(today - day * 86_400, "192.0.2.10", 40_000 + day, "192.0.2.20", 502)
    ]
    packets.write(tmp_path / "a.pcap", sorted(frames))
    assert run_flow_import(values(tmp_path, tmp_path / "a.pcap"))["warnings_found"] == []
    for name, moment in (("unset", 5), ("ahead", 4_000_000_000)):
        (told,) = run_flow_import(values(tmp_path, capture(tmp_path / f"{name}.pcap", "192.0.2.99", moment)))[
            "warnings_found"
        ]
        assert (told["code"], told["file"]) == ("SW1428", str(tmp_path / f"{name}.pcap"))
    newest = store.newest(store.rollup_days(data))
    assert newest is not None and history.window(data, 3) == newest - timedelta(days=2) < utc_now().date()
    until = today * 1_000_000
    seen = [
        Observation(f"02:00:00:00:00:0{n}", {}, (AddressClaim(f"192.0.2.{n}0", 0, until),), "dhcp", until, 0.9)
        for n in (1, 2)
    ]
    storage.write(merge(seen), data)
    members = {f"02:00:00:00:00:0{n}": f"segment-{n}" for n in (1, 2)}
    made, _noise = history.recorded_evidence(data, members=members)
    (found,) = [seen for key, seen in made.candidates.items() if key.server_port == 502]
    assert len(found.days) == 5


def test_an_empty_path_is_no_folder_and_the_store_no_input_of_a_folder_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a variable that nobody set was the working directory, with all that lay in it."""
    monkeypatch.chdir(tmp_path)
    capture(tmp_path / "a.pcap")
    spool = tmp_path / "data" / "flows" / "spool"
    spool.mkdir(parents=True)
    heard = capture(spool / "listen-1-2055.pcap", "192.0.2.11")
    asked = {**values(tmp_path), "paths": [" "]}
    for check_mode in (True, False):
        result = run_flow_import({**asked, "check_mode": check_mode})
        assert result["failed"] and result["inputs"] == [] and [each["code"] for each in result["errors"]] == ["SW1401"]
    assert "check the path" in result["msg"], "the message has the remedy"
    assert [Path(each["path"]).name for each in run_flow_import(values(tmp_path, tmp_path))["inputs"]] == ["a.pcap"]
    assert [Path(each["path"]).name for each in run_flow_import(values(tmp_path, heard.parent))["inputs"]] == [
        heard.name
    ]


def test_a_threat_list_of_which_nothing_can_be_used_takes_the_place_of_none(tmp_path: Path) -> None:
    """Its dates in another form, it would leave nobody threat-listed, and their traffic would be evidence."""
    threat_list = tmp_path / "threats.csv"
    asked = values(tmp_path, threat_lists=[str(threat_list)])
    threat_list.write_text("# of today\naddress,valid_from\n203.0.113.7,2026-01-01\n203.0.113.8,01.02.2026\n")
    result = run_flow_import(asked)
    assert result["threats"]["indicators"] == 1
    assert [(each["code"], each["line"]) for each in result["warnings_found"]] == [("SW1472", 4)]
    threat_list.write_text("address,valid_from\n203.0.113.7,01.01.2026\n203.0.113.8,01.02.2026\n")
    for check_mode in (True, False):
        with pytest.raises(FindingError) as caught:
            run_flow_import({**asked, "check_mode": check_mode})
        (found,) = caught.value.findings
        assert (found.code, found.line) == ("SW1471", 2)
    assert [each.network for each in threats.known_threats(tmp_path / "data")] == ["203.0.113.7/32"]


def test_a_line_that_cannot_be_used_is_named_by_what_is_wrong_in_it(tmp_path: Path) -> None:
    fields = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "orig_pkts", "resp_pkts")
    good = ["1763892000.5", "10.0.0.1", "40000", "10.0.0.2", "502", "tcp", "3", "2"]
    wrong = {"id.resp_h": "10.0.0.999", "id.resp_p": "70000", "resp_pkts": "many"}
    rows = [
        good,
        *([wrong[name] if name == each else value for name, value in zip(fields, good, strict=True)] for each in wrong),
    ]
    log = tmp_path / "conn.log"
    log.write_text(
        "#path\tconn\n#fields\t" + "\t".join(fields) + "\n" + "".join("\t".join(each) + "\n" for each in rows)
    )
    found = {each["line"]: each["message"] for each in run_flow_import(values(tmp_path, log))["warnings_found"]}
    assert {line: value in found[line] for line, value in zip((4, 5, 6), wrong.values(), strict=True)} == {
        4: True,
        5: True,
        6: True,
    }


def test_a_title_that_names_a_wanted_column_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant would be a guess, and the wrong one another device's traffic."""
    table, mapping = tmp_path / "t.csv", tmp_path / "m.yml"
    table.write_text("s,ip,ip,b,p\n2026-11-23T10:00:00Z,10.0.0.1,10.0.0.9,10.0.0.2,tcp\n")
    mapping.write_text(
        'kind: flow-mapping\nschema_version: "1.0"\ncolumns: {start: s, source: ip, target: b, protocol: p}\n'
    )
    result = run_flow_import(values(tmp_path, table, kind="mapped", source_options={"mapping": str(mapping)}))
    assert statuses(result) == ["failed"] and "'ip' twice" in result["msg"] and result["errors"][0]["line"] == 1


def test_related_conversations_stay_so_once_their_connections_are_gone(tmp_path: Path) -> None:
    """Their dynamic ports were candidates for rules as soon as the last connection was past its retention."""
    frames = []
    for day in range(4):
        moment = DAY + (day - 10) * 86_400
        frames += packets.session(moment, "192.0.2.10", 40_000, "192.0.2.20", 21)
        frames += packets.session(moment + 10, "192.0.2.10", 40_001, "192.0.2.20", 50_123)
        # Not related: before the control session, and without one.
        frames += packets.session(moment - 20, "192.0.2.10", 40_002, "192.0.2.20", 50_200)
        frames += packets.session(moment + 10, "192.0.2.11", 40_003, "192.0.2.20", 50_123)
    frames += packets.session(DAY - 2 * 86_400, "192.0.2.10", 40_000, "192.0.2.99", 443)
    path = packets.write(tmp_path / "a.pcap", sorted(frames))
    run_flow_import(values(tmp_path, path))
    before = related.related_rows(tmp_path / "data")
    assert [(each["client"], each["server_port"], each["control"]) for each in before] == [
        ("192.0.2.10", 50_123, "ftp")
    ]
    assert len(run_flow_import(values(tmp_path, retention_days=1))["expired"]["days"]) >= 4
    assert related.related_rows(tmp_path / "data") == before
    assert related.related_rows(tmp_path / "data", since="2026-11-20") == []


def test_a_users_module_that_raises_does_not_stop_the_import_of_others(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "flow-sources.md").read_text(encoding="utf-8")
    example = next(each for each in re.findall(r"(?s)```python\n(.*?)```", text) if "KIND" in each)
    (tmp_path / "gateway.py").write_text(
        example.replace("(ValueError, KeyError)", "ZeroDivisionError"), encoding="utf-8"
    )
    (tmp_path / "x.gateway").write_text("no such line\n")
    asked = values(
        tmp_path, tmp_path / "x.gateway", capture(tmp_path / "a.pcap"), source_plugins=[str(tmp_path / "gateway.py")]
    )
    result = run_flow_import(asked)
    assert statuses(result) == ["failed", "imported"] and result["connections"] == 1
    assert [(each["code"], each["file"]) for each in result["errors"]] == [("SW1451", str(tmp_path / "x.gateway"))]
