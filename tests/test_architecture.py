"""The shape of the code: who may import whom, how long things may get, what starts fast."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bot", "skills", "retrieval", "training", "connectors")
OURS = set(PACKAGES)
Function = ast.FunctionDef | ast.AsyncFunctionDef

MAY_IMPORT = {
    "skills": ("bot.core", "bot.sound", "skills"),
    "retrieval": ("bot.core", "retrieval"),
    "connectors": ("bot.core", "bot.sound", "connectors"),
    "training": (
        "bot.core",
        "bot.store",
        "bot.bundles",
        "bot.manifest",
        "bot.project",
        "bot.sound",
        "bot.config",
        "skills",
        "retrieval",
        "training",
    ),
}


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass
class File:
    """What the tests ask of a file, found in one walk over its statements; the trees themselves are let go."""

    path: Path
    name: str
    lines: int
    imports: list[str] = field(default_factory=list)
    at_load: list[str] = field(default_factory=list)
    """Imports outside functions and TYPE_CHECKING."""
    functions: list[tuple[str, int, list[str]]] = field(default_factory=list)
    """Where, how many lines, and the parameters without self and cls."""
    broad: int = 0
    """Handlers of every exception."""
    calls: set[str] = field(default_factory=set)
    """Names that are called; looked for only where eval, exec or __import__ stand in the text."""

    def read(self, statements: list[ast.stmt], at_load: bool) -> None:
        for node in statements:
            names = list(_imported(node))
            self.imports += names
            self.at_load += names if at_load else []
            if isinstance(node, Function):
                self._function(node)
            for handler in getattr(node, "handlers", ()):
                self.broad += handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")
            hidden = isinstance(node, Function) or _for_types_only(node)
            for block in _blocks(node):
                self.read(block, at_load and not hidden)

    def _function(self, node: Function) -> None:
        names = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
        where = f"{self.path}:{node.lineno} {node.name}"
        length = (node.end_lineno or 0) - node.lineno + 1
        self.functions.append((where, length, [name for name in names if name not in ("self", "cls")]))


def _imported(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of statements within a statement."""
    yield from (getattr(node, name, []) for name in ("body", "orelse", "finalbody"))
    yield from (part.body for name in ("handlers", "cases") for part in getattr(node, name, ()))


@cache
def files() -> list[File]:
    return [_read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _read(path: Path) -> File:
    text = path.read_text(encoding="utf-8")
    tree, inside = ast.parse(text), path.relative_to(ROOT)
    file = File(inside, module(path), len(text.splitlines()))
    file.read(tree.body, at_load=True)
    if re.search(r"\b(eval|exec|__import__)\b", text):
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        file.calls = {called.id for called in calls if isinstance(called, ast.Name)}
    return file


def roots(names: list[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_one_walk_sees_every_statement() -> None:
    text = """
import a
if TYPE_CHECKING:
    import b
try:
    import c
except Exception:
    import d
else:
    import e
finally:
    import f
class C:
    import g
    async def m(self, x, *, y):
        with z:
            import h
        for _ in z:
            import i
        else:
            import j
        match x:
            case 1:
                import k
        try:
            pass
        except:
            import l
"""
    file = File(Path("x.py"), "x", 0)
    file.read(ast.parse(text).body, at_load=True)
    assert (file.imports, file.at_load) == (list("abcefdghijkl"), list("acefdg"))
    assert (file.broad, file.functions) == (2, [("x.py:15 m", 14, ["x", "y"])])


def test_the_core_is_pure() -> None:
    allowed = set(sys.stdlib_module_names) | {"pydantic"}
    impure = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "subprocess", "threading", "time", "datetime"}
    for file in files():
        if file.path.is_relative_to("bot/core"):
            found = roots([name for name in file.imports if not name.startswith("bot.core")])
            assert found <= allowed - impure, f"{file.path} imports {sorted(found - allowed | found & impure)}"


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_arrows(package: str) -> None:
    for file in files():
        if file.path.is_relative_to(package):
            ours = {name for name in file.imports if name.split(".")[0] in OURS}
            wrong = {name for name in ours if not name.startswith(MAY_IMPORT[package])}
            assert not wrong, f"{file.path} may not import {sorted(wrong)}"


def test_only_the_command_line_starts_training() -> None:
    for file in files():
        if file.name.split(".")[0] != "training" and not file.name.startswith("bot.cli"):
            assert "training" not in roots(file.imports), f"{file.name} imports training"


def test_no_import_cycles() -> None:
    names = {file.name for file in files()}
    graph = {file.name: {other for other in file.at_load if other in names and other != file.name} for file in files()}
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
    long_files = [str(file.path) for file in files() if file.lines > 400]
    long_functions = [where for file in files() for where, length, _ in file.functions if length > 60]
    assert (long_files, long_functions) == ([], [])


def test_functions_take_at_most_six_parameters() -> None:
    verbs = "bot/cli"  # a verb of the command line has an option per parameter
    found = [where for file in files() for where, _, names in file.functions if len(names) > 6]
    assert [where for where in found if not where.startswith(verbs)] == []


def test_broad_excepts_stand_only_at_the_boundaries() -> None:
    broad = {str(file.path): file.broad for file in files() if file.broad}
    assert set(broad) <= {"bot/turns.py", "bot/runner.py", "bot/server/errors.py", "bot/cli/main.py"}
    assert sum(broad.values()) <= 4


def test_nothing_is_pickled_or_evaluated() -> None:
    for file in files():
        assert not {"pickle", "joblib", "dill", "marshal", "shelve"} & roots(file.imports), file.path
        assert not {"eval", "exec", "__import__"} & file.calls, file.path


def test_import_bot_is_light() -> None:
    heavy = "torch", "aiohttp", "transformers", "sqlalchemy", "onnxruntime"
    code = f"import sys, bot; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
