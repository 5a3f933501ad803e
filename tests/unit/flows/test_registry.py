"""The kinds of inputs: their order, their documentation, and modules of users."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.kind import HEAD
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_import

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "flow-sources.md"
VALUES = {"kind": "auto", "check_mode": False, "partial": False}


def example() -> str:
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[0]


def test_the_documentation_names_the_kinds_in_their_order() -> None:
    rows = [f"| `{each.name}` | {each.summary} |" for each in registry.BUILT_IN]
    assert "\n".join(["| kind | what it is |", "|---|---|", *rows]) in DOCUMENT.read_text(encoding="utf-8")
    module = (ROOT / "plugins" / "modules" / "flow_import.py").read_text(encoding="utf-8")
    for each in registry.BUILT_IN:
        assert f"- V({each.name}) is {each.summary}" in " ".join(module.split()), each.name


def test_kinds_are_told_apart_by_their_beginning_and_nothing_is_raised() -> None:
    assert len({each.name for each in registry.BUILT_IN}) == len(registry.BUILT_IN)
    for head in (b"", b"\0", b"\xff" * HEAD, b"\x00" * HEAD, bytes(range(256)) * 16, b"{" * HEAD, b"#" * 100):
        assert [each.name for each in registry.BUILT_IN if each.sniff(Path("/nonexistent"), head)] == []


def test_the_example_of_the_documentation_imports(tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "gateway.py").write_text(example(), encoding="utf-8")
    lines = ["2026-11-23T08:00:00Z tcp 192.0.2.10:40000 192.0.2.20:443 12 3400", "not a flow", ""]
    (tmp_path / "day.gateway").write_text("\n".join(lines), encoding="utf-8")
    values = {**VALUES, "paths": [str(tmp_path / "day.gateway")], "data_dir": str(tmp_path / "data")}
    failed = run_flow_import(values)
    assert failed["failed"] and failed["errors"][0]["code"] == "SW1402"
    result = run_flow_import({**values, "source_plugins": [str(folder)]})
    assert (result["inputs"][0]["kind"], result["records"], result["connections"]) == ("gateway_lines", 1, 1)
    assert [(each["code"], each["line"]) for each in result["warnings_found"]] == [("SW1409", 2)]
    row = store.rollup(tmp_path / "data").to_pylist()[0]
    assert (row["server_port"], row["packets"], row["bytes"], row["method"]) == (443, 12, 3400, 0)
    assert not run_flow_import({**values, "source_plugins": [str(folder)]})["changed"]


def test_a_module_may_have_data_classes_with_annotations_as_text(tmp_path: Path) -> None:
    head = "from __future__ import annotations\nfrom dataclasses import dataclass, field\n"
    body = (
        "\n\n@dataclass\nclass Held:\n    rows: list[int] = field(default_factory=list)\n\nassert Held().rows == []\n"
    )
    (tmp_path / "x.py").write_text(head + example().replace("from __future__ import annotations\n", "") + body, "utf-8")
    assert next(each.name for each in registry.kinds([tmp_path])) == "gateway_lines"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise OSError('x')", "OSError: x"),
        ("def", "SyntaxError"),
        ("", "no KIND"),
        ("KIND = 5", "no KIND"),
        (example().replace('"gateway_lines", "lines', '"pcap", "lines'), "taken"),
        (example().replace('"gateway_lines", "lines', '"auto", "lines'), "taken"),
        (example().replace('"gateway_lines", "lines', '"A b", "lines'), "no name"),
    ],
)
def test_modules_that_cannot_be_used_are_findings(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    with pytest.raises(FindingError, match=f"SW1451.*{reason}"):
        registry.kinds([tmp_path])
    with pytest.raises(FindingError, match="SW1451"):
        registry.kinds([tmp_path / "absent"])


def test_an_unknown_kind_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    values = {**VALUES, "kind": "cap", "paths": [str(tmp_path / "x")], "data_dir": str(tmp_path / "data")}
    with pytest.raises(FindingError, match=r"SW1402.*export_pcap"):
        run_flow_import(values)
