"""Custom actions on the command line: the option that runs them in this process, and the verb that serves them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import console, project_folder
from bot.core.errors import ProjectError

HERE = Path()
PACKAGE = "actions"
Actions = Annotated[
    str | None,
    typer.Option(
        "--actions",
        help="Run this module's rasa-sdk actions in this process, such as `actions`.",
        show_default="as endpoints.yml says, else the project's own `actions`",
    ),
]


def serve_actions(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5055,
    host: Annotated[str, typer.Option(help="Address to listen on; with --grpc always all.")] = "127.0.0.1",
    actions: Annotated[str, typer.Option(help="The module with the actions.")] = PACKAGE,
    grpc: Annotated[bool, typer.Option("--grpc", help="Speak gRPC instead of HTTP.")] = False,
) -> None:
    """Serve the project's custom actions by rasa-sdk's own server, for bots that call them over the network."""
    root = project_folder(directory).resolve()
    path = root.joinpath(*actions.split("."))
    if not path.with_suffix(".py").is_file() and not path.is_dir():
        raise ProjectError(f"there is no module {actions!r} in {root}; expected {actions}.py or a folder of that name")
    scheme, route = ("grpc", "") if grpc else ("http", "/webhook")
    console.print(f"Serving {actions} for `action_endpoint: {{url: {scheme}://{host}:{port}{route}}}`", markup=False)
    command = [sys.executable, "-m", "rasa_sdk", "--actions", actions, "--port", str(port), *["--grpc"] * grpc]
    paths = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "SANIC_HOST": host}
    os.chdir(root)
    os.execve(sys.executable, command, environment)  # noqa: S606 - in our place, so that signals reach the server


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("actions")(serve_actions)
