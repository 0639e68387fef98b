"""The shape of the code: who may import whom, how long things may get, what starts fast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bot", "skills", "retrieval", "training", "connectors")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
OURS = set(PACKAGES)

MAY_IMPORT = {
    "skills": ("bot.core", "skills"),
    "retrieval": ("bot.core", "retrieval"),
    "connectors": ("bot.core", "connectors"),
    "training": (
        "bot.core",
        "bot.store",
        "bot.bundles",
        "bot.manifest",
        "bot.project",
        "bot.config",
        "skills",
        "retrieval",
        "training",
    ),
}


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, *, at_load_only: bool = False) -> Iterator[str]:
    """The modules that a file names; at load only: outside functions and TYPE_CHECKING."""
    for node in _at_load(tree) if at_load_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_load(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        hidden = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not hidden and not typing_only:
            yield node
            yield from _at_load(node)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def test_the_core_is_pure() -> None:
    allowed = set(sys.stdlib_module_names) | {"pydantic"}
    impure = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "subprocess", "threading", "time", "datetime"}
    for path, tree in TREES.items():
        if path.is_relative_to(ROOT / "bot" / "core"):
            roots = {name.split(".")[0] for name in imports(tree) if not name.startswith("bot.core")}
            assert roots <= allowed - impure, (
                f"{path.relative_to(ROOT)} imports {sorted(roots - allowed | roots & impure)}"
            )


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_arrows(package: str) -> None:
    for path, tree in TREES.items():
        if path.is_relative_to(ROOT / package):
            ours = {name for name in imports(tree) if name.split(".")[0] in OURS}
            wrong = {name for name in ours if not name.startswith(MAY_IMPORT[package])}
            assert not wrong, f"{path.relative_to(ROOT)} may not import {sorted(wrong)}"


def test_only_the_command_line_starts_training() -> None:
    for path, tree in TREES.items():
        name = module(path)
        if name.split(".")[0] != "training" and not name.startswith("bot.cli"):
            found = [other for other in imports(tree) if other.split(".")[0] == "training"]
            assert not found, f"{name} imports {found}"


def test_no_import_cycles() -> None:
    names = {module(path) for path in FILES}
    graph = {
        module(path): {other for other in imports(tree, at_load_only=True) if other in names and other != module(path)}
        for path, tree in TREES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_files_and_functions_stay_short() -> None:
    long_files = [str(p.relative_to(ROOT)) for p in FILES if len(p.read_text(encoding="utf-8").splitlines()) > 400]
    long_functions = [where for where, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > 60]
    assert (long_files, long_functions) == ([], [])


def test_functions_take_at_most_six_parameters() -> None:
    def count(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        names = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
        return len([name for name in names if name not in ("self", "cls")])

    verbs = "bot/cli"  # a verb of the command line has an option per parameter
    assert [w for w, node in functions() if count(node) > 6 and not w.startswith(verbs)] == []


def test_broad_excepts_stand_only_at_the_boundaries() -> None:
    broad = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            ):
                broad.append(str(path.relative_to(ROOT)))
    assert set(broad) <= {"bot/turns.py", "bot/runner.py", "bot/server/errors.py", "bot/cli/main.py"}
    assert len(broad) <= 4


def test_nothing_is_pickled_or_evaluated() -> None:
    for path, tree in TREES.items():
        assert not {"pickle", "joblib", "dill", "marshal", "shelve"} & {n.split(".")[0] for n in imports(tree)}, path
        calls = [n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert not {"eval", "exec", "__import__"} & set(calls), path


def test_import_bot_is_light() -> None:
    heavy = "torch", "aiohttp", "transformers", "sqlalchemy", "onnxruntime"
    code = f"import sys, bot; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
