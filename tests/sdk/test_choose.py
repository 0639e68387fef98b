"""Which server runs a project's actions."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.core.errors import NotFound, ProjectError
from bot.core.protocols import ActionResult
from bot.doctor import Finding, examine
from bot.project import load_project
from bot.sdk.choose import ActionSource, Servers
from tests.fakes import Actions
from tests.sdk.serving import call

OURS = 'from bot.actions import action\n@action("action_x")\ndef x(call):\n    return None\n'
SDK = """
from rasa_sdk import Action
class Y(Action):
    def name(self):
        return "action_y"
    def run(self, dispatcher, tracker, domain):
        return []
"""
HTTP = "action_endpoint:\n  url: http://127.0.0.1:9/webhook\n"
ROOT = Path(__file__).parents[2]


def opened(root: Path, files: dict[str, str], module: str | None = None) -> Servers | None:
    """The servers of a project with these files."""
    domain = "intents: [a]\nactions: [action_x, action_y]\n"
    for name, text in {"domain.yml": domain, "data/nlu.yml": "nlu: []\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ActionSource(module).open(load_project(root))


def kinds(servers: Servers | None) -> list[str]:
    return [type(server).__name__ for server in servers.servers] if servers else []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"actions.py": OURS}, ["LocalActions"]),
        ({"actions.py": SDK}, ["InProcessActions"]),
        ({"actions/__init__.py": "", "actions/all.py": SDK}, ["InProcessActions"]),
        ({"actions/__init__.py": ""}, []),
        ({"actions.py": OURS + SDK}, ["LocalActions", "InProcessActions"]),
        ({"endpoints.yml": HTTP}, ["HttpActions"]),
        ({"endpoints.yml": HTTP.replace("http:", "grpc:")}, ["GrpcActions"]),
        ({"endpoints.yml": HTTP, "actions.py": SDK}, ["HttpActions"]),
        ({"endpoints.yml": HTTP, "actions.py": OURS}, ["LocalActions", "HttpActions"]),
    ],
)
def test_the_files_of_a_project_decide(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert kinds(opened(tmp_path, files)) == expected


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    found = opened(tmp_path, {"mine.py": SDK, "endpoints.yml": HTTP, "actions.py": OURS}, "mine")
    assert kinds(found) == ["InProcessActions"] and found is not None and found.names == ("action_y",)


def test_actions_that_nobody_asked_for_may_be_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"actions.py": SDK + "import no_such_package\n"}
    assert opened(tmp_path, broken) is None
    assert "no_such_package" in capsys.readouterr().out
    with pytest.raises(ProjectError, match="no_such_package"):
        opened(tmp_path, broken, "actions")


async def test_an_action_is_run_by_the_first_that_knows_it() -> None:
    one, two = (
        Actions(action_x=lambda call: ActionResult(slots={"by": 1})),
        Actions(action_x=lambda call: ActionResult()),
    )
    servers = Servers((one, two))
    assert (await servers.run(call())).slots == {"by": 1} and servers.names == ("action_x",)
    with pytest.raises(NotFound):
        await servers.run(call("action_z"))


def test_the_doctor_sees_whether_the_action_server_is_there(tmp_path: Path) -> None:
    def found() -> Finding:
        return next(finding for finding in examine(tmp_path) if finding.what == "action server")

    opened(tmp_path, {})
    assert found().state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        opened(tmp_path, {"endpoints.yml": HTTP.replace(":9/", f":{port}/")})
        assert found() == Finding("action server", "ok", f"127.0.0.1:{port} answers")
    assert found().state == "warning" and "bot serve --actions actions" in found().fix
    with pytest.raises(ProjectError, match="NO_SUCH_HOST_SET"):
        opened(tmp_path, {"endpoints.yml": "action_endpoint: {url: 'http://${NO_SUCH_HOST_SET}/'}\n"})
    assert found().state == "error"


@pytest.mark.slow
def test_a_project_without_such_actions_imports_neither_rasa_sdk_nor_grpc(tmp_path: Path) -> None:
    opened(tmp_path, {"actions.py": OURS})
    code = (
        "import sys; from pathlib import Path; from bot.app import ActionSource, load_project\n"
        f"ActionSource().open(load_project(Path({str(tmp_path)!r})))\n"
        "print([name for name in ('rasa_sdk', 'grpc', 'sanic', 'torch', 'google.protobuf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]")
