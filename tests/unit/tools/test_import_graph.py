"""The quick run's import test loads what nobody imports; that is every file only where no file imports itself by way of others."""

from __future__ import annotations

from tools.import_graph import PREFIX, circle, imports_of, outermost, plugins

HERE = f"{PREFIX}plugins.plugin_utils"


def test_no_file_imports_itself_by_way_of_others_and_the_outermost_reach_every_file() -> None:
    graph = imports_of(plugins())
    assert not circle(graph)
    reached, waiting = set(), outermost(graph)
    assert len(waiting) < len(graph) / 4
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += graph[path]
    assert reached == set(graph)


def test_imports_are_those_of_loading() -> None:
    texts = {
        "plugins/action/x.py": f"import json\nfrom {HERE}.a.one import f\nimport {HERE}.b.two as two\n",
        "plugins/plugin_utils/a/__init__.py": "",
        "plugins/plugin_utils/a/one.py": f"def f():\n    from {HERE}.b import two\n",
        "plugins/plugin_utils/b/__init__.py": "",
        "plugins/plugin_utils/b/two.py": (
            f"if TYPE_CHECKING:\n    from {HERE}.a.one import f\ntry:\n    import numpy\nexcept ImportError:\n"
            f"    from {HERE}.b import three\n"
        ),
        "plugins/plugin_utils/b/three.py": "",
        "plugins/plugin_utils/b/alone.py": "",
    }
    a, b = "plugins/plugin_utils/a", "plugins/plugin_utils/b"
    graph = imports_of(texts)
    assert graph["plugins/action/x.py"] == {f"{a}/__init__.py", f"{a}/one.py", f"{b}/__init__.py", f"{b}/two.py"}
    assert graph[f"{a}/one.py"] == set()
    assert graph[f"{b}/two.py"] == {f"{b}/__init__.py", f"{b}/three.py"}
    assert outermost(graph) == ["plugins/action/x.py", f"{b}/alone.py"]
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    one, two, three = (f"plugins/plugin_utils/a/{name}.py" for name in ("one", "two", "three"))
    texts = {
        one: f"from {HERE}.a import two\n",
        two: f"from {HERE}.a.three import x\n",
        three: f"class C:\n    from {HERE}.a import one\n",
    }
    assert set(circle(imports_of(texts))) == {one, two, three}
