"""What becomes of every entry of the public flow corpora, beside what tshark, nfdump and plain readers of logs count in it.

``PYTHONPATH=.:collections python -m tests.corpora.flow_table`` prints the table that ``docs/flow-sources.md`` shows (``--write`` puts it
there); the full tests keep it true. An entry is imported, or refused with a located reason; both are counted, nothing is skipped.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import address, ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import listener, registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.frames import Decoder
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import HEAD, Opening
from tests.conftest import corpora_directory

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "flow-sources.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
BINARY = ("pcap", "export_pcap", "nfcapd")
LOGS = ("zeek_conn", "zeek_dns", "argus")
EXPORTER = "192.0.2.1"
DATAGRAMS = "datagrams of vendors' devices"
TOOLS = {
    "pcap": "IP packets, by tshark",
    "export_pcap": "records, by tshark",
    "nfcapd": "records, by nfdump",
    DATAGRAMS: "records, by tshark",
    "zeek_conn": "connections, of rows of IP by a plain reader",
    "zeek_dns": "answers with an address, by a plain reader",
    "argus": "connections, of rows of IP by a plain reader",
}
RECORD = re.compile(r"^ +(?:Flow|pdu) \d+(?: |/|$)", re.MULTILINE)
FIELD = re.compile(r"^ +(SrcAddr|DstAddr|SrcPort|DstPort|Octets|Packets|Protocol): (.*)$", re.MULTILINE)
# Frames whose IP header is there and gives no packet here: cut or broken behind it.
NO_PACKET = ("damaged", "cut", "fragment")


@dataclass
class Row:
    """Figures of one format; ``differ`` names entries where the two counts are not the same, ``refused`` those not imported, with why."""

    entries: int = 0
    imported: int = 0
    ours: int = 0
    theirs: int = 0
    differ: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def entries(corpora: Path) -> list[tuple[str, str, list[Path]]]:
    """Return (format, name, files) of every entry; a vendor's datagrams are one entry, templates first."""
    made = []
    for path in sorted((corpora / "flow-data" / "exporters").glob("dat-*")):
        files = (
            [path]
            if path.is_file()
            else sorted(path.glob("*.dat"), key=lambda each: ("tpl" not in each.name, each.name))
        )
        made.append((DATAGRAMS, path.name, files))
    for path in sorted((corpora / "flow-data").rglob("*")):
        if not path.is_file() or "dat-" in str(path):
            continue
        with path.open("rb") as stream:
            head = stream.read(HEAD)
        kind = registry.kind_of(path, head, registry.BUILT_IN)
        if kind is not None and kind.name in (*BINARY, *LOGS):
            made.append((kind.name, f"{path.parent.name}/{path.name}", [path]))
        elif kind is None and head[:4] == b"\x0a\x0d\x0d\x0a":
            made.append(("pcap", f"{path.parent.name}/{path.name}", [path]))
    return made


def left_alone(corpora: Path) -> list[str]:
    """Return the names of files beside them that hold no flows, such as other logs of Zeek; notes are left out."""
    taken = {path for _form, _name, files in entries(corpora) for path in files}
    beside = (each for each in (corpora / "flow-data").rglob("*") if each.is_file() and each not in taken)
    return sorted({each.name for each in beside if each.suffix not in (".md", ".txt")})


def as_capture(path: Path, files: list[Path]) -> Path:
    """Write datagrams as a capture of raw IP packets."""
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for each in files:
            packet = listener.raw_packet(EXPORTER, 2055, "192.0.2.2", 2055, each.read_bytes())
            stream.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    return path


def output(*command: str) -> str:
    """Return what a tool prints."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"TZ": "UTC", "PATH": "/usr/bin:/bin:/usr/sbin"}
    ).stdout


def dissector(path: Path, name: str) -> str:
    """Return the option of tshark that says what stands behind the port which a capture's first UDP packet goes to."""
    decoder = Decoder()
    for each in Capture(path).frames():
        packets = decoder.packets(each)
        ports = packets.target_port[packets.protocol == 17]
        if len(ports):
            return f"udp.port=={int(ports[0])},{name}"
    return f"udp.port==2055,{name}"


def tshark_records(path: Path) -> list[dict[str, str]]:
    """Return the fields of each record of export datagrams as tshark shows them, each once."""
    return records_in(output("tshark", "-n", "-r", str(path), "-d", dissector(path, "cflow"), "-V"))


def records_in(text: str) -> list[dict[str, str]]:
    """As ``tshark_records`` for what tshark prints."""
    places = [found.start() for found in RECORD.finditer(text)]
    made = []
    for start, stop in itertools.pairwise([*places, len(text)] if places else []):
        row: dict[str, str] = {}
        for name, value in FIELD.findall(text[start:stop]):
            # Some templates have fields for both versions of IP, and zeros in those that do not apply.
            if row.get(name, "0.0.0.0") == "0.0.0.0":
                row[name] = value
        made.append(row)
    return made


def unmatched(theirs: list[dict[str, str]], ours: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return records of tshark that name two hosts and are not among ours, field by field; each of ours answers for one."""
    left = Counter(
        (
            *(address.text_of(row[f"{end}_hi"], row[f"{end}_lo"]) for end in ("source", "target")),
            row["protocol"], row["source_port"], row["target_port"], row["bytes"], row["packets"],
        )
        for row in ours
    )  # fmt: skip
    missing = []
    for each in theirs:
        if "SrcAddr" not in each or "DstAddr" not in each:
            continue
        protocol = int(found[1]) if (found := re.search(r"\((\d+)\)", each.get("Protocol", ""))) else 0
        ends = [address.text_of(*address.columns_of(each[name])) for name in ("SrcAddr", "DstAddr")]
        wanted: list[Any] = [*ends, protocol]
        wanted += (
            [None, None]
            if protocol in (1, 58)
            else [int(each.get(name, "0").split()[0]) for name in ("SrcPort", "DstPort")]
        )
        wanted += [int(each[name]) if name in each else None for name in ("Octets", "Packets")]
        key = next(
            (
                key
                for key, count in left.items()
                if count and all(b is None or a == b for a, b in zip(key, wanted, strict=True))
            ),
            None,
        )
        if key is None:
            missing.append(each)
        else:
            left[key] -= 1
    return missing


def plain_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a log, read as simply as can be."""
    with path.open(encoding="utf-8", newline="") as stream:
        lines = [line for line in stream.read().splitlines() if line.strip()]
    if lines[0].startswith("{"):
        yield from map(json.loads, lines)
    elif lines[0].lstrip().startswith("#"):
        fields = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
        yield from (
            dict(zip(fields, line.split("\t"), strict=False)) for line in lines if not line.lstrip().startswith("#")
        )
    else:
        yield from csv.DictReader(lines, delimiter="," if "," in lines[0] else "\t")


def counted_log(form: str, path: Path) -> tuple[int, int]:
    """As ``counted`` for logs."""
    rows = list(plain_rows(path))
    if form == "zeek_dns":
        source: Any = registry.named(form, registry.BUILT_IN).open(path, "0" * 16, Opening())
        assert not any(table.num_rows for table in source.tables())
        return sum(table.num_rows for table in source.names), sum(map(_answers, rows))
    protocol = "proto" if form == "zeek_conn" else "Proto"
    with tempfile.TemporaryDirectory() as folder:
        made = ingest.ingest([path], folder)
    if any(each["status"] == "failed" for each in made.inputs):
        raise FindingError(made.findings[0])
    return made.connections, sum(row[protocol] not in ("arp", "llc", "man", "unknown_transport") for row in rows)


def _answers(row: dict[str, Any]) -> int:
    """Return how many addresses a resolver's answer has; of the local link's names none count, nor of refusals."""
    if str(row["id.resp_p"]) in ("5353", "5355", "137") or row.get("rcode_name") not in (None, "-", "NOERROR"):
        return 0
    given = row.get("answers", "-")
    listed = given if isinstance(given, list) else given.split(",")
    return sum(re.fullmatch(r"\d+(\.\d+){3}|[0-9a-f:]*:[0-9a-f:.]*", each) is not None for each in listed)


def counted(form: str, path: Path) -> tuple[int, int]:
    """Return (count here, count of the tool of the format); raises FindingError where the file is refused."""
    if form in LOGS:
        return counted_log(form, path)
    kind = "export_pcap" if form == DATAGRAMS else form
    source = registry.named(kind, registry.BUILT_IN).open(path, "0" * 16, Opening())
    rows = sum(table.num_rows for table in source.tables())
    quality = source.quality
    if form == "pcap":
        text = output("tshark", "-n", "-r", str(path), "-Y", "ip or ipv6", "-T", "fields", "-e", "frame.number")
        return quality.packets + sum(quality.left_out.get(each, 0) for each in NO_PACKET), text.count("\n")
    if form == "nfcapd":
        found = re.search(r"^Flows: (\d+)", output("nfdump", "-r", str(path), "-I"), re.MULTILINE)
        return sum(each["records"] for each in quality.exporters.values()), int(found[1]) if found else 0
    seen = quality.exporters.values()
    if any(each.get("counter_samples") for each in seen) or "sflow" in str(path):
        text = output("tshark", "-n", "-r", str(path), "-d", dissector(path, "sflow"), "-V")
        packets = sum(each["records"] for each in quality.interfaces.values())
        return packets, len(re.findall(r"sFlow sample type: (?:Expanded flow|Flow) sample", text))
    ours = sum(each.get("records", 0) + each.get("option_records", 0) + each.get("no_addresses", 0) for each in seen)
    assert rows >= 0
    return ours, len(tshark_records(path))


def measure(corpora: Path) -> dict[str, Row]:
    """Return the figures of every format."""
    made: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        for form, name, files in entries(corpora):
            row = made.setdefault(form, Row())
            row.entries += 1
            path = as_capture(Path(folder) / f"{name}.pcap", files) if form == DATAGRAMS else files[0]
            try:
                ours, theirs = counted(form, path)
            except FindingError as error:
                row.refused.append(f"{name}: {error.findings[0].message}")
                continue
            row.imported += 1
            row.ours += ours
            row.theirs += theirs
            if ours != theirs:
                row.differ.append(f"{name} ({ours}, {theirs})")
    return made


def table(rows: dict[str, Row], beside: list[str]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| format | entries | imported | counted | here | there | entries that differ |",
        "|---|---|---|---|---|---|---|",
    ]
    for form, tool in TOOLS.items():
        row = rows.get(form, Row())
        name = form if form == DATAGRAMS else f"`{form}`"
        differ = "; ".join(row.differ) or "none"
        lines.append(f"| {name} | {row.entries} | {row.imported} | {tool} | {row.ours} | {row.theirs} | {differ} |")
    refused = [each for row in rows.values() for each in row.refused]
    alone = ", ".join(f"`{each}`" for each in beside) or "none"
    return "\n".join([*lines, "", f"Refused: {'; '.join(refused) or 'none'}.", f"Left alone, of no kind: {alone}."])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into the documentation")
    arguments = parser.parse_args()
    made = table(measure(corpora_directory()), left_alone(corpora_directory()))
    print(made)
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        start, stop = text.index(BEGIN) + len(BEGIN), text.index(END)
        DOCUMENT.write_text(f"{text[:start]}\n{made}\n{text[stop:]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
