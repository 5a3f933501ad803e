# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ingestion: inputs to records, stitched and oriented, into the store, each input once whatever its name.

Order of writing: connection files, then ``inputs.json`` (the commit, with the days whose rollup is now stale), then the rollup of those
days, then ``inputs.json`` without the stale days. A process killed between any two of them leaves a store that reads as before or as
after, and the next import or read finishes the rollup.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.clock import iso_now, utc_now
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import sha256_of_file
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.progress import Progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import (
    codes,
    continuation,
    denied,
    inputs,
    kept,
    rows,
    store,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.handed import Handed
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.held import HeldRecords
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.memory import kept_pages
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.orientation import Orientation
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.past import Database, Past
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ports import hints_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.records import (
    DAY_US,
    DENIED,
    Source,
    at_one_moment,
    impossible,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.rollup import LONGEST_DAYS, refresh_locked
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CLASSES, RECORDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.shelf import Shelf
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import Kind, Opening
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.stitching import Silences, stitch

np = guarded("numpy")
pa = guarded("pyarrow")
compute = guarded("pyarrow.compute")

# No device exported before, and clocks that were never set say 1970 or 1993.
OLDEST_US = 946_684_800_000_000
BUILT_IN = frozenset(each.name for each in registry.BUILT_IN)
# What makes a capture a partial one.
DAMAGE = frozenset((codes.CAPTURE_CUT.number, codes.CAPTURE_DAMAGED.number))


@dataclass(frozen=True)
class IngestResult:
    """What an import did. ``inputs`` has one mapping for each file (``status`` imported, known or failed)."""

    inputs: list[dict[str, Any]]
    records: int
    connections: int
    findings: list[Finding]
    quality: dict[str, Any]
    days: list[date] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Return whether the store has changed."""
        return any(each["status"] == "imported" for each in self.inputs)


def survey(
    paths: Iterable[str | Path],
    data_dir: str | Path,
    *,
    kind: str = "auto",
    known: Sequence[Kind] = registry.BUILT_IN,
    options: Mapping[str, Any] | None = None,
    settle: float = 0,
) -> tuple[list[inputs.Input], list[dict[str, Any]], list[Finding]]:
    """Return what an import of the paths would read: new inputs, one mapping for each file, and findings. Writes nothing.

    Raises FindingError for a kind or an option that is not known.
    """
    counted = store.read_inputs(data_dir)["inputs"]
    registry.check_options(options or {}, kind, known)
    if kind != "auto":
        registry.named(kind, known)
    files, findings = inputs.expand(paths, known, settle, own=store.flows_dir(data_dir))
    new: dict[str, inputs.Input] = {}
    listed: list[dict[str, Any]] = []
    for path in files:
        try:
            made = inputs.identify(path, kind, known)
        except FindingError as error:
            findings.extend(error.findings)
            listed.append({"path": str(path), "status": "failed"})
            continue
        gave = counted.get(made.source)
        # Where nothing was found in it, another kind or other options may tell more.
        again = gave is not None and "read_as" in gave and gave["read_as"] != _read_as(made.kind, options)
        status = "known" if (gave is not None and not again) or made.source in new else "new"
        listed.append(
            {"path": str(path), "sha256": made.sha256, "bytes": made.size, "kind": made.kind, "status": status}
        )
        if status == "new":
            new[made.source] = made
    return list(new.values()), listed, findings


def ingest(
    paths: Iterable[str | Path],
    data_dir: str | Path,
    *,
    kind: str = "auto",
    exporter: str = "",
    hints: Sequence[Mapping[str, Any]] | None = None,
    silences: Silences | None = None,
    partial: bool = True,
    known: Sequence[Kind] = registry.BUILT_IN,
    options: Mapping[str, Any] | None = None,
    settle: float = 0,
) -> IngestResult:
    """Read inputs into the store and return what was done.

    ``paths`` are files, folders or patterns; ``kind`` is auto or the name of one of the ``known`` kinds, whose ``options`` each
    documents; ``settle`` leaves files of folders and patterns that changed within so many seconds;
    ``exporter`` names the tap of pcap inputs (default: the hash of each) and stands before the address of devices that
    export; ``hints`` say where servers listen (``address``, ``protocol``, ``ports``). Files that cannot be read become findings and do
    not stop the others; without ``partial`` a capture that is cut or damaged is such a file, with it the part before the damage counts.
    Raises FindingError for a hint that cannot be used, a store of a newer format or a store in use.
    """
    operator_hints = hints_of(hints or ())
    with store.writing(data_dir), kept_pages():
        new, listed, findings = survey(paths, data_dir, kind=kind, known=known, options=options, settle=settle)
        templates = Templates.read(store.flows_dir(data_dir) / "templates.json")
        opening = Opening(exporter, templates, options or {})
        sources = opened_sources(new, opening, known)
        result = _count(data_dir, sources, operator_hints, silences, listed, findings, partial, options)
        templates.write(store.flows_dir(data_dir) / "templates.json")
    return result


def opened_sources(
    new: Sequence[inputs.Input], opening: Opening, known: Sequence[Kind]
) -> list[tuple[inputs.Input, Source]]:
    """Return each input with its source; raises FindingError for an option that cannot be used."""
    return [(each, registry.named(each.kind, known).open(each.path, each.source, opening)) for each in new]


def count_source(
    data_dir: str | Path, made: inputs.Input, source: Source, hints: Sequence[Mapping[str, Any]] | None = None
) -> IngestResult:
    """As ``ingest`` for one source that is no file, such as a listener. The caller holds no lock."""
    listed = [{"path": str(made.path), "sha256": made.sha256, "bytes": made.size, "kind": made.kind, "status": "new"}]
    with store.writing(data_dir), kept_pages():
        return _count(data_dir, [(made, source)], hints_of(hints or ()), None, listed, [], True)


def _count(
    data_dir: str | Path,
    sources: Sequence[tuple[inputs.Input, Source]],
    hints: Sequence[Any],
    silences: Silences | None,
    listed: list[dict[str, Any]],
    findings: list[Finding],
    partial: bool,
    options: Mapping[str, Any] | None = None,
) -> IngestResult:
    by_hash = {each["sha256"]: each for each in listed if each["status"] == "new"}
    if not sources:
        days = refresh_locked(data_dir)
        _sweep(store.flows_dir(data_dir))
        return IngestResult(listed, 0, 0, sorted_findings(findings), {}, days)
    scratch, handed = _scratch(store.flows_dir(data_dir)), Handed()
    try:
        with ExitStack() as opened:
            # A small import into a fresh store needs no database.
            database = cache(lambda: opened.enter_context(store.connect(scratch)))
            held = HeldRecords(scratch)
            whole: list[tuple[inputs.Input, Source, dict[str, int]]] = []
            ahead = Progress("import", sum(made.size for made, _source in sources) / 1e6, "MB")
            for made, source in sources:
                writer = kept.Writer(data_dir, made.source)
                if _load(held, made, source, findings, by_hash[made.sha256], partial, writer):
                    whole.append((made, source, writer.finish()))
                ahead.step(made.size / 1e6)
            records = held.count
            continued = continuation.take(database, data_dir, silences or Silences(), held)
            oriented = _oriented(database, data_dir, held, hints, silences, scratch)
            counts, days, late = _write(database, data_dir, continued, oriented, held.names(), scratch, handed)
            if late:
                findings.append(codes.LATE_ROWS.at(f"{late} conversations", Location(str(store.flows_dir(data_dir)))))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    document = store.read_inputs(data_dir)
    for made, source, beside in whole:
        entry = by_hash[made.sha256]
        entry.update(
            status="imported", records=source.quality.records, connections=counts.get(made.source, 0), **beside
        )
        document["inputs"][made.source] = {
            "sha256": made.sha256,
            "name": made.path.name,
            "bytes": made.size,
            "kind": made.kind,
            "imported_at": iso_now(),
            "records": source.quality.records,
            "connections": counts.get(made.source, 0),
            **beside,
            "quality": source.quality.as_dict(),
        }
        if not source.quality.records and not beside:
            document["inputs"][made.source]["read_as"] = _read_as(made.kind, options)
    continued.enter(document)
    document["stale_days"] = sorted({*document.get("stale_days", []), *(each.isoformat() for each in days)})
    store.write_inputs(data_dir, document)
    refresh_locked(data_dir, handed=handed)
    _sweep(store.flows_dir(data_dir))
    quality = {made.source: source.quality.as_dict() for made, source, _beside in whole}
    return IngestResult(listed, records, sum(counts.values()), sorted_findings(findings), quality, days)


def _load(
    held: HeldRecords,
    made: inputs.Input,
    source: Source,
    findings: list[Finding],
    entry: dict[str, Any],
    partial: bool,
    beside: kept.Writer,
) -> bool:
    left_out = jumped = 0
    try:
        for table in source.tables():
            bad = impossible(table)
            if bad is not None:
                left_out += int(bad.sum())
                table = table.filter(pa.array(~bad))
            table, moved = at_one_moment(table, LONGEST_DAYS * DAY_US, _tomorrow())
            jumped += moved
            if table.num_rows:
                held.add(_without_denied(table, source))
            beside.take(source)
    except FindingError as error:
        findings.extend(error.findings)
        entry["status"] = "failed"
        held.drop(made.source)
        return False
    except Exception as error:
        if isinstance(error, OSError) or made.kind in BUILT_IN:
            raise
        # A module of a user's does not stop the import of others.
        text = f"kind {made.kind} raised {type(error).__name__}: {str(error)[:120]}"
        hint = "have it leave out what it cannot read and say so in findings, see docs/flow-sources.md"
        findings.append(codes.SOURCE_PLUGIN.at(text, Location(str(made.path)), hint=hint))
        entry["status"] = "failed"
        held.drop(made.source)
        return False
    if made.changed_ns and not made.stands():
        # What was read is not what was hashed, and may be an input of its own.
        findings.append(codes.INPUT_CHANGED.at("nothing of it counts", Location(str(made.path))))
        entry["status"] = "changed"
        held.drop(made.source)
        return False
    if not partial and any(each.code in DAMAGE for each in source.findings):
        findings.extend(_refused(each) for each in source.findings)
        entry["status"] = "failed"
        held.drop(made.source)
        return False
    findings.extend(source.findings)
    if left_out:
        source.quality.records -= left_out
        source.quality.left_out["impossible_counters"] = left_out
        findings.append(
            codes.EXPORT_COUNTERS.at(f"{left_out} records with impossible counters", Location(str(made.path)))
        )
    if jumped:
        text = f"{jumped} records last longer than {LONGEST_DAYS} days"
        hint = "the clock was set meanwhile; they count at one moment, their end unless that has not come yet"
        findings.append(codes.EXPORT_TIME.at(text, Location(str(made.path)), hint=hint))
    if not jumped and (unlikely := _unlikely_times(source)):
        findings.append(codes.INPUT_TIMES.at(unlikely, Location(str(made.path))))
    beside.take(source, 1)
    if not source.quality.records and not beside.counts:
        findings.append(codes.INPUT_EMPTY.at("no flow found", Location(str(made.path))))
    return True


def _read_as(kind: str, options: Mapping[str, Any] | None) -> str:
    """Return a hash of the kind and the options that an input was read with, of options that name a file of its content."""
    told = []
    for name, value in sorted((options or {}).items()):
        path = Path(value).expanduser() if isinstance(value, str) else None
        told.append((name, sha256_of_file(path) if path is not None and path.is_file() else repr(value)))
    return hashlib.sha256(repr((kind, told)).encode()).hexdigest()[:16]


def _unlikely_times(source: Source) -> str:
    """Return what an input's times say that cannot be, or empty text. Its flows count, on the days that they name."""
    quality = source.quality
    for moment, when in ((quality.first_us, "begins"), (quality.last_us, "ends")):
        if moment and (moment < OLDEST_US or moment > _tomorrow()):
            return f"what it tells {when} on {store.date_of(moment // DAY_US)}"
    return ""


def _tomorrow() -> int:
    """Return this time tomorrow in microseconds: clocks and time zones differ."""
    return int(utc_now().timestamp() * 1_000_000) + DAY_US


def _without_denied(table: Any, source: Source) -> Any:
    """Return the records that are flows; what an exporter says it denied goes to the source's denials (facts/flows.md section 3, NSEL)."""
    refused = table.column("event").to_numpy() == DENIED
    if not refused.any():
        return table
    refused = pa.array(refused)
    source.denies = [*getattr(source, "denies", ()), denied.from_records(table.filter(refused))]  # type: ignore[attr-defined]
    # Which list and entry it was is for denials alone.
    return table.select(list(RECORDS)).filter(compute.invert(refused))


def _refused(finding: Finding) -> Finding:
    """Return the finding of a capture that is not imported because of it."""
    if finding.code not in DAMAGE:
        return finding
    hint = "nothing of it was imported; copy the file again, or allow partial captures to keep what stands before"
    return replace(finding, severity="error", hint=hint)


def past_of(database: Database, data_dir: str | Path, days: Iterable[date] | None = None) -> Past:
    """Return what the rollup knows, of the given days only where there are any."""
    folder = store.flows_dir(data_dir) / "rollup"
    if days is None:
        return Past(database, sorted(folder.glob("day=*/rollup.parquet")))
    files = sorted(store.day_folder(data_dir, "rollup", day) / "rollup.parquet" for day in days)
    return Past(database, [each for each in files if each.exists()])


def _oriented(
    database: Database,
    data_dir: str | Path,
    held: HeldRecords,
    hints: Sequence[Any],
    silences: Silences | None,
    scratch: Path,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the held records' conversations, batch by batch."""
    found = Shelf(scratch, rows.OCTETS_IN_MEMORY)
    orientation = Orientation(
        hints, past_of(database, data_dir), Shelf(scratch, rows.OCTETS_IN_MEMORY), held.count // 2
    )
    for each in stitch(held, silences):
        orientation.add(each.wholes, each.alone and len(each.names["exporter"]) == 1)
        found.append(rows.put_away(each))
    for number, told in enumerate(orientation.directions()):
        yield rows.connection_rows(found.take(number), told)


def _write(
    database: Database,
    data_dir: str | Path,
    continued: continuation.Continued,
    made: Iterable[dict[str, Any]],
    names: Mapping[str, Sequence[str]],
    scratch: Path,
    handed: Handed,
) -> tuple[dict[str, int], list[date], int]:
    """Write the connection files; returns connections by source, days touched, and how many came too late for their day."""
    expired = [store.day_number(each) for each in sorted(store.expired_days(data_dir))]
    again = continuation.sources(continued)
    going_on = [number for number, name in enumerate(names["source"]) if name in again]
    files = rows.Files(names, scratch)
    touched: set[int] = set()
    others: list[Any] = []
    late = 0
    for each in made:
        if expired:
            # A day whose other connections are gone cannot be counted anew.
            out, each = rows.split(each, np.isin(each["day_number"], expired))
            late += len(out["start_us"])
        touched |= rows.touched_days(each, LONGEST_DAYS)
        if going_on:
            old, each = rows.split(each, np.isin(each["source"], going_on))
            others.append(rows.as_table(old, {"class": list(CLASSES), **names}, len(old["start_us"])))
        files.add(each)
    if others:
        connection = database()
        connection.register("rows", pa.concat_tables(others).unify_dictionaries())
        connection.execute("CREATE TABLE made AS SELECT * FROM rows")
        connection.unregister("rows")
        touched |= continuation.rewrite(connection, data_dir, continued)
    counts: Counter[str] = Counter()
    for number, source, tables in files.tables():
        path = store.day_folder(data_dir, "connections", store.date_of(number)) / f"{source}.parquet"
        counts[source] += store.write_tables(rows.in_groups(handed.keep(path, tables)), path, "connections")
        if path in handed:
            handed.whole[path] = files.whole
    return dict(counts), sorted({store.date_of(each) for each in touched}), late


def _sweep(folder: Path) -> None:
    """Remove files of inputs that do not count, versions that others have taken the place of, and what a killed rollup left.

    The caller holds the lock.
    """
    for left in (folder / "rollup").glob("day=*/.*.tmp"):
        left.unlink(missing_ok=True)
    counted = store.read_inputs(folder.parent)["inputs"]
    # The rollup is written under the lock as well: nobody is at work on these.
    for room in ("connections", *kept.KINDS):
        for left in (folder / room).glob("day=*/*"):
            counts = store.counts(counted, left) if room == "connections" else kept.input_of(left) in counted
            if left.suffix == ".tmp" or not counts:
                left.unlink(missing_ok=True)


def _scratch(folder: Path) -> Path:
    """Return a fresh scratch folder in the store; what killed imports left there is removed (the caller holds the lock)."""
    base = folder / ".tmp"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True, exist_ok=True)
    # What a killed import wrote under an input that never came to count would be taken for the next import's.
    _sweep(folder)
    return Path(tempfile.mkdtemp(dir=base))
