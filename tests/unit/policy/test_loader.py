"""The loader: what it says, what it refuses, and that nothing makes it raise."""

from __future__ import annotations

import os
import random
import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import imports
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import loader as loader_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import schema as schema_module
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.check import load_checked
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import LoadResult, load_site

TODAY = date(2026, 11, 23)


@pytest.fixture
def policies(root: Path, tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            root / "tests" / "cases" / "policy" / "base",
            tmp_path / "policies",
            ignore=shutil.ignore_patterns("expected.json"),
        )
    )


def _hint(policies: Path, file: str, old: str, new: str) -> tuple[str, str, str]:
    path = policies / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    result = load_site(policies)
    assert result.site is None
    first = result.findings[0]
    return first.code, first.message, first.hint


def test_unknown_key_names_the_nearest(policies: Path) -> None:
    found = _hint(policies, "clinical/pumps.yml", "criticality:", "critcality:")
    assert found == ("SW2002", "the document has no key 'critcality'", "did you mean criticality?")


def test_unknown_key_without_a_near_one_lists_the_known(policies: Path) -> None:
    code, _message, hint = _hint(policies, "clinical/pumps.yml", "sgt:", "zzz:")
    assert (code, hint) == (
        "SW2002",
        "known keys here: allow, criticality, description, members, owner, segment, sgt, sgt_name, use, zone",
    )


def test_value_near_an_allowed_one(policies: Path) -> None:
    code, message, hint = _hint(policies, "clinical/pumps.yml", "life_support", "life-support")
    assert (code, hint) == ("SW2005", "did you mean life_support?")
    assert "'life-support'" in message


def test_yes_is_not_text(policies: Path) -> None:
    code, message, hint = _hint(policies, "clinical/pumps.yml", "reason: Telemetry", "reason: yes")
    assert (code, message) == ("SW2004", "allow[0].reason is to be text, found True")
    assert "quotes" in hint


def test_list_is_asked_for(policies: Path) -> None:
    assert _hint(policies, "clinical/pumps.yml", "[mqtt]", "mqtt")[2] == "write it as a list: ['mqtt']"


def test_missing_key_says_what_it_holds(policies: Path) -> None:
    code, message, hint = _hint(policies, "clinical/pumps.yml", "    reason: Telemetry\n", "")
    assert (code, message) == ("SW2003", "allow[0] lacks reason")
    assert hint.startswith("add reason: Why this is needed")


def test_files_are_named_relative_to_the_directory(policies: Path) -> None:
    (policies / "services.yml").write_bytes(b"\xff\xfe")
    findings = load_site(policies).findings
    assert [(f.code, f.file) for f in findings] == [("SW0002", "services.yml")]
    assert str(policies) not in str(findings)


def test_links_are_not_followed(policies: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yml"
    secret.write_text("password: hunter2\n")
    (policies / "networks.yml").unlink()
    (policies / "networks.yml").symlink_to(secret)
    (policies / "other").symlink_to(tmp_path)
    findings = load_site(policies).findings
    assert {(f.code, f.file) for f in findings if f.severity == "error"} == {
        ("SW2009", "networks.yml"),
        ("SW2009", "other"),
    }
    assert "hunter2" not in str(findings)


def test_pipes_do_not_hang(policies: Path) -> None:
    (policies / "workflows.yml").unlink()
    os.mkfifo(policies / "workflows.yml")
    assert "SW2009" in {f.code for f in load_site(policies).findings}


def test_too_many_files(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "FILE_LIMIT", 5)
    assert {f.code for f in load_site(policies).findings} >= {"SW2010"}


def test_no_directory(tmp_path: Path) -> None:
    assert [f.code for f in load_site(tmp_path / "absent").findings] == ["SW2001"]
    assert [f.code for f in load_site(tmp_path / "\0").findings] == ["SW2001"]


def test_code_in_the_policy_directory_is_not_run(policies: Path) -> None:
    (policies / "rules").mkdir()
    (policies / "rules" / "r99_mine.py").write_text("raise SystemExit('loaded')\n")
    assert load_checked(policies, TODAY).findings == ()


def test_missing_package_is_a_finding(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema_module._validator.cache_clear()
    monkeypatch.setattr(schema_module, "jsonschema", imports.guarded("no_such_jsonschema"))
    findings = load_site(policies).findings
    schema_module._validator.cache_clear()
    assert "SW0001" in {f.code for f in findings}


def test_a_lock_that_is_absent_gives_a_site_without_members(policies: Path) -> None:
    (policies / "members.lock.json").unlink()
    result = load_site(policies)
    assert result.site is not None
    assert result.site.members == {}
    assert [(f.code, f.severity) for f in result.findings] == [("SW2008", "warning")]


HOSTILE = [
    b"",
    b"null\n",
    b"[]\n",
    b"- - - - 1\n",
    b"true\n",
    b"? {a: b}\n: c\n",
    b"\x00\x01\x02",
    b"%YAML 9.9\n---\n",
    b"--- 1\n--- 2\n",
    b"!!python/object/apply:os.system ['id']\n",
    b"a: !!binary aGk=\n",
    b"a: .nan\n",
    b"a: .inf\n",
    b"a: 1e999\n",
    b"<<: 1\n",
    b"a: 0o777777777777777777777777777777777777777\n",
    b"a: 1:2:3:4:5:6:7:8:9:10:11\n",
    b"a: &x [*x]\n",
    b'a: "\\ud800"\n',
    b"\xef\xbb\xbfa: 1\n",
    b"a: " + b"9" * 6000,
    b"a: 0x" + b"f" * 6000,
    b"{" * 5000,
    b"[" * 200000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b"\t",
    b"a:\n\t- b\n",
    b"'",
    b"a: 2001-13-45\n",
    b"zones: {a: {subnets: ['fe80::1%eth0'], security_level: 1, owner: x}}\nname: x\ntime_zone: ../../etc/passwd\n",
]
FILES = (
    "site.yml",
    "services.yml",
    "networks.yml",
    "guardrails.yml",
    "workflows.yml",
    "enforcement.yml",
    "classification.yml",
    "expectations/all.yml",
    "clinical/pumps.yml",
    "members.lock.json",
)


def _is_sound(result: LoadResult) -> bool:
    """A result is a site, or at least one error; every finding can be shown."""
    errors = [finding for finding in result.findings if finding.severity == "error"]
    assert result.site is not None or errors
    for finding in result.findings:
        str(finding).encode("utf-8")
        assert "\n" not in finding.message
        assert finding.file
        assert not finding.file.startswith("/")
    return True


@pytest.mark.one_python
@pytest.mark.parametrize("file", FILES)
def test_hostile_bytes_in_every_file(policies: Path, file: str) -> None:
    for data in HOSTILE:
        (policies / file).write_bytes(data)
        assert _is_sound(load_checked(policies, TODAY))


JSON_HOSTILE = [
    f'{{"kind": "members", "schema_version": "1.0", "segments": {{"pumps": {{"devices": [{text}]}}}}}}'
    for text in (
        "1e999",
        "NaN",
        "9" * 5000,
        "[" * 100000,
        '"\\ud800"',
        '{"device": "\\n", "addresses": ["x"]}',
        '{"device": "02:00:00:00:01:01", "addresses": ["::1%x", "", "10.1.0.11/24"]}',
    )
]


@pytest.mark.parametrize("number", range(len(JSON_HOSTILE)))
def test_hostile_locks(policies: Path, number: int) -> None:
    (policies / "members.lock.json").write_text(JSON_HOSTILE[number])
    result = load_checked(policies, TODAY)
    assert _is_sound(result)
    assert result.site is None


TOKENS = (
    "any",
    "zone:any",
    "''",
    "null",
    "yes",
    "-1",
    "0",
    "70000",
    "1e400",
    "0.5",
    "[]",
    "{}",
    "[[]]",
    "{a: 1}",
    "'; no aaa'",
    '"a\\nb"',
    '"\\u202e"',
    "*x",
    "&x 1",
    "2026-02-30",
    "10.0.0.0/33",
    "::/0",
    "0.0.0.0/0",
    "1-0",
    "0-99999",
    "x" * 300,
    "../../etc",
    "!!set {}",
    "<<: {}",
    "~",
    "10.1.0.0/24",
    "pumps",
    "gateways",
    "mqtt",
)


def _mutate(text: str, source: random.Random) -> str:
    """Change a text the way people and damage do: values, keys, lines, indentation, single characters."""
    lines = text.split("\n")
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(lines))
        line = lines[at]
        kind = source.randrange(8)
        if kind == 0 and ":" in line:
            lines[at] = line.split(":", 1)[0] + ": " + source.choice(TOKENS)
        elif kind == 1:
            del lines[at]
        elif kind == 2:
            lines.insert(at, source.choice(lines))
        elif kind == 3:
            lines[at] = " " * source.randrange(6) + line
        elif kind == 4 and line:
            place = source.randrange(len(line))
            lines[at] = (
                line[:place] + chr(source.choice((*range(32, 127), 0, 9, 127, 0x202E, 0x1F600))) + line[place + 1 :]
            )
        elif kind == 5 and ":" in line:
            lines[at] = line.replace(":", "x:", 1)
        elif kind == 6 and "[" in line:
            lines[at] = line.replace("[", f"[{source.choice(TOKENS)}, ", 1)
        else:
            lines[at] = line.strip()
        if not lines:
            lines = [""]
    return "\n".join(lines)


@pytest.mark.one_python
def test_random_mutations_never_raise(root: Path, tmp_path: Path, full: bool) -> None:
    source = random.Random(20261123)
    sites = 0
    for base in (root / "policies", root / "tests" / "cases" / "policy" / "base"):
        folder = tmp_path / base.parent.name
        shutil.copytree(base, folder, ignore=shutil.ignore_patterns("expected.json"))
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".yml", ".json"))
        rounds = (2000 if full else 150) if base.name == "base" else (200 if full else 15)
        for _ in range(rounds):
            path = source.choice(files)
            original = path.read_text()
            path.write_text(_mutate(original, source), encoding="utf-8", errors="surrogatepass")
            result = load_checked(folder, TODAY)
            assert _is_sound(result)
            sites += result.site is not None
            path.write_text(original)
    assert sites > 10, "mutations that still load are needed, or the rules are never fuzzed"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["any", "pumps", "mqtt", "10.1.0.0/24"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "zones", "points", "all", "fact", "not", "x"]) | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(schema_module.SCHEMAS), value=values)
def test_any_value_gives_findings_and_no_exception(kind: str, value: object) -> None:
    document = schema_module.Document("x.yml", value, {})
    for finding in schema_module.schema_findings(kind, document):
        assert finding.code.startswith("SW")
        str(finding).encode("utf-8")
