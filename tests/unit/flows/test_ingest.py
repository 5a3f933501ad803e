"""Ingestion: once per content, whole or not at all, each conversation once, and the direction the generator knew."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest, survey
from tests.unit.flows import packets

DAY = 1_795_392_000  # 2026-11-23 00:00:00 UTC


def names(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    made = []
    for row in rows:
        ends = address.text_of(row["client_hi"], row["client_lo"]), address.text_of(row["server_hi"], row["server_lo"])
        made.append((*ends, row["protocol"], row["server_port"], row["class"]))
    return made


def content(data_dir: Path) -> tuple[list[Any], list[Any]]:
    return store.connections(data_dir).to_pylist(), store.rollup(data_dir).to_pylist()


def one(data_dir: Path, *frames: tuple[float, bytes]) -> dict[str, Any]:
    """Return the only connection of a capture."""
    shutil.rmtree(data_dir, ignore_errors=True)
    ingest([packets.write(data_dir.with_suffix(".pcap"), frames)], data_dir)
    rows = store.connections(data_dir).to_pylist()
    assert len(rows) == 1, rows
    return rows[0]


def test_one_session_in_numbers(tmp_path: Path) -> None:
    row = one(tmp_path / "d", *packets.session(DAY + 60, "192.0.2.10", 40000, "192.0.2.20", 502))
    assert names([row]) == [("192.0.2.10", "192.0.2.20", 6, 502, "unicast")]
    assert (row["client_port"], row["packets_out"], row["packets_in"]) == (40000, 4, 2)
    assert (row["bytes_out"], row["bytes_in"]) == (4 * 40 + 5, 2 * 40 + 5)
    assert (row["start_us"], row["end_us"]) == ((DAY + 60) * 1_000_000, (DAY + 60) * 1_000_000 + 5000)
    assert (row["answered"], row["method"], row["confidence"], row["sampling"]) == (True, 1, 1.0, 1)


def test_a_refused_connection_is_not_answered_and_a_silent_one_neither(tmp_path: Path) -> None:
    syn = packets.frame(packets.tcp("192.0.2.10", 40000, "192.0.2.20", 23, packets.SYN))
    reset = packets.frame(packets.tcp("192.0.2.20", 23, "192.0.2.10", 40000, packets.RST | packets.ACK))
    row = one(tmp_path / "d", (DAY, syn), (DAY + 1, reset))
    assert (row["answered"], row["packets_in"]) == (False, 1)
    assert one(tmp_path / "d", (DAY, syn), (DAY + 3, syn))["packets_out"] == 2


def test_a_tuple_used_again_is_a_new_connection_and_a_repeated_syn_is_none(tmp_path: Path) -> None:
    first = packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502, sequence=100)
    again = packets.session(DAY + 5, "192.0.2.10", 40000, "192.0.2.20", 502, sequence=9000)
    repeated = [first[0], (DAY + 0.0005, first[0][1]), *first[1:]]
    ingest([packets.write(tmp_path / "a.pcap", [*repeated, *again])], tmp_path / "d")
    rows = store.connections(tmp_path / "d").to_pylist()
    assert [row["packets_out"] for row in rows] == [5, 4]
    assert store.rollup(tmp_path / "d").to_pylist()[0]["flows"] == 2


def test_vlan_tags_fragments_and_ipv6(tmp_path: Path) -> None:
    whole = packets.udp("2001:db8::1", 50000, "2001:db8::2", 161, b"y" * 24)[40:]
    parts = [
        packets.ip("2001:db8::1", "2001:db8::2", 17, whole[:16], 0, True, 9),
        packets.ip("2001:db8::1", "2001:db8::2", 17, whole[16:], 2, False, 9),
    ]
    row = one(
        tmp_path / "d", (DAY, packets.frame(parts[0], vlans=(10, 20))), (DAY, packets.frame(parts[1], vlans=(10, 20)))
    )
    assert names([row]) == [("2001:db8::1", "2001:db8::2", 17, 161, "unicast")]
    assert row["packets_out"] == 2
    lost = packets.write(tmp_path / "lost.pcap", [(DAY, packets.frame(parts[1]))])
    made = ingest([lost], tmp_path / "lost")
    assert made.connections == 0
    assert {each.code for each in made.findings} == {"SW1403", "SW1408"}


def test_icmp_multicast_broadcast_and_peers(tmp_path: Path) -> None:
    frames = [
        (DAY + 1, packets.frame(packets.icmp("192.0.2.20", "192.0.2.10", 0))),
        (DAY + 2, packets.frame(packets.icmp("192.0.2.10", "192.0.2.20", 8))),
        (DAY + 3, packets.frame(packets.udp("192.0.2.10", 5353, "224.0.0.251", 5353))),
        (DAY + 4, packets.frame(packets.udp("0.0.0.0", 68, "255.255.255.255", 67), broadcast=True)),
        (DAY + 5, packets.frame(packets.udp("192.0.2.10", 47808, "192.0.2.127", 47808), broadcast=True)),
        (DAY + 6, packets.frame(packets.udp("192.0.2.30", 47808, "192.0.2.10", 47808))),
        (DAY + 7, packets.frame(packets.udp("192.0.2.10", 47808, "192.0.2.30", 47808))),
    ]
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path / "d")
    assert sorted(names(store.connections(tmp_path / "d").to_pylist())) == [
        ("0.0.0.0", "255.255.255.255", 17, 67, "broadcast"),
        ("192.0.2.10", "192.0.2.127", 17, 47808, "broadcast"),
        ("192.0.2.10", "192.0.2.20", 1, 2048, "unicast"),
        ("192.0.2.10", "224.0.0.251", 17, 5353, "multicast"),
        ("192.0.2.30", "192.0.2.10", 17, 47808, "peer"),
    ]


def udp_pair(moment: float, client: str, client_port: int, server: str, server_port: int) -> list[tuple[float, bytes]]:
    # The reply stands first, as in a capture that began late.
    return [
        (moment, packets.frame(packets.udp(server, server_port, client, client_port))),
        (moment, packets.frame(packets.udp(client, client_port, server, server_port))),
    ]


def directions(tmp_path: Path, frames: list[tuple[float, bytes]], **options: Any) -> dict[tuple[Any, ...], int]:
    data_dir = tmp_path / "directions"
    shutil.rmtree(data_dir, ignore_errors=True)
    ingest([packets.write(tmp_path / "directions.pcap", sorted(frames, key=lambda each: each[0]))], data_dir, **options)
    rows = store.connections(data_dir).to_pylist()
    return {(*name[:2], name[3]): row["method"] for name, row in zip(names(rows), rows)}


def test_each_rule_of_orientation(tmp_path: Path) -> None:
    silent = packets.frame(packets.tcp("192.0.2.10", 40001, "192.0.2.20", 7777, packets.ACK))
    # 3: proved a server by another session; 6: OT port before an IT port; 7: one port above 32768; 9: the lower port.
    proved = [*packets.session(DAY, "192.0.2.11", 5001, "192.0.2.20", 7777), (DAY + 1, silent)]
    assert directions(tmp_path, proved)["192.0.2.10", "192.0.2.20", 7777] == 3
    assert directions(tmp_path, udp_pair(DAY, "192.0.2.10", 1812, "192.0.2.20", 20000)) == {
        ("192.0.2.10", "192.0.2.20", 20000): 6
    }
    assert directions(tmp_path, udp_pair(DAY, "192.0.2.10", 44818, "192.0.2.20", 53)) == {
        ("192.0.2.10", "192.0.2.20", 53): 7
    }
    assert directions(tmp_path, udp_pair(DAY, "192.0.2.10", 40000, "192.0.2.20", 7001)) == {
        ("192.0.2.10", "192.0.2.20", 7001): 7
    }
    assert directions(tmp_path, udp_pair(DAY, "192.0.2.10", 7002, "192.0.2.20", 7001)) == {
        ("192.0.2.10", "192.0.2.20", 7001): 9
    }
    # 5: three peer sockets against one; a high port wins over the low ones that ask it.
    crowd = [each for n in range(3) for each in udp_pair(DAY + n, f"192.0.2.{10 + n}", 7001, "192.0.2.20", 40000)]
    assert set(directions(tmp_path, crowd).values()) == {5}
    assert ("192.0.2.10", "192.0.2.20", 40000) in directions(tmp_path, crowd)
    # 4: the operator says so, against the lower port.
    hint = [{"address": "192.0.2.0/24", "protocol": "udp", "ports": "7002"}]
    assert directions(tmp_path, udp_pair(DAY, "192.0.2.10", 7001, "192.0.2.20", 7002), hints=hint) == {
        ("192.0.2.10", "192.0.2.20", 7002): 4
    }


def test_what_the_store_proved_orients_later_imports(tmp_path: Path) -> None:
    ingest(
        [packets.write(tmp_path / "a.pcap", packets.session(DAY, "192.0.2.11", 5001, "192.0.2.20", 7777))],
        tmp_path / "d",
    )
    late = packets.frame(packets.tcp("192.0.2.20", 7777, "192.0.2.10", 1500, packets.ACK))
    ingest([packets.write(tmp_path / "b.pcap", [(DAY + 90_000, late)])], tmp_path / "d")
    rows = store.connections(tmp_path / "d", since="2026-11-24").to_pylist()
    assert names(rows) == [("192.0.2.10", "192.0.2.20", 6, 7777, "unicast")]
    assert rows[0]["method"] == 3


def test_a_session_over_midnight_is_seen_on_both_days(tmp_path: Path) -> None:
    frames = packets.session(DAY + 86_390, "192.0.2.10", 40000, "192.0.2.20", 502)[:4]
    frames += [
        (DAY + 86_390 + 5 * n, packets.frame(packets.tcp("192.0.2.10", 40000, "192.0.2.20", 502, packets.ACK)))
        for n in range(1, 5)
    ]
    ingest([packets.write(tmp_path / "a.pcap", frames)], tmp_path / "d")
    rows = store.rollup(tmp_path / "d").to_pylist()
    assert [row["day"] for row in rows] == [date(2026, 11, 23), date(2026, 11, 24)]
    assert [row["flows"] for row in rows] == [1, 1]
    assert [row["hours"] for row in rows] == [1 << 23, 1]
    assert sum(row["packets"] for row in rows) == len(frames)
    assert all(row["method"] == 1 for row in rows)


def test_an_input_counts_once_whatever_its_name(root: Path, tmp_path: Path) -> None:
    source = root / "samples" / "hospital"
    if not (source / "clinical.pcap").exists():
        pytest.skip("no recorded sample in this checkout")
    first = ingest([source], tmp_path / "d")
    before = content(tmp_path / "d")
    shutil.copy(source / "clinical.pcap", tmp_path / "other-name.cap")
    again = ingest([source, tmp_path / "other-name.cap"], tmp_path / "d")
    assert first.changed
    assert not again.changed
    assert {each["status"] for each in again.inputs} == {"known"}
    assert content(tmp_path / "d") == before


@pytest.mark.one_python
def test_the_order_and_the_grouping_of_imports_do_not_change_counts(root: Path, tmp_path: Path) -> None:
    source = root / "samples" / "hospital"
    files = sorted(source.glob("*.pcap"))
    if not files:
        pytest.skip("no recorded sample in this checkout")
    ingest(files, tmp_path / "one")
    for path in reversed(files):
        ingest([path], tmp_path / "many")
    keep = (
        "server_port",
        "protocol",
        "class",
        "flows",
        "answered_flows",
        "packets",
        "bytes",
        "first_us",
        "last_us",
        "hours",
    )
    at_once, one_by_one = (
        [{name: row[name] for name in keep} for row in content(tmp_path / each)[1]] for each in ("one", "many")
    )
    assert names(content(tmp_path / "one")[1]) == names(content(tmp_path / "many")[1])
    assert at_once == one_by_one


@pytest.mark.parametrize("what", ["packets", "exports", "both"])
def test_directions_of_the_recorded_hospital_are_those_of_its_generator(root: Path, tmp_path: Path, what: str) -> None:
    """The generator's own record is the oracle. BACnet peers, 47808 at both ends, have no direction in an exporter's millisecond."""
    source = root / "samples" / "hospital"
    if not (source / "ground-truth.json").exists():
        pytest.skip("no recorded sample in this checkout")
    exports = {"acc1-ipfix.pcap", "acc2-netflow-v9.pcap"}
    files = [each for each in source.glob("*.pcap") if what == "both" or (each.name in exports) == (what == "exports")]
    ingest(files, tmp_path / "d")
    rows = store.connections(tmp_path / "d").to_pylist()
    ports = {name: row["client_port"] for name, row in zip(names(rows), rows)}
    seen = {(*name[:4], row["client_port"]): row["class"] for name, row in zip(names(rows), rows)}
    assert ports
    right, wrong, unseen, peers = 0, [], [], 0
    for each in json.loads((source / "ground-truth.json").read_text())["conversations"]:
        protocol = {"tcp": 6, "udp": 17}[each["protocol"]]
        forward = (each["client_address"], each["server_address"], protocol, each["server_port"], each["client_port"])
        backward = (each["server_address"], each["client_address"], protocol, each["client_port"], each["server_port"])
        if forward in seen:
            right += 1
        elif seen.get(backward) == "peer":
            peers += 1
        else:
            (wrong if backward in seen else unseen).append(each)
    assert not wrong
    assert not unseen
    assert peers == 0 or what == "exports"
    assert right + peers > 300
    assert peers <= 8


def test_each_conversation_counts_once_though_two_switches_and_five_taps_saw_it(root: Path, tmp_path: Path) -> None:
    source = root / "samples" / "hospital"
    if not (source / "ground-truth.json").exists():
        pytest.skip("no recorded sample in this checkout")
    ingest([source], tmp_path / "d")
    rows = store.rollup(tmp_path / "d").to_pylist()
    flows = Counter({name[:4]: row["flows"] for name, row in zip(names(rows), rows)})
    truth: Counter[Any] = Counter()
    for each in json.loads((source / "ground-truth.json").read_text())["conversations"]:
        protocol = {"tcp": 6, "udp": 17}[each["protocol"]]
        truth[each["client_address"], each["server_address"], protocol, each["server_port"]] += 1
    for key, count in truth.items():
        # The same two sockets again within minutes are one connection: BACnet and DHCP use one port at the client.
        expected = 1 if key[3] in (47808, 67) else count
        assert flows[key] == expected, key


def brute_rollup(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    made: dict[tuple[Any, ...], dict[str, int]] = {}
    for row, name in zip(rows, names(rows)):
        own = made.setdefault(
            name, {"flows": 0, "answered_flows": 0, "packets": 0, "bytes": 0, "weak_flows": 0, "hours": 0}
        )
        own["flows"] += 1
        own["answered_flows"] += row["answered"]
        own["packets"] += row["packets_out"] + row["packets_in"]
        own["bytes"] += (row["bytes_out"] + row["bytes_in"]) * row["sampling"]
        own["weak_flows"] += row["method"] == 9
        for moment in range(row["start_us"] // 3_600_000_000, row["end_us"] // 3_600_000_000 + 1):
            own["hours"] |= 1 << (moment % 24)
    return made


def test_the_rollup_is_what_counting_by_hand_gives(tmp_path: Path) -> None:
    rng = random.Random(11)
    frames: list[tuple[float, bytes]] = []
    for number in range(300):
        client, server = f"192.0.2.{rng.randrange(1, 6)}", f"192.0.2.{rng.randrange(10, 14)}"
        moment = DAY + rng.randrange(80_000)
        if rng.random() < 0.5:
            frames += packets.session(
                moment, client, 40000 + number, server, rng.choice((502, 102, 80)), sequence=number * 999
            )
        else:
            frames += udp_pair(moment, client, 50000 + number, server, rng.choice((161, 53)))
    ingest([packets.write(tmp_path / "a.pcap", sorted(frames, key=lambda each: each[0]))], tmp_path / "d")
    connections, rollup = content(tmp_path / "d")
    expected = brute_rollup(connections)
    assert len(rollup) == len(expected) > 40
    for row, name in zip(rollup, names(rollup)):
        assert {key: row[key] for key in expected[name]} == expected[name]


KILLED = """
import os, sys
real, left = os.replace, [int(sys.argv[3])]
def replace(source, target):
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
    real(source, target)
    if left[0] == 0.5:
        os._exit(9)
os.replace = replace
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
ingest(sys.argv[1].split(","), sys.argv[2])
print("ended", left[0])
"""


@pytest.mark.one_python
def test_an_import_killed_at_any_write_leaves_all_or_nothing_and_can_be_repeated(
    root: Path, tmp_path: Path, full: bool
) -> None:
    files = []
    for number in range(3):
        frames = packets.session(DAY + number * 86_400, "192.0.2.10", 40000 + number, "192.0.2.20", 502)
        files.append(packets.write(tmp_path / f"{number}.pcap", frames))
    ingest(files, tmp_path / "clean")
    clean = content(tmp_path / "clean")
    environment = {**os.environ, "PYTHONPATH": str(root / "collections")}
    kills = 0
    for number in range(1, 30, 1 if full else 3):
        data_dir = tmp_path / f"killed-{number}"
        command = [sys.executable, "-c", KILLED, ",".join(map(str, files)), str(data_dir), str(number)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        kills += 1
        assert store.connections(data_dir).num_rows in (0, 3)
        seen = content(data_dir)
        assert seen in (([], []), clean)
        ingest(files, data_dir)
        assert content(data_dir) == clean
    assert kills >= (7 if full else 3), "three connection files, the commit, three rollups and the last commit at least"


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with store.writing(tmp_path), pytest.raises(FindingError, match="SW1423"):
        ingest([], tmp_path)


def test_the_survey_writes_nothing_and_names_what_is_no_capture(tmp_path: Path) -> None:
    packets.write(tmp_path / "a.pcap", packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502))
    (tmp_path / "note.txt").write_text("no capture")
    new, listed, findings = survey([tmp_path, tmp_path / "note.txt", tmp_path / "absent*"], tmp_path / "d")
    assert [each.path.name for each in new] == ["a.pcap"]
    assert sorted(each["status"] for each in listed) == ["failed", "new"]
    assert sorted(each.code for each in findings) == ["SW1401", "SW1402"]
    assert not (tmp_path / "d").exists()


def test_of_a_growing_folder_only_what_has_settled_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    names = ("flow.1.pcap", "flow.2.pcap", "old.pcap", "marked.pcap", "young.pcap")
    for number, name in enumerate(names):
        packets.write(folder / name, packets.session(DAY + number, "192.0.2.10", 40000 + number, "192.0.2.20", 502))
    (folder / "marked.pcap.done").touch()
    for name, age in zip(names, (50, 40, 500, 10, 10), strict=True):
        moment = time.time() - age
        os.utime(folder / name, (moment, moment))
    made = ingest([folder], tmp_path / "d", settle=300)
    assert sorted(Path(each["path"]).name for each in made.inputs) == ["flow.1.pcap", "marked.pcap", "old.pcap"]
    assert [(each.code, each.message) for each in made.findings] == [("SW1419", "2 files, flow.2.pcap among them")]
    made = ingest([folder / "*.pcap"], tmp_path / "d", settle=30)
    assert sorted(Path(each["path"]).name for each in made.inputs if each["status"] == "imported") == ["flow.2.pcap"]
    assert ingest([folder / "young.pcap"], tmp_path / "d", settle=300).changed, "what is named is taken"
    only = tmp_path / "only"
    only.mkdir()
    packets.write(only / "a.pcap", packets.session(DAY, "192.0.2.10", 1, "192.0.2.20", 502))
    assert [each.code for each in ingest([only], tmp_path / "d", settle=300).findings] == ["SW1419"]


def test_a_damaged_input_does_not_stop_the_others(tmp_path: Path) -> None:
    good = packets.write(tmp_path / "good.pcap", packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502))
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(good.read_bytes()[:-3] + b"")
    made = ingest([cut, good, tmp_path / "absent.pcap"], tmp_path / "d")
    assert sorted(each.code for each in made.findings) == ["SW1401", "SW1404"]
    assert made.connections == 2
    assert [row["flows"] for row in store.rollup(tmp_path / "d").to_pylist()] == [1], "two views of one session"


@pytest.mark.parametrize(
    "hint",
    [
        {"address": "x", "ports": "1"},
        {"ports": "1"},
        {"address": "192.0.2.1", "ports": "9-1"},
        {"address": "192.0.2.1", "ports": "1", "z": 1},
    ],
)
def test_hints_that_cannot_be_used_are_refused(tmp_path: Path, hint: dict[str, Any]) -> None:
    with pytest.raises(FindingError, match="SW1431"):
        ingest([], tmp_path, hints=[hint])


def test_a_store_of_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    ingest(
        [packets.write(tmp_path / "a.pcap", packets.session(DAY, "192.0.2.10", 40000, "192.0.2.20", 502))],
        tmp_path / "d",
    )
    path = tmp_path / "d" / "flows" / "inputs.json"
    path.write_text(path.read_text().replace('"schema_version": "1.0"', '"schema_version": "2.0"'))
    with pytest.raises(FindingError, match="SW0007"):
        store.connections(tmp_path / "d")
