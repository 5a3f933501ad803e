"""Export datagrams of real devices, decoded here, by tshark and by nfdump."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_pcap, listener, netflow
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from tests.corpora import flow_table

EXPORTER = "192.0.2.1"
pytestmark = pytest.mark.corpora


def groups(corpora: Path) -> list[tuple[str, list[bytes]]]:
    """Return (name, datagrams with templates first) of the vendor groups that hold payloads."""
    made = []
    for path in sorted((corpora / "flow-data" / "exporters").glob("dat-*")):
        files = sorted(path.glob("*.dat"), key=lambda p: ("tpl" not in p.name, p.name)) if path.is_dir() else [path]
        made.append((path.name, [each.read_bytes() for each in files]))
    if not made:
        pytest.skip("no exporter payloads in the corpora")
    return made


def decoded(datagrams: list[bytes]) -> tuple[netflow.Exporter, list[Any]]:
    decoder = netflow.Decoder()
    for each in datagrams:
        decoder.feed(each, EXPORTER)
    decoder.finish()
    tables = list(decoder.tables())
    return decoder.exporters[EXPORTER], tables


@pytest.fixture(scope="module")
def shown(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what tshark prints of each vendor group. It is run once, over all of them, each from an address of its own."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    path = tmp_path_factory.mktemp("vendors") / "all.pcap"
    owners = []
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number, (name, datagrams) in enumerate(groups(corpora), 1):
            for each in datagrams:
                packet = listener.raw_packet(f"192.0.2.{number}", 2055, "198.51.100.2", 2055, each)
                stream.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
                owners.append(name)
    text = flow_table.output("tshark", "-n", "-r", str(path), "-d", "udp.port==2055,cflow", "-V")
    made: dict[str, str] = {}
    frames = re.split(r"^Frame [0-9]+: ", text, flags=re.MULTILINE)[1:]
    for name, frame in zip(owners, frames, strict=True):
        made[name] = made.get(name, "") + frame
    return made


def test_every_vendor_group_gives_as_many_records_as_tshark(corpora: Path, shown: dict[str, str]) -> None:
    faults, total = [], 0
    for name, datagrams in groups(corpora):
        own, _tables = decoded(datagrams)
        ours = own.records + own.option_records + own.no_addresses
        theirs = len(re.findall(r"^ +(?:Flow|pdu) \d+(?: |/|$)", shown[name], re.MULTILINE))
        total += ours
        if ours != theirs:
            faults.append(f"{name}: {ours} here, {theirs} by tshark")
    assert not faults
    assert total >= 400


def test_vendor_records_are_those_of_tshark_field_by_field(corpora: Path, shown: dict[str, str]) -> None:
    compared = 0
    for name, datagrams in groups(corpora):
        _own, tables = decoded(datagrams)
        theirs = flow_table.records_in(shown[name])
        named = [each for each in theirs if "SrcAddr" in each and "DstAddr" in each]
        missing = flow_table.unmatched(theirs, [row for table in tables for row in table.to_pylist()])
        assert not missing, (name, len(missing), missing[0])
        compared += len(named)
    assert compared >= 350


def test_records_of_our_exports_are_those_of_nfdump(corpora: Path) -> None:
    if shutil.which("nfdump") is None:
        pytest.skip("nfdump is not installed")
    compared = 0
    for path in sorted((corpora / "flow-data" / "exporters-made").glob("*/*.pcap")):
        if "biflow" in path.name:
            continue
        stored = next(path.parent.glob("*.nfcapd"))
        text = subprocess.run(
            ["nfdump", "-r", str(stored), "-q", "-o", "json"], capture_output=True, text=True, check=True
        ).stdout
        theirs: Counter[Any] = Counter()
        for each in json.loads(f"[{text.strip().rstrip(',')}]"):
            source, target = each.get("src4_addr") or each["src6_addr"], each.get("dst4_addr") or each["dst6_addr"]
            theirs[
                key(
                    source,
                    target,
                    each["proto"],
                    each.get("src_port", 0),
                    each.get("dst_port", 0),
                    each["in_packets"],
                    each["in_bytes"],
                )
            ] += 1
        source = export_pcap.ExportCapture(path, Templates())
        ours: Counter[Any] = Counter()
        for table in source.tables():
            for row in table.to_pylist():
                ends = [address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("source", "target")]
                ours[
                    key(*ends, row["protocol"], row["source_port"], row["target_port"], row["packets"], row["bytes"])
                ] += 1
        assert ours == theirs, path.name
        compared += 1
    assert compared >= 6


def key(
    source: str, target: str, protocol: int, source_port: int, target_port: int, packets: int, octets: int
) -> tuple[Any, ...]:
    ports = (0, 0) if protocol in (1, 58) else (source_port, target_port)
    return address.columns_of(source), address.columns_of(target), protocol, *ports, packets, octets


def test_templates_after_data_and_after_a_restart_decode_the_same(corpora: Path, tmp_path: Path) -> None:
    checked = 0
    for name, datagrams in groups(corpora):
        if len(datagrams) < 2:
            continue
        first, _tables = decoded(datagrams)
        late, _tables = decoded([*datagrams[1:], datagrams[0]])
        assert (late.records, late.undecoded_sets) == (first.records, first.undecoded_sets), name
        templates = Templates()
        netflow.Decoder(templates).feed(datagrams[0], EXPORTER)
        templates.write(tmp_path / f"{name}.json")
        again = netflow.Decoder(Templates.read(tmp_path / f"{name}.json"))
        for each in datagrams[1:]:
            again.feed(each, EXPORTER)
        again.finish()
        list(again.tables())
        assert again.exporters[EXPORTER].records == first.records - decoded(datagrams[:1])[0].records, name
        checked += 1
    assert checked >= 15


def test_cut_and_flipped_datagrams_never_raise(corpora: Path, full: bool) -> None:
    rng = random.Random(5)
    tried = 0
    for _name, datagrams in groups(corpora):
        for _round in range(200 if full else 8):
            decoder = netflow.Decoder()
            for each in datagrams:
                data = bytearray(each)
                for _flip in range(rng.choice((0, 1, 3, 20))):
                    data[rng.randrange(len(data))] = rng.randrange(256)
                decoder.feed(
                    bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.5 else bytes(data), EXPORTER
                )
            decoder.finish()
            rows = sum(table.num_rows for table in decoder.tables())
            assert rows <= 100_000
            tried += 1
    assert tried >= 200


def test_sampling_is_read_from_options_and_from_the_record(corpora: Path) -> None:
    for folder, expected in (("akvorado-netflow-multiplesamplingrates", {2000, 4000}), ("akvorado-netflow-mpls", {10})):
        path = corpora / "flow-data" / "exporters" / folder
        files = (
            sorted(path.glob("*.pcap"), key=lambda p: ("template" not in p.name, "options" not in p.name, p.name))
            if path.is_dir()
            else [path]
        )
        decoder = netflow.Decoder()
        for each in files:
            for exporter, payload in export_pcap.datagrams(Capture(each), Counter()):
                decoder.feed(payload, exporter)
        rates = {rate for table in decoder.tables() for rate in table.column("sampling").to_pylist()}
        assert rates == expected, folder


def test_captures_of_exports_are_told_from_captures_of_traffic(corpora: Path) -> None:
    data = corpora / "flow-data"
    exports = [*sorted(data.glob("exporters-made/*/*.pcap")), data / "exporters" / "akvorado-netflow-nfv5"]
    traffic = (
        sorted(data.glob("iomt/*.pcap")) + sorted(data.glob("ot-*/*.pcap"))[:40] + sorted(data.glob("it/*.pcap"))[:20]
    )
    assert all(export_pcap.holds_exports(path) for path in exports)
    assert not [path.name for path in traffic if export_pcap.holds_exports(path)]
