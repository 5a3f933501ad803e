"""The actions and lookups as a play uses them: one run of ansible-playbook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from tests.unit.flows import packets

DAY = 1_795_392_000
PUMP = "02:00:5e:10:00:11"


def play(tasks: list[dict[str, Any]], tmp_path: Path, root: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run tasks on localhost; returns (exit code, registered results by name, everything printed)."""
    program = Path(sys.executable).with_name("ansible-playbook")
    if not program.exists():
        pytest.skip("ansible-playbook is not installed beside this Python")
    results = tmp_path / "results.json"
    names = [each["register"] for each in tasks if "register" in each]
    kept = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
    keep = {"ansible.builtin.copy": {"dest": str(results), "content": kept, "mode": "0600"}, "check_mode": False}
    (tmp_path / "play.yml").write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [*tasks, keep]}])
    )
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path),
    }
    command = [str(program), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    command += [str(tmp_path / "play.yml"), *options]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=180)
    shown = done.stdout + done.stderr
    return done.returncode, json.loads(results.read_text()) if results.exists() else {}, shown


@pytest.mark.one_python
def test_a_play_imports_shows_and_looks_up(root: Path, tmp_path: Path) -> None:
    frames = packets.session(DAY, "192.0.2.11", 40000, "192.0.2.20", 502)
    packets.write(tmp_path / "a.pcap", frames)
    data_dir = str(tmp_path / "d")
    facts = {"endpoint_profile": "Infusion-Pump"}
    storage.write(merge([Observation(PUMP, facts, ("192.0.2.11",), "ise", DAY * 1_000_000, 0.95)]), data_dir)
    shutil.copy(tmp_path / "a.pcap", tmp_path / "same.pcap")
    source = {"paths": [str(tmp_path / "*.pcap")], "data_dir": data_dir}
    tasks = [
        {"segwright.microseg.flow_import": source, "register": "planned", "check_mode": True},
        {"segwright.microseg.flow_import": source, "register": "first"},
        {"segwright.microseg.flow_import": {**source, "reorient": True}, "register": "second"},
        {"segwright.microseg.flow_info": {"data_dir": data_dir}, "register": "info"},
        {"segwright.microseg.register_info": {"data_dir": data_dir, "device": "192.0.2.11"}, "register": "devices"},
        {
            "segwright.microseg.flow_import": {**source, "hints": [{"address": "nowhere", "ports": "1"}]},
            "register": "refused",
            "ignore_errors": True,
        },
        {
            "segwright.microseg.flow_listen": {
                "port": 2055,
                "sources": ["192.0.2.1"],
                "seconds": 0,
                "data_dir": data_dir,
            },
            "register": "unbounded",
            "ignore_errors": True,
        },
        {
            "ansible.builtin.set_fact": {
                "found": {
                    "rows": f"{{{{ query('segwright.microseg.flows', '192.0.2.11', data_dir='{data_dir}', bind=true) }}}}",
                    "beside": [
                        f"{{{{ query('segwright.microseg.flows', data_dir='{data_dir}', kind='{kind}') }}}}"
                        for kind in ("denies", "names", "related")
                    ],
                    "profile": f"{{{{ lookup('segwright.microseg.device', '{PUMP}', data_dir='{data_dir}', fact='endpoint_profile') }}}}",
                }
            },
            "register": "looked_up",
        },
        *(
            {
                "ansible.builtin.debug": {
                    "msg": f"{{{{ query('segwright.microseg.flows', data_dir='{data_dir}', {what}) }}}}"
                },
                "register": f"unread_{number}",
                "ignore_errors": True,
            }
            for number, what in enumerate(
                ("kind='denies', segment='pumps'", "kind='names', port=53", "unanswered=true", "limit=-1")
            )
        ),
    ]
    code, results, shown = play(tasks, tmp_path, root)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert "[DEPRECATION WARNING]" not in shown
    assert (results["planned"]["changed"], results["first"]["changed"], results["second"]["changed"]) == (
        True,
        True,
        False,
    )
    assert sorted(each["status"] for each in results["planned"]["inputs"]) == ["known", "new"], "one content, two names"
    assert results["first"]["connections"] == 1
    assert results["second"]["reoriented"] == 0
    assert results["info"]["counts"]["flows"] == 1
    assert [each["id"] for each in results["devices"]["devices"]] == [PUMP]
    assert results["refused"]["errors"][0]["code"] == "SW1431"
    assert results["unbounded"]["errors"][0]["code"] == "SW1444"
    refused = [results[f"unread_{number}"] for number in range(4)]
    assert all(each["failed"] for each in refused), "all rows would pass for those that were asked for"
    assert "kind=denies has no segment" in refused[0]["msg"]
    found = results["looked_up"]["ansible_facts"]["found"]
    assert found["beside"] == [[], [], []], "what is asked for is no conversation"
    assert found["profile"] == "Infusion-Pump"
    assert [(row["client_device"], row["service"]) for row in found["rows"]] == [(PUMP, "modbus")]
