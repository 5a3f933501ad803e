# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SDK imported sparingly is the SDK: the same clients with the same calls, from a tenth of the modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ciscoisesdk")

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import contextlib, json, sys
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sdk_import import NoValidator, sparing
with sparing() if sys.argv[1] == "sparing" else contextlib.nullcontext():
    import ciscoisesdk
loaded = [name for name in sys.modules if name.startswith("ciscoisesdk.")]
schemas = sum(name.startswith("ciscoisesdk.models.validators.") for name in loaded)
def shape(version):
    api = ciscoisesdk.IdentityServicesEngineAPI(
        username="u", password="p", base_url="https://127.0.0.1:1", uses_api_gateway=True, version=version, validator=NoValidator)
    members = {name: getattr(api, name) for name in dir(api) if not name.startswith("_")}
    return {name: [type(each).__module__, type(each).__qualname__, sorted(dir(each))] for name, each in members.items()}
shapes = {}
for version in ("3.1.0", "3.1_Patch_1", "3.2_beta", "3.3_patch_1", "3.5.0"):
    try:
        shapes[version] = shape(version)
    except ciscoisesdk.VersionError:
        shapes[version] = None
try:
    import ciscoisesdk.api.v3_1_0.no_such_family
    absent = False
except ModuleNotFoundError:
    absent = True
print(json.dumps({"schemas": schemas, "shapes": shapes, "absent": absent, "finders": len(sys.meta_path)}))
"""


def imported(how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=120, check=False,
        env={"PYTHONPATH": str(ROOT / "collections"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_same_clients_without_schemas_and_other_versions() -> None:
    plain, spared = imported("plain"), imported("sparing")
    assert plain["schemas"] > 500
    assert spared["schemas"] == 0
    assert sum(shape is not None for shape in plain["shapes"].values()) >= 4
    assert all(len(shape) > 50 for shape in plain["shapes"].values() if shape is not None)
    assert spared["shapes"] == plain["shapes"]
    assert plain["absent"] and spared["absent"]
    assert spared["finders"] == plain["finders"]
