# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a policy directory: every file with limits, against its schema, into the model.

Nothing a directory can hold makes this raise: what is wrong becomes findings with file (relative to the directory) and
line, and then there is no site. The numbered rules (``check.py``) judge a site that could be read.
"""

from __future__ import annotations

import json
import os
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes as base_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import JSON_LIMIT_BYTES
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
    sorted_findings,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import (
    SIZE_LIMIT_BYTES,
    Document,
    parse_yaml,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.rules import (
    shipped,
    with_site,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import (
    Builder,
    ClassificationRule,
    is_date,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build_access import (
    exceptions_of,
    posture_findings,
    postures_of,
    template_findings,
    templates_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.cache import DocumentCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.change_documents import (
    approvers_of,
    calendar_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.decisions import (
    Decision,
    SegmentAccount,
    decisions_of,
    segment_accounts_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.digests import Digests, digests_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Expectation,
    Member,
    Segment,
    Site,
    Template,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.schema import schema_findings, shown
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.site_rules import (
    SiteRule,
    site_rule_findings,
    site_rules_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.sources import (
    FILE,
    OTHER,
    Folder,
    Source,
)

T = TypeVar("T")

LOCK = "members.lock.json"
TOP_LEVEL = (
    "site",
    "services",
    "networks",
    "guardrails",
    "workflows",
    "enforcement",
    "classification",
    "approvers",
    "calendar",
    "templates",
    "exceptions",
    "postures",
    "decisions",
)
IGNORED_DIRECTORIES = ("evidence",)  # learning's
EXPECTATIONS = "expectations"
RULES = "rules"  # statements of the site's own (site_rules.py), never code
FILE_LIMIT = 50_000


@dataclass(frozen=True)
class LoadResult:
    """What a policy directory holds. ``site`` is None where any finding is an error."""

    site: Site | None
    findings: tuple[Finding, ...] = ()
    classification: tuple[ClassificationRule, ...] = ()
    rules: tuple[SiteRule, ...] = ()
    classification_document: Document | None = field(default=None, compare=False)
    decisions: tuple[Decision, ...] = ()
    segment_accounts: tuple[SegmentAccount, ...] = ()
    digests: Digests | None = field(default=None, compare=False)


@dataclass
class _Documents:
    """Documents that fit their schema, by kind."""

    top: dict[str, Document] = field(default_factory=dict)
    expectations: list[Document] = field(default_factory=list)
    rules: list[Document] = field(default_factory=list)
    segments: list[Document] = field(default_factory=list)
    lock: dict[str, Any] | None = None
    lock_digest: str = ""
    cache: DocumentCache = field(default_factory=lambda: DocumentCache(None))
    findings: list[Finding] = field(default_factory=list)


def load_site(directory: str | Path | Source, cache: str | Path | None = None) -> LoadResult:
    """Return the site of a policy directory, on disk or elsewhere (``sources.py``), and what the schemas say about it.

    ``cache`` is a directory in which documents are kept by content (``cache.py``), None for none. The answer is the same.

    Files are named relative to the directory in findings. Never raises for anything the directory holds.
    """
    root = Folder(directory) if isinstance(directory, str | Path) else directory
    documents = _Documents(cache=DocumentCache(cache))
    try:
        _read_all(root, documents)
        site, classification = _assemble(documents)
    except FindingError as error:
        documents.findings.extend(error.findings)
        site, classification = None, ()
    rules = tuple(item for document in documents.rules for item in site_rules_of(document))
    documents.findings.extend(site_rule_findings(rules))
    decisions = decisions_of(documents.top["decisions"]) if "decisions" in documents.top else ()
    documents.findings.extend(_days_of(decisions))
    accounts = segment_accounts_of(documents.top["decisions"]) if "decisions" in documents.top else ()
    found = tuple(sorted_findings(documents.findings))
    if errors_of(found):
        site = None
    digests = None
    if site is not None and cache is not None:
        digests = digests_of(documents.top, documents.segments, site.segments, documents.lock_digest)
    return LoadResult(
        site, found, classification, rules, documents.top.get("classification"), decisions, accounts, digests
    )


def _days_of(decisions: Iterable[Decision]) -> Iterator[Finding]:
    """Yield a finding for each decision with a day that the calendar does not have."""
    for each in decisions:
        for day in (each.date, each.until):
            if day and not is_date(day):
                yield codes.BAD_DATE.at(f"decision of {each.by}: {day} is no day", each.location)


def _read_all(root: Source, documents: _Documents) -> None:
    if not root.is_there():
        documents.findings.append(codes.NO_DIRECTORY.at("is not a directory", Location(root.name)))
        return
    count = 0
    for relative in _files(root, "", documents.findings):
        count += 1
        if count > FILE_LIMIT:
            documents.findings.append(codes.TOO_MANY_FILES.at(f"more than {FILE_LIMIT} files", Location(".")))
            return
        _read(root, relative, documents)
    documents.cache.tidy()
    if "site" not in documents.top and not any(f.file == "site.yml" for f in documents.findings):
        documents.findings.append(codes.NO_DIRECTORY.at("there is no site.yml", Location("site.yml")))
    if documents.lock is None and not any(f.file == LOCK for f in documents.findings):
        documents.findings.append(codes.NO_LOCK.at("no segment has a device", Location(LOCK)))


def _files(root: Source, below: str, findings: list[Finding]) -> Iterator[str]:
    """Yield the files of the directory and of its first level of subdirectories, sorted, as relative POSIX paths."""
    try:
        found = root.entries(below)
    except OSError as error:
        findings.append(base_codes.FILE_UNREADABLE.at(error.strerror or "cannot be read", Location(below or ".")))
        return
    for name, kind in found:
        if name.startswith("."):
            continue
        relative = f"{below}/{name}" if below else name
        if kind == OTHER:
            findings.append(codes.OUTSIDE.at("is a link or no regular file", _place(relative)))
        elif kind == FILE:
            yield relative
        elif below:
            findings.append(codes.UNKNOWN_FILE.at("directories below a zone are not read", _place(relative)))
        elif name not in IGNORED_DIRECTORIES:
            yield from _files(root, relative, findings)


def _place(relative: str) -> Location:
    """Return the place of a file whose name may hold anything."""
    return Location(shown(relative)[1:-1] if not relative.isprintable() or not relative.isascii() else relative)


def _read(root: Source, relative: str, documents: _Documents) -> None:
    folder, _slash, name = relative.rpartition("/")
    stem, extension = os.path.splitext(name)
    if relative == LOCK:
        documents.lock = _guard(documents, lambda: _read_lock(root, documents))
        return
    if extension == ".yaml" or (extension == ".json" and not folder):
        documents.findings.append(codes.UNKNOWN_FILE.at("only files called *.yml are read", _place(relative)))
        return
    if extension != ".yml":
        return
    kind = stem if not folder else folder if folder in (EXPECTATIONS, RULES) else "segment"
    if not folder and stem not in TOP_LEVEL:
        hint = f"files read here: {', '.join(f'{item}.yml' for item in TOP_LEVEL)}"
        documents.findings.append(codes.UNKNOWN_FILE.at("the name is not known", _place(relative), hint))
        return
    document = _guard(documents, lambda: _read_yaml(root, relative, kind, documents))
    if document is None:
        return
    if not folder:
        documents.top[kind] = document
    elif kind == EXPECTATIONS:
        documents.expectations.append(document)
    elif kind == RULES:
        documents.rules.append(document)
    else:
        documents.segments.append(document)


def _guard(documents: _Documents, read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except FindingError as error:
        documents.findings.extend(error.findings)
        return None


def _text(root: Source, relative: str, limit: int) -> str:
    """Return a file's text; findings name it relative to the policy directory."""
    try:
        text = root.text(relative, limit)
        if text is None:
            raise FindingError(codes.OUTSIDE.at("is no regular file", _place(relative)))
        return text
    except OSError as error:
        raise FindingError(
            base_codes.FILE_UNREADABLE.at(error.strerror or "cannot be read", _place(relative))
        ) from error
    except FindingError as error:
        place = _place(relative)
        raise FindingError(*(replace(found, file=place.file) for found in error.findings)) from error


def _read_yaml(root: Source, relative: str, kind: str, documents: _Documents) -> Document | None:
    text, file = _text(root, relative, SIZE_LIMIT_BYTES), _place(relative).file
    known = documents.cache.get(kind, text, file)
    if known is not None:
        return known
    document = parse_yaml(text, file)
    found = schema_findings(kind, document)
    documents.findings.extend(found)
    if not found:
        document = documents.cache.put(kind, text, document)
    return None if errors_of(found) else document


def _read_lock(root: Source, documents: _Documents) -> dict[str, Any] | None:
    text = _text(root, LOCK, JSON_LIMIT_BYTES)
    known = documents.cache.get("members.lock", text, LOCK)
    if known is not None:
        documents.lock_digest = known.digest
        found_before: dict[str, Any] = known.value
        return found_before
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        reason = getattr(error, "msg", "") or "not a JSON document"
        raise FindingError(base_codes.JSON_SYNTAX.at(reason, Location(LOCK, line))) from error
    document = Document(LOCK, value, {"": 1})
    found = schema_findings("members.lock", document)
    documents.findings.extend(found)
    if not found:
        documents.lock_digest = documents.cache.put("members.lock", text, document).digest
    return None if errors_of(found) else value


def _assemble(documents: _Documents) -> tuple[Site | None, tuple[ClassificationRule, ...]]:
    """Return the site of the documents that could be read. Where the documents have errors there is no site."""
    if errors_of(documents.findings) or "site" not in documents.top:
        return None, ()
    builder = Builder()
    top = documents.top
    head = top["site"]
    enforcement = top.get("enforcement")
    members: dict[str, tuple[Member, ...]] = {}
    if documents.lock is not None:
        members = builder.members(documents.lock, Location(LOCK, 1))
    _check_time_zone(head, builder)
    templates = templates_of(top["templates"]) if "templates" in top else {}
    site = Site(
        name=head.value["name"],
        time_zone=head.value["time_zone"],
        zones=builder.zones(head),
        conduits=builder.conduits(head),
        services=builder.services(top["services"]) if "services" in top else {},
        networks=builder.networks(top["networks"]) if "networks" in top else {},
        segments=_segments(documents, builder, templates),
        guardrails=builder.guardrails(top["guardrails"]) if "guardrails" in top else (),
        expectations=_expectations(documents, builder),
        workflows=builder.workflows(top["workflows"]) if "workflows" in top else (),
        approvers=approvers_of(top["approvers"]) if "approvers" in top else None,
        calendar=calendar_of(top["calendar"]) if "calendar" in top else None,
        points=builder.points(enforcement) if enforcement else {},
        assignments=builder.assignments(enforcement) if enforcement else {},
        cells=builder.cells(enforcement) if enforcement else (),
        members=members,
        defaults=head.value.get("defaults", {}),
        learning=head.value.get("learning", {}),
        budgets=enforcement.value.get("budgets", {}) if enforcement else {},
        promotion=enforcement.value.get("promotion", {}) if enforcement else {},
        members_location=Location(LOCK, 1),
        rings=builder.rings(enforcement) if enforcement else (),
        places=builder.places(enforcement) if enforcement else {},
        location=head.location("name"),
        defaults_location=head.location("defaults"),
        switches=builder.switches(enforcement) if enforcement else {},
        paths=builder.paths(enforcement) if enforcement else {},
        paths_location=enforcement.location("paths") if enforcement else Location(),
        exceptions=exceptions_of(top["exceptions"]) if "exceptions" in top else (),
        postures=postures_of(top["postures"]) if "postures" in top else {},
        templates=templates,
        used_templates=frozenset(use["template"] for d in documents.segments for use in d.value.get("use", ())),
    )
    builder.findings.extend(template_findings(templates.values()))
    if "postures" in top:
        builder.findings.extend(posture_findings(top["postures"]))
    classification = builder.classification(top["classification"]) if "classification" in top else ()
    if "classification" in top and set(top["classification"].value) - {"rules", "proposals"}:
        documents.findings.extend(with_site(shipped(), top["classification"])[1])
    documents.findings.extend(builder.findings)
    return site, classification


def _segments(documents: _Documents, builder: Builder, templates: Mapping[str, Template]) -> dict[str, Segment]:
    made: dict[str, Segment] = {}
    for document in documents.segments:
        segment = builder.segment(document, templates)
        first = made.get(segment.name)
        if first is not None:
            text = f"segment {segment.name} is defined in {first.location.file} as well"
            builder.findings.append(codes.DUPLICATE_SEGMENT.at(text, segment.location))
        else:
            made[segment.name] = segment
    return dict(sorted(made.items()))


def _expectations(documents: _Documents, builder: Builder) -> tuple[Expectation, ...]:
    return tuple(item for document in documents.expectations for item in builder.expectations(document))


def _check_time_zone(document: Document, builder: Builder) -> None:
    """Where the controller has a time zone database, the name must be in it."""
    name = document.value["time_zone"]
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        if zoneinfo.available_timezones():
            builder.findings.append(
                codes.BAD_TIME_ZONE.at(f"no time zone is called {shown(name)}", document.location("time_zone"))
            )
