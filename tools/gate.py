"""The stages of the gate: what `make test` runs and CI repeats. See ``stages.py`` for how they are run.

``gate.py`` runs every stage, ``gate.py unit lint`` these and what they need (a group name stands for its stages),
``gate.py --list`` says which there are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # started isolated, so that no PYTHONPATH interferes

from stages import LAST, Context, Counts, Failure, Skip, Stage, pytest_counts, run_stages, with_needs

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
VENV_SPARK = Path(os.environ.get("VENV_SPARK") or ROOT / ".venv-spark").absolute()
VENV_PEERS = Path(os.environ.get("VENV_PEERS") or ROOT / ".venv-peers").absolute()
VENV_311 = Path(os.environ.get("VENV_311") or ROOT / ".venv-3.11").absolute()
COLLECTION = "segwright.microseg"
PACKAGE = "ansible_collections.segwright.microseg.plugins.plugin_utils"
FULL = os.environ.get("SEGWRIGHT_FULL") == "1"
# What an installed collection is meant to hold; anything else is litter of a checkout.
ARTIFACT = {
    "CHANGELOG.md", "CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json",
    "README.md", "changelogs", "docs", "execution-environment.yml", "extensions", "meta", "playbooks", "plugins",
    "requirements-dev.txt", "requirements-lab.txt", "requirements-peers.txt", "requirements-spark.txt",
    "requirements.txt", "roles", "tests",
}  # fmt: skip


def tool(name: str, venv: Path = VENV) -> Path:
    """Return the path of a program of an environment."""
    return venv / "bin" / name


def path_with(venv: Path) -> dict[str, str]:
    """Return the PATH setting that puts an environment first."""
    return {"PATH": f"{venv / 'bin'}:{os.environ.get('PATH', os.defpath)}", "VIRTUAL_ENV": str(venv)}


def python_version(context: Context, venv: Path) -> str:
    return context.read([tool("python", venv), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()


def playbooks() -> list[Path]:
    return sorted((ROOT / "playbooks").glob("*.yml"))


# ---------------------------------------------------------------- environments


def venv(context: Context) -> None:
    context.check([ROOT / "tools" / "make_venv", VENV])


def venv_311(context: Context) -> None:
    if python_version(context, VENV) == "3.11":
        raise Skip("the environment itself has Python 3.11")
    if not context.read([ROOT / "tools" / "find_python", "3.11"]):
        raise Skip("no working Python 3.11 here")
    context.check([ROOT / "tools" / "make_venv", VENV_311, "3.11"])


def packages(context: Context) -> None:
    status = context.call([ROOT / "tools" / "packages"])
    if status == 3:
        raise Skip(context.log.read_text(encoding="utf-8").strip().splitlines()[-1])
    if status != 0:
        raise Failure(f"exit status {status}")


# ---------------------------------------------------------------- reading the source


def ruff(context: Context) -> None:
    context.check([tool("ruff"), "check", "--output-format", "concise", "."])


def mypy(context: Context) -> None:
    context.check([tool("python"), "-m", "mypy", "-p", PACKAGE])


def yamllint(context: Context) -> None:
    context.check([tool("yamllint"), "--strict", "."])


def ansible_lint(context: Context) -> None:
    if not playbooks() and not any((ROOT / "roles").glob("*/tasks/main.yml")):
        raise Skip("no playbooks and no roles yet")
    context.check([tool("ansible-lint"), "--offline", "--profile", "production"])


def changelog(context: Context) -> None:
    context.check([tool("antsibull-changelog"), "lint"])
    context.check([tool("antsibull-changelog"), "lint-changelog-yaml", "--strict", "changelogs/changelog.yaml"])


def docs(context: Context) -> None:
    context.check([tool("python"), ROOT / "tools" / "generate_docs.py", "--check"])
    context.check([tool("python"), ROOT / "tools" / "check_docs.py"])
    if not any((ROOT / "plugins" / "modules").glob("*.py")):
        raise Skip("links and generated parts are right; no modules yet whose documentation could be read")
    context.check([tool("antsibull-docs"), "lint-collection-docs", ".", "--plugin-docs"])


# ---------------------------------------------------------------- unit tests


def pytest(
    context: Context, environment: Path, *arguments: str, workers: bool = False, extra: Mapping[str, str] | None = None
) -> Counts:
    """Run pytest with one environment; no test at all counts as a skipped stage, a crash as a failed one."""
    report = context.output / f"{context.log.stem}.xml"
    report.unlink(missing_ok=True)
    spread = ["-n", "2", "--dist", "loadfile"] if workers else []
    command = [
        tool("python", environment),
        "-m",
        "pytest",
        "-q",
        "--durations=8",
        f"--junitxml={report}",
        *spread,
        *arguments,
    ]
    status = context.call(command, extra={**path_with(environment), **(extra or {})})
    if status == 5:
        raise Skip("no tests yet")
    counts = pytest_counts(report)
    if status != 0 and not counts.failed:
        raise Failure(f"pytest ended with {status}")
    return counts


def unit(context: Context) -> Counts:
    return pytest(context, VENV, "tests/unit", workers=True)


def unit_311(context: Context) -> Counts:
    """Of every file the first test that takes no seconds; the long run leaves nothing out.

    What an older Python would break is mostly syntax and imports, which that test meets.
    """
    if FULL:
        return pytest(context, VENV_311, "tests/unit", workers=True)
    # Most of the time goes into reading the files of tests, which each worker does by itself: one is enough.
    chosen = ("-m", "not one_python and not corpora", "--first-of-each-file", "1")
    return pytest(context, VENV_311, *chosen, "tests/unit")


def unit_lowest(context: Context) -> Counts:
    """The lower bounds of requirements.txt are a claim; this is its test."""
    if not FULL:
        raise Skip("long suite; make full runs it")
    lowest = context.scratch / "lowest"
    base = context.read([ROOT / "tools" / "find_python", "3.11"]).strip()
    if not base:
        raise Skip("no working Python 3.11 here")
    context.check([base, "-m", "venv", lowest])
    install = [tool("uv"), "pip", "install", "--quiet", "--python", tool("python", lowest)]
    context.check(
        [*install, "--resolution", "lowest-direct", "--only-binary", ":all:", "--requirement", "requirements.txt"]
    )
    # The tools of the tests are not what is being measured: only what is missing is added, nothing is moved.
    context.check([*install, "hypothesis", "oxidd", "pytest-xdist", "--requirement", "requirements-lab.txt"])
    return pytest(context, lowest, "tests/unit", workers=True)


def spark(context: Context) -> Counts:
    """The operations on Spark, in this process and on a master with a worker, against those on DuckDB."""
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        raise Skip("no Java here; the flow engine on Spark needs a JDK 17")
    if not tool("python", VENV_SPARK).exists():
        context.check([tool("python"), "-m", "venv", VENV_SPARK])
    install = [tool("uv"), "pip", "install", "--quiet", "--python", tool("python", VENV_SPARK)]
    if context.call([*install, "pytest", "--requirement", "requirements-spark.txt"]) != 0:
        raise Skip("the packages of requirements-spark.txt cannot be had here")
    # A small store is asked once: Java's quicker code would cost more to make than it saves.
    java = {} if FULL else {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    return pytest(context, VENV_SPARK, "tests/spark", extra=java)


def peers(context: Context) -> Counts:
    """The official cisco.ise modules, unmodified and in an environment of their own, against the emulated ISE."""
    status = context.call([tool("python"), "-m", "tests.peers.cisco_ise"], extra={"VENV_PEERS": str(VENV_PEERS)})
    if status == 3:
        raise Skip(context.log.read_text(encoding="utf-8").strip().splitlines()[-1])
    if status != 0:
        raise Failure(f"exit status {status}")
    if FULL and context.call([tool("python"), "-m", "tests.peers.cisco_ios"]) not in (0, 3):
        raise Failure("the environment of cisco.ios cannot be built")
    return pytest(context, VENV, "tests/peers")


# ---------------------------------------------------------------- the artifact


def artifact_directory(context: Context) -> Path:
    # Outside the checkout: ansible-test asks git for the files where it finds a repository above it.
    return context.scratch / "artifact" / "ansible_collections" / "segwright" / "microseg"


def artifact(context: Context) -> None:
    """Build the collection, install it into an empty place, and look at what came out."""
    place = context.scratch / "artifact"
    context.check([tool("ansible-galaxy"), "collection", "build", ".", "--force", "--output-path", place])
    # Not from the checkout: its ansible.cfg shows the collection as already installed.
    install = [
        tool("ansible-galaxy"),
        "collection",
        "install",
        *place.glob("*.tar.gz"),
        "--no-deps",
        "--force",
        "-p",
        place,
    ]
    context.check(install, cwd=place)
    installed = artifact_directory(context)
    litter = sorted({entry.name for entry in installed.iterdir()} - ARTIFACT)
    if litter:
        raise Failure(
            f"the artifact holds what belongs to the checkout (build_ignore in galaxy.yml): {', '.join(litter)}"
        )
    exceptions = sorted(path.name for path in installed.rglob("ignore-*.txt"))
    if exceptions:
        raise Failure(f"sanity exceptions are not taken here: {', '.join(exceptions)}")
    # What an execution environment would install for it, and that one can be laid out from the checkout.
    context.check([tool("ansible-builder"), "introspect", place])
    context.check([tool("ansible-builder"), "create", "--context", context.scratch / "ee"])
    needed = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").split()
    # The builder itself leaves out ansible-core and pyyaml: the image's own ansible-core brings both.
    seen = context.log.read_text(encoding="utf-8")
    own = ("ansible-core", "pyyaml")
    lost = [line for line in needed if ">=" in line and line not in seen and not line.startswith(own)]
    if lost:
        raise Failure(f"ansible-builder does not see {', '.join(lost)}")


def sanity_with(context: Context, environment: Path) -> None:
    extra = path_with(environment)
    context.check([tool("python", environment), ROOT / "tools" / "seed_ansible_test.py"], extra=extra)
    version = python_version(context, environment)
    command = [tool("ansible-test", environment), "sanity", "--local", "--color", "no", "--python", version]
    if FULL:
        runs = [command]
    else:  # every file is loaded by way of those that no other file imports: import_graph.py
        outermost = context.read([tool("python", environment), ROOT / "tools" / "import_graph.py"]).split()
        if not outermost:
            raise Failure("tools/import_graph.py names no file")
        runs = [[*command, "--skip-test", "import"], [*command, "--test", "import", *outermost]]
    for run in runs:
        context.check(run, cwd=artifact_directory(context), extra=extra)


def sanity(context: Context) -> None:
    sanity_with(context, VENV)


def sanity_219(context: Context) -> None:
    if not FULL:
        raise Skip("long suite; make full runs it")
    sanity_with(context, VENV_311)


def importer(context: Context) -> None:
    """What Galaxy itself would say of the artifact."""
    place = context.scratch / "importer"
    place.mkdir()
    tarball = next((context.scratch / "artifact").glob("*.tar.gz"))
    # Its run of ansible-lint leaves rules out; the stage ansible-lint reads the same files with all of them.
    extra = path_with(VENV) | ({} if FULL else {"GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false"})
    context.check([tool("python"), "-m", "galaxy_importer.main", tarball], cwd=place, extra=extra)
    said = context.log.read_text(encoding="utf-8")
    if not (place / "importer_result.json").is_file():
        raise Failure("no result was written")
    result = json.loads((place / "importer_result.json").read_text(encoding="utf-8"))
    complaints = [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR", "CRITICAL"))]
    if complaints:
        raise Failure(f"{len(complaints)} complaints, the first: {complaints[0]}")
    context.note(f"contents: {len(result.get('contents') or [])}")


# ---------------------------------------------------------------- running it


def core_219(context: Context) -> None:
    """Every playbook parses with the oldest ansible-core of the gate, by path and by its full name; validate runs."""
    if not playbooks():
        raise Skip("no playbooks yet")
    command = [tool("ansible-playbook", VENV_311), "--syntax-check", "-i", "localhost,"]
    context.check([*command, *playbooks()], extra=path_with(VENV_311))
    context.check([*command, *(f"{COLLECTION}.{path.stem}" for path in playbooks())], extra=path_with(VENV_311))
    if "validate.yml" in {path.name for path in playbooks()}:
        settings = json.dumps({"microseg_data_dir": str(context.scratch / "core-2.19")})
        command = [tool("ansible-playbook", VENV_311), "-i", "localhost,", "playbooks/validate.yml", "-e", settings]
        context.check(command, extra=path_with(VENV_311))


def bare(context: Context) -> None:
    """The installed collection needs only four of its folders (facts/ansible.md section 2)."""
    if not playbooks():
        raise Skip("no playbooks yet")
    place, installed = context.scratch / "bare", artifact_directory(context)
    for name in ("meta", "plugins", "roles", "playbooks"):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, place / installed.relative_to(context.scratch / "artifact") / name)
    extra = {"ANSIBLE_COLLECTIONS_PATH": str(place)}
    names = [f"{COLLECTION}.{path.stem}" for path in playbooks()]
    context.check([tool("ansible-playbook"), "--syntax-check", "-i", "localhost,", *names], cwd=place, extra=extra)
    if "validate.yml" in {path.name for path in playbooks()}:
        settings = json.dumps({"microseg_policy_dir": str(ROOT / "policies"), "microseg_data_dir": str(place / "data")})
        command = [tool("ansible-playbook"), "-i", "localhost,", f"{COLLECTION}.validate", "-e", settings]
        context.check(command, cwd=place, extra=extra)


def integration(context: Context) -> Counts:
    if not any((ROOT / "tests" / "integration").rglob("test_*.py")):
        raise Skip("no tests/integration/test_*.py yet")
    return pytest(context, VENV, "-m", "not without_lab", "tests/integration")


def targets(context: Context) -> Counts:
    return pytest(context, VENV, "-m", "without_lab", "tests/integration")


def copy_of_checkout(context: Context, place: Path) -> None:
    """Copy what git holds or would hold, as a project sync would lay it out."""
    names = context.read(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")
    if not any(names):
        raise Skip("not a git checkout")
    for name in filter(None, names):
        source, target = ROOT / name, place / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def runner(context: Context) -> None:
    """AWX's way: a project checkout, no installed collection, the collection path that a job gets (facts/ansible.md section 7)."""
    if not (ROOT / "playbooks" / "validate.yml").is_file():
        raise Skip("no playbooks/validate.yml yet")
    job = context.scratch / "job"
    project = job / "project"
    copy_of_checkout(context, project)
    git = ["git", "-c", "user.name=gate", "-c", "user.email=gate@localhost", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "project"]):
        context.check([*git, *words], cwd=project)
    for name in ("env", "inventory"):
        (job / name).mkdir()
    shutil.copy2(ROOT / "inventory" / "lab" / "hosts.yml", job / "inventory" / "hosts.yml")
    (job / "env" / "extravars").write_text(json.dumps({"microseg_data_dir": str(job / "data")}), encoding="utf-8")
    paths = [
        job / "requirements_collections",
        "./collections",
        "~/.ansible/collections",
        "/usr/share/ansible/collections",
    ]
    collections = {"ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, paths))}
    (job / "env" / "envvars").write_text(json.dumps(collections), encoding="utf-8")

    def run(name: str) -> None:
        command = [tool("ansible-runner"), "run", job, "--ident", name, "-p", f"playbooks/{name}.yml"]
        context.check(command, extra=path_with(VENV))

    run("validate")
    if not (ROOT / "playbooks" / "plan.yml").is_file() or not (ROOT / "tests" / "lab" / "__main__.py").is_file():
        context.note("no plan: no playbooks/plan.yml or no lab yet")
        return
    if os.geteuid() != 0:
        context.note("no plan: the lab's firewall needs root")
        return
    try:
        context.check([tool("python"), "-m", "tests.lab", "up"])
        run("plan")
    finally:
        context.call([tool("python"), "-m", "tests.lab", "down"])
    # What a workflow hands to its approval node.
    events = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (job / "artifacts" / "plan" / "job_events").glob("*.json")
    ]
    stats = [
        event["event_data"].get("artifact_data", {}) for event in events if event.get("event") == "playbook_on_stats"
    ]
    if not stats or not stats[0].get("microseg_plan_id"):
        raise Failure("the plan handed no microseg_plan_id to the next node of a workflow")


def demo(context: Context) -> None:
    """The README's first promise, as a newcomer would run it."""
    if not (ROOT / "tests" / "lab" / "demo.py").is_file():
        raise Skip("no tests/lab/demo.py yet")
    context.check([tool("python"), "-m", "tests.lab", "demo"], extra=path_with(VENV))


def deprecations(context: Context) -> None:
    """No run above used what ansible-core is about to drop."""
    found = []
    for log in (context.output / "logs" / f"{result.stage}.log" for result in context.results):
        if log.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{log.stem}: {line}" for line in lines if "[DEPRECATION WARNING]" in line]
    for line in found:
        context.note(line)
    if found:
        raise Failure(f"{len(found)} deprecation warnings")


TREE_BEFORE: dict[str, str] = {}


def tree(context: Context) -> None:
    """In CI, where nobody else works in the checkout, no stage may leave anything behind in it."""
    if os.environ.get("CI") != "true":
        raise Skip("only in CI (CI=true)")
    after = context.read(["git", "status", "--porcelain"])
    if after != TREE_BEFORE.get("status", ""):
        context.note(after)
        raise Failure("the run changed the checkout")


# The lab serves one run at a time, and mostly waits, as do tests of single targets: their stages have lanes beside the
# others. What reads the artifact begins when the lab's tests are through.
STAGES = [
    Stage("venv", venv, (), "the environment from the tested lock (newest Python of 3.13, 3.12, 3.11)"),
    Stage("venv-3.11", venv_311, ("venv",), "a second one with Python 3.11 and ansible-core 2.19"),
    Stage("packages", packages, (), "Debian packages of the lab; installed when missing and allowed", "lab"),
    Stage("ruff", ruff, ("venv",), "style and likely faults"),
    Stage("mypy", mypy, ("venv",), "types of the engine, strict"),
    Stage("yamllint", yamllint, ("venv",), "all YAML"),
    Stage("changelog", changelog, ("venv",), "fragments and changelog"),
    Stage("unit", unit, ("venv",), "unit tests, among them the rules of the house", after=("packages",)),
    Stage(
        "unit-3.11",
        unit_311,
        ("venv-3.11",),
        "the first of each file with Python 3.11 and ansible-core 2.19 (full: all)",
        after=("packages",),
    ),
    Stage(
        "unit-lowest",
        unit_lowest,
        ("venv",),
        "the same with the lower bounds of requirements.txt (full)",
        after=("packages",),
    ),
    Stage("peers", peers, ("venv",), "the official cisco.ise modules, unmodified, against the emulated ISE"),
    Stage(
        "spark", spark, ("venv",), "flow operations on Spark give what DuckDB gives (where Java is)", "spark", ("demo",)
    ),
    Stage(
        "artifact",
        artifact,
        ("venv",),
        "build, install into an empty place, look inside; execution environment",
        "artifact",
        ("integration",),
    ),
    Stage("docs", docs, ("venv",), "links, generated parts, module documentation"),
    Stage("ansible-lint", ansible_lint, ("venv",), "production profile"),
    Stage("core-2.19", core_219, ("venv-3.11",), "every playbook parses with ansible-core 2.19, validate runs"),
    Stage("bare", bare, ("artifact",), "the artifact without all that is not needed at run time", "artifact"),
    Stage("runner", runner, ("venv", "packages"), "ansible-runner with AWX's collection path", "lab"),
    Stage("integration", integration, ("venv", "packages"), "the loop against the lab", "lab"),
    Stage("targets", targets, ("venv", "packages"), "ISE, switches and firewalls, each emulated by itself", "targets"),
    Stage("demo", demo, ("venv", "packages"), "make demo", "lab"),
    Stage("sanity", sanity, ("artifact",), "ansible-test sanity on the artifact, no exceptions", "artifact"),
    Stage("sanity-2.19", sanity_219, ("artifact", "venv-3.11"), "the same with ansible-core 2.19 (full)", "artifact"),
    Stage("importer", importer, ("artifact",), "galaxy-importer on the artifact", "artifact"),
    Stage("deprecations", deprecations, (), "no deprecation warning in any output of this run", LAST),
    Stage("tree", tree, (), "the run left the checkout as it was (CI)", LAST),
]
GROUPS = {
    "lint": ("ruff", "mypy", "yamllint", "ansible-lint"),
    "all": tuple(stage.name for stage in STAGES),
}


def main(arguments: list[str]) -> int:
    if "--list" in arguments:
        for stage in STAGES:
            print(f"{stage.name:<13} {stage.title}")
        for name, members in GROUPS.items():
            print(f"{name:<13} {'everything' if name == 'all' else ' '.join(members)}")
        return 0
    chosen = [name for word in arguments or ["all"] for name in GROUPS.get(word, (word,))]
    unknown = sorted(set(chosen) - {stage.name for stage in STAGES})
    if unknown:
        print(f"no such stage: {', '.join(unknown)} (tools/run_stages --list)", file=sys.stderr)
        return 2

    # What a user has set for other work must not decide how the gate runs; nor may colour get into the logs.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(ANSIBLE_|PYTEST_|PYTHON|MYPY|RUFF_|VIRTUAL_ENV)", name)
    }
    environment |= {
        "NO_COLOR": "1",
        "PY_COLORS": "0",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "true"),  # as tools/make_venv
        **path_with(VENV),
    }
    environment |= {"LC_ALL": environment.get("LC_ALL") or "C.UTF-8"}
    if not FULL:
        environment["PYTHONPATH"] = str(ROOT / "tools" / "kept_bytecode")
    output = ROOT / "tests" / "output"
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="segwright-gate-") as scratch:
        # A lab of the gate's own, beside one that may be running here.
        environment.setdefault("SEGWRIGHT_LAB_ID", "90")
        environment["SEGWRIGHT_LAB_DIR"] = str(Path(scratch) / "lab")
        context = Context(ROOT, output, Path(scratch), environment)
        TREE_BEFORE["status"] = context.read(["git", "status", "--porcelain"])
        try:
            total = run_stages(with_needs(chosen, STAGES), context)
        except KeyboardInterrupt:
            print("\ninterrupted; what was started has been ended")
            return 130
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
