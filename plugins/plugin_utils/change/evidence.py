# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done and who agreed to it, as one file for an auditor: journal, plans, approvals with their signatures, and a summary of them.

docs/formats/evidence-pack.md. The file is a ZIP archive with a manifest of sums. Reading one trusts nothing in it: names and sizes are
bounded, the journal's chain, each plan's id and each signature are judged again, and the summary is made anew and compared.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import (
    canonical_json,
    sha256_of,
    sha256_of_file,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.change import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval import ApprovalPolicy
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.approval_files import REVIEW, read_approvals
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.interrupted import RUN_ENDS
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import known_entries, verify_journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import read_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.signatures import TrustedKeys

SCHEMA = "1.0"
MANIFEST, SUMMARY, JOURNAL = "manifest.json", "summary.json", "journal.jsonl"
FOLDERS = ("plans", "approvals")
LIMIT_BYTES, LIMIT_FILES = 4 * 1024**3, 100_000
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same state gives the same bytes


@dataclass(frozen=True)
class Pack:
    """What reading a pack found. ``runs`` as in the summary; ``signed``: approvers whose signature on a file of the pack holds."""

    findings: tuple[Finding, ...]
    entries: int
    sha256: str
    runs: tuple[Mapping[str, Any], ...]
    signed: tuple[str, ...]


def summary_of(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each run of a journal: what was planned, who agreed, what was sent, what was read back and when; in the journal's order."""
    runs: list[dict[str, Any]] = []
    last_of_plan: dict[str, dict[str, Any]] = {}
    for entry in entries:
        event = str(entry["event"])
        if event in ("plan_started", "rollback_started"):
            runs.append(
                {
                    "what": "rollback"
                    if event == "rollback_started"
                    else "emergency"
                    if entry.get("emergency")
                    else "apply",
                    "plan_id": entry.get("plan_id", ""),
                    "policy_commit": entry.get("policy_commit", ""),
                    "ring": entry.get("ring", ""),
                    **{key: entry[key] for key in ("device", "to_commit", "release") if entry.get(key)},
                    "began": entry["time"],
                    "ended": "",
                    "outcome": "interrupted",
                    "approvals": [
                        {
                            "approver": item.get("approver", ""),
                            "source": PurePosixPath(str(item.get("source", ""))).name,
                        }
                        for item in entry.get("approvals") or ()
                    ],
                    "emergency": dict(entry.get("emergency") or {}),
                    "sent": [],
                    "confirmed": [],
                    "first_entry": entry["number"],
                    "last_entry": entry["number"],
                }
            )
            last_of_plan[str(runs[-1]["plan_id"])] = runs[-1]
            continue
        if not runs:
            continue
        # A rollback to a commit undoes several plans at once; each of them ends by itself.
        run = last_of_plan.get(str(entry.get("plan_id", "")), runs[-1])
        run["last_entry"] = entry["number"]
        if event in ("operation_started", "undo_started"):
            step = entry["operation"]
            run["sent"].append(
                {
                    "target": entry["target"],
                    "action": ("undo of " if event == "undo_started" else "") + str(step["action"]),
                    "object": f"{step['kind']}/{step['name']}",
                    "operation_id": step["id"],
                    "at": entry["time"],
                    "done": "",
                    "writes": 0,
                }
            )
        elif event in ("operation_done", "undo_done"):
            for sent in reversed(run["sent"]):
                if (sent["target"], sent["operation_id"]) == (entry["target"], entry["operation_id"]):
                    sent |= {"done": entry["time"], "writes": entry.get("writes", 0)}
                    break
        elif event == "target_confirmed":
            faults = [item["code"] for item in entry.get("findings") or () if item.get("severity") == "error"]
            run["confirmed"].append({"target": entry["target"], "at": entry["time"], "faults": faults})
        elif event in RUN_ENDS:
            run["ended"], run["outcome"] = entry["time"], "failed" if event.endswith("failed") else "done"
    return runs


def write_pack(state: Path, target: Path) -> str:
    """Write the pack of a state directory and return its SHA-256. FindingError where the journal does not hold."""
    journal = state / JOURNAL
    if not journal.exists():
        raise FindingError(codes.JOURNAL_TRUNCATED.at(f"there is no journal at {journal}"))
    if errors := errors_of(verify_journal(journal)):
        raise FindingError(*errors)
    summary = {"kind": "evidence_summary", "schema_version": SCHEMA, "runs": summary_of(known_entries(journal))}
    files = {JOURNAL: journal.read_bytes(), SUMMARY: (canonical_json(summary) + "\n").encode()}
    head = state / f"{JOURNAL}.head"
    if head.exists():
        files[head.name] = head.read_bytes()
    for folder in FOLDERS:
        for path in sorted((state / folder).glob("*")) if (state / folder).is_dir() else ():
            if path.is_file() and not path.is_symlink():
                files[f"{folder}/{path.name}"] = path.read_bytes()
    manifest = {
        "kind": "evidence_pack",
        "schema_version": SCHEMA,
        "files": {name: sha256_of(files[name]) for name in sorted(files)},
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MANIFEST, *sorted(files)):
            content = files.get(name) if name != MANIFEST else (canonical_json(manifest) + "\n").encode()
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content or b"", zipfile.ZIP_DEFLATED)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=".pack-")
    with open(descriptor, "wb") as stream:
        stream.write(held.getvalue())
    Path(made).replace(target)
    return sha256_of(held.getvalue())


def read_pack(path: Path, keys: TrustedKeys, number: int = 0, sha256: str = "") -> Pack:
    """Judge a pack. ``keys``: the auditor's own file of whose signature counts; without one, signatures are not judged, and that is said.

    ``number``, ``sha256``: an entry that was noted elsewhere. Raises FindingError SW4150 where the file is no pack.
    """
    with tempfile.TemporaryDirectory(prefix="segwright-pack-") as made:
        folder = Path(made)
        manifest = _unpacked(path, folder)
        place = Location(str(path))
        findings = [*_sums(folder, manifest, place)]
        journal = folder / JOURNAL
        if not journal.exists():
            return Pack((*findings, codes.PACK_BROKEN.at("holds no journal", place)), 0, "", (), ())
        chain = [_without_place(item) for item in verify_journal(journal, number, sha256)]
        findings += chain
        if errors_of(chain):
            return Pack(tuple(findings), 0, "", (), ())
        entries = known_entries(journal)
        try:
            runs = summary_of(entries)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            bad = codes.PACK_BROKEN.at(f"holds an entry that no run writes: {type(error).__name__}", place)
            return Pack((*findings, bad), 0, "", (), ())
        try:
            told = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            told = {}
        if not isinstance(told, dict) or told.get("runs") != json.loads(canonical_json(runs)):
            findings.append(codes.PACK_BROKEN.at("the summary is not that of the journal", place))
        findings += _plans(folder, entries, place)
        signed, more = _signatures(folder, keys, entries, place)
        last = entries[-1] if entries else {}
        return Pack((*findings, *more), len(entries), str(last.get("sha256", "")), tuple(runs), signed)


def _unpacked(path: Path, folder: Path) -> Mapping[str, Any]:
    place = Location(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            if len(listed) > LIMIT_FILES or sum(item.file_size for item in listed) > LIMIT_BYTES:
                raise FindingError(codes.PACK_BROKEN.at("holds more than a pack may", place))
            if len({item.filename for item in listed}) != len(listed):
                raise FindingError(
                    codes.PACK_BROKEN.at("holds a name twice: another reader would see another file", place)
                )
            for item in listed:
                name = PurePosixPath(item.filename)
                if not _is_plain(name):
                    raise FindingError(codes.PACK_BROKEN.at(f"holds {item.filename[:60]!a}", place))
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                with (
                    archive.open(item) as source,
                    open(target, "wb") as sink,
                ):  # zipfile gives no more bytes than it was told
                    shutil.copyfileobj(source, sink, 1 << 20)
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RuntimeError, RecursionError) as error:
        raise FindingError(codes.PACK_BROKEN.at(f"cannot be read as a pack: {type(error).__name__}", place)) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise FindingError(codes.PACK_BROKEN.at("has no manifest", place))
    if str(manifest.get("schema_version", "")).partition(".")[0] != SCHEMA.partition(".")[0]:
        raise FindingError(
            codes.PACK_BROKEN.at(f"schema version {manifest.get('schema_version')!a} is not known here", place)
        )
    return manifest


def _is_plain(name: PurePosixPath) -> bool:
    inside = len(name.parts) == 2 and name.parts[0] in FOLDERS
    return (
        (inside or len(name.parts) == 1)
        and not name.is_absolute()
        and not name.name.startswith(".")
        and ".." not in name.parts
    )


def _sums(folder: Path, manifest: Mapping[str, Any], place: Location) -> list[Finding]:
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    listed: Mapping[str, Any] = manifest["files"]
    wrong = sorted(
        name
        for name in present | set(listed)
        if name not in present or listed.get(name) != sha256_of_file(folder / name)
    )
    return [codes.PACK_BROKEN.at(f"{name}: is not what the manifest lists", place) for name in wrong[:20]]


def _plans(folder: Path, entries: Iterable[Mapping[str, Any]], place: Location) -> list[Finding]:
    """Return a finding for each plan whose content is not its id's, and a remark for each that was carried out and is not there."""
    found = []
    held = set()
    for path in sorted((folder / "plans").glob("*.json")):
        try:
            plan = read_plan(path)
        except FindingError as error:
            found += [_without_place(item) for item in error.findings]
            continue
        held.add(plan.plan_id)
        if plan.plan_id != path.stem:
            found.append(codes.PACK_BROKEN.at(f"plans/{path.name} is plan {plan.plan_id[:12]}", place))
    carried_out = dict.fromkeys(
        str(entry["plan_id"]) for entry in entries if entry["event"] == "plan_started" and entry.get("steps")
    )
    missing = [plan_id[:12] for plan_id in carried_out if plan_id not in held]
    if missing:
        text = f"{len(missing)} plans that were carried out are not in the pack: {', '.join(missing[:5])}"
        found.append(codes.PACK_WITHOUT_PLAN.at(text, place))
    return found


def _signatures(
    folder: Path, keys: TrustedKeys, entries: Iterable[Mapping[str, Any]], place: Location
) -> tuple[tuple[str, ...], list[Finding]]:
    """Return whose signed files hold, and a finding for each approval of the journal by file that no signature of the pack bears out."""
    strange: list[str] = []
    by_file: dict[str, set[tuple[str, str, str]]] = {}
    for entry in entries:
        for item in entry.get("approvals") or ():
            source = PurePosixPath(str(item.get("source", ""))).name
            if entry["event"] == "plan_started" and source.endswith(".json"):
                about = (str(item.get("plan_id") or ""), str(item.get("content") or ""))
                by_file.setdefault(source, set()).add((str(item.get("approver", "")).lower(), *about))
                if about[0] and about[0] != entry.get("plan_id"):
                    strange.append(f"{item.get('approver', '')} in {source}, of another plan")
    if not keys.allowed_signers and not keys.gpg_keys:
        return (), [
            codes.PACK_UNJUDGED.at(f"{len(by_file)} signed approvals were not checked", place)
        ] if by_file else []
    exporters = dict(_exporters(folder / "approvals"))
    good, unread = read_approvals(folder / "approvals", keys, ApprovalPolicy({}, {}, (), tuple(exporters.values())))
    signed = {(Path(item.source).name, item.approver, item.plan_id, item.content) for item in good}
    missing = [
        f"{about[0]} in {name}"
        for name, approvals in sorted(by_file.items())
        for about in sorted(approvals)
        if (name, *about) not in signed
    ]
    found = [codes.PACK_UNSIGNED.at(text, place) for text in (*missing, *strange)]
    used = set(by_file)
    found += [_without_place(item) for item in unread if Path(item.file).name in used]
    # Who exports records answers for the people in them: never as if they had signed themselves.
    by = {name: f"{who}, for others" for name, who in exporters.items()}
    return tuple(sorted({by.get(name, who) for name, who, _plan, _content in signed})), found


def _exporters(folder: Path) -> Iterable[tuple[str, str]]:
    """Yield the name of each review record and who says to have exported it: the signature is judged by the auditor's keys."""
    for path in sorted(folder.glob("*.json")):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value.get("kind") == REVIEW and isinstance(value.get("exporter"), str):
            yield path.name, value["exporter"].lower()


def _without_place(finding: Finding) -> Finding:
    """Return a finding that names the file within the pack, not a temporary one."""
    return replace(finding, file=Path(finding.file).name if finding.file else "")
