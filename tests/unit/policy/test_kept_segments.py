# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments whose rules are left as text: outline and rules are those of the file, and no rules are never taken for rules not yet read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import seals
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import cache as cache_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import kept_segments
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import (
    outline_of,
    plain_outline,
    read_outline,
)
from tests.unit.policy.random_sites import Documents, random_documents, write_documents


def documents_with_everything() -> Documents:
    """Segments with templates and without, a rule with each key that an outline tells of, and a segment without rules."""
    documents = random_documents(3)
    plain = [
        value for value in documents.values() if isinstance(value, dict) and value.get("allow") and not value.get("use")
    ]
    first = plain[0]["allow"][0]
    windows = [{"days": ["mon"], "start": "08:00", "end": "17:00"}]
    first |= {"expires": "2027-01-31", "owner": "plant-operations", "conditions": {"windows": windows}}
    first["evidence"] = {"devices": "most", "days": "14 to 29", "direction": "high"}
    assert any(value.get("use") for value in documents.values() if isinstance(value, dict))
    return documents


def loaded(documents: Documents, folder: Path) -> tuple[Site, Site]:
    """The site as the cache gives it, and as it is read."""
    write_documents(documents, folder / "policies")
    for _time in range(2):
        kept = load_site(folder / "policies", folder / "cache").site
    fresh = load_site(folder / "policies").site
    assert kept is not None and fresh is not None
    return kept, fresh


def to_come(site: Site) -> list[str]:
    return [name for name, item in site.segments.items() if "allow" not in vars(item)]


def test_no_rules_are_never_taken_for_rules_that_were_not_read() -> None:
    """A value of the class itself would stand for every segment whose rules are still to come."""
    assert "allow" not in vars(Segment)
    assert next(item for item in fields(Segment) if item.name == "allow").default is MISSING
    with pytest.raises(AttributeError):
        object.__new__(Segment).allow  # noqa: B018
    with pytest.raises(AttributeError):
        Segment("a", "z", None, "o", "low").absent  # type: ignore[attr-defined]  # noqa: B018


def test_outlines_and_rules_are_those_of_the_files(tmp_path: Path) -> None:
    kept, fresh = loaded(documents_with_everything(), tmp_path)
    waiting = to_come(kept)
    used = {name for name, item in fresh.segments.items() if any(rule.origin == "template" for rule in item.allow)}
    assert waiting and used and set(waiting) == fresh.segments.keys() - used
    assert not to_come(fresh)
    for name in kept.segments:
        assert outline_of(kept.segments[name]) == outline_of(fresh.segments[name]), name
    assert any(outline_of(kept.segments[name]).conditional for name in waiting)
    assert any(outline_of(kept.segments[name]).expiring for name in waiting)
    assert to_come(kept) == waiting  # whoever asks for outlines reads no rules
    for name in waiting:
        assert kept.segments[name].allow == fresh.segments[name].allow
    assert not to_come(kept) and kept == fresh
    again = load_site(tmp_path / "policies", tmp_path / "cache").site
    assert again is not None
    one = again.segments[waiting[0]]
    assert replace(one, owner="another").allow == fresh.segments[waiting[0]].allow  # a changed copy has them as well


def test_rules_have_the_file_that_holds_them_now(tmp_path: Path) -> None:
    """The same text under another name: what was read before of it stands at the new place."""
    documents = random_documents(3)
    name = next(path for path, value in documents.items() if isinstance(value, dict) and value.get("allow"))
    loaded(documents, tmp_path)
    folder, _slash, file = name.rpartition("/")
    (tmp_path / "policies" / name).rename(tmp_path / "policies" / folder / f"other_{file}")
    kept = load_site(tmp_path / "policies", tmp_path / "cache").site
    assert kept is not None
    segment = kept.segments[documents[name]["segment"]]
    assert {rule.location.file for rule in segment.allow} == {f"{folder}/other_{file}"}
    fresh = load_site(tmp_path / "policies").site
    assert fresh == kept and outline_of(segment) == outline_of(fresh.segments[segment.name])


RULE_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "id": lambda rule: rule.update(id="another-rule"),
    "services": lambda rule: rule.update(services=["https", "dns"]),
    "end": lambda rule: rule.update(to="outside"),
    "expiry": lambda rule: rule.update(expires="2027-02-01"),
    "condition": lambda rule: rule.update(conditions={"posture": "open"}),
    "use": lambda rule: rule.update(evidence={"devices": "one", "days": "30 or more", "direction": "low"}),
    "reason": lambda rule: rule.update(reason=" "),
}


@pytest.mark.parametrize("what", [*sorted(RULE_CHANGES), "line", "owner"])
def test_an_outline_tells_of_each_change(tmp_path: Path, what: str) -> None:
    """Thing by thing: what a list may depend on changes the outline that the cache gives, which makes the keys of lists."""
    documents = random_documents(3)
    name = next(
        path
        for path, value in documents.items()
        if isinstance(value, dict) and value.get("allow") and not value.get("use")
    )
    segment = documents[name]["segment"]
    before = outline_of(loaded(documents, tmp_path)[0].segments[segment])
    if what == "line":
        path = tmp_path / "policies" / name
        path.write_text("# one line more\n" + path.read_text())
    elif what == "owner":
        documents[name]["owner"] = ""
        write_documents(documents, tmp_path / "policies")
    else:
        RULE_CHANGES[what](documents[name]["allow"][0])
        write_documents(documents, tmp_path / "policies")
    for _time in range(2):
        kept = load_site(tmp_path / "policies", tmp_path / "cache").site
    if kept is None:  # refused by its schema: there is nothing to be mistaken about
        assert what == "owner"
        return
    assert outline_of(kept.segments[segment]) != before


def test_an_outline_of_every_kind_survives_as_plain_values() -> None:
    from tests.unit.enforce.test_keys import site

    made = site()
    for segment in made.segments.values():
        outline = outline_of(segment)
        assert read_outline(json.loads(json.dumps(plain_outline(outline)))) == outline
        told = sorted((*each, to) for to, end in outline.ends.items() for each in end.rules())
        assert told == [(number, rule.id, rule.services, rule.to) for number, rule in enumerate(segment.allow)]
    assert outline_of(made.segments["a"]).limited


def test_other_code_finds_nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outline is made by the code of these rooms: with other code it is made again."""
    documents = random_documents(3)
    loaded(documents, tmp_path)
    assert {"base", "policy"} <= set(cache_module.ROOMS)
    monkeypatch.setattr(cache_module, "code_sum", lambda _rooms: "other code")
    site = load_site(tmp_path / "policies", tmp_path / "cache").site
    assert site is not None and not to_come(site)
    monkeypatch.undo()
    assert seals.code_sum(cache_module.ROOMS) != "other code"


def test_a_kept_segment_without_a_seal_of_its_rules_is_read_anew(tmp_path: Path) -> None:
    """The seal covers outline and rules: neither can be put in place of the other's."""
    kept, fresh = loaded(random_documents(3), tmp_path)
    changed = 0
    for path in (tmp_path / "cache").glob("*.json"):
        data = path.read_bytes()
        seal, head, *rules = data.split(b"\n")
        if rules and json.loads(rules[0])[kept_segments.RULES]:
            path.write_bytes(b"\n".join((seal, head, b'{"allow":[],"lines":[]}')))
            changed += 1
    assert changed == len(to_come(kept))
    assert load_site(tmp_path / "policies", tmp_path / "cache").site == fresh
