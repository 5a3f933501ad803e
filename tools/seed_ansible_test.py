"""Let ansible-test build its environments without its download host.

The first run of `ansible-test sanity` fetches pip's bootstrap script from a host of its own and dies where that is out of
reach. It looks first at a cache in the home directory. Where that is empty, a stand-in is put there which installs that pip with
uv, or else with the pip that comes with Python's ensurepip. Run with the Python of the environment that holds ansible-test.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

STAND_IN = '''"""Stand-in for pip's bootstrap script: installs with uv, or with the pip wheel that ensurepip carries."""
import glob
import os
import runpy
import shutil
import subprocess
import sys

import ensurepip

# A pip out of its wheel compiles itself anew for each environment, which takes longer than all that it is to install.
wanted = [word for word in sys.argv[1:] if word.startswith("pip==")]
uv = shutil.which("uv")
if uv and wanted:
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable] + wanted
    if subprocess.call(command, env=dict({"UV_SYSTEM_CERTS": "true"}, **os.environ)) == 0:
        raise SystemExit(0)
wheel = glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled", "pip-*.whl"))
if not wheel:  # some distributions keep the wheels elsewhere
    wheel = glob.glob("/usr/share/python-wheels/pip-*.whl")
sys.path.insert(0, wheel[0])
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install"] + options + ([] if any(word.startswith("pip") for word in options) else ["pip"])
runpy.run_module("pip", run_name="__main__")
'''


def bootstrap_versions() -> list[str]:
    """Return the pip versions for which the installed ansible-test would fetch a bootstrap script."""
    found = importlib.util.find_spec("ansible_test")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("ansible-test is not installed in this environment")
    source = Path(found.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    return sorted(set(re.findall(r"""\bpip=['"](\d+(?:\.\d+)+)['"]""", source.read_text(encoding="utf-8"))))


def main() -> int:
    cache = Path.home() / ".ansible" / "test" / "cache"
    versions = bootstrap_versions()
    if not versions:
        print("no pip version found in ansible-test; nothing to seed", file=sys.stderr)
    for version in versions:
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        if script.exists():
            print(f"{script.name} is there")
            continue
        cache.mkdir(parents=True, exist_ok=True)
        script.write_text(STAND_IN, encoding="utf-8")
        print(f"{script.name} written: a stand-in that uses uv or ensurepip's pip")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
