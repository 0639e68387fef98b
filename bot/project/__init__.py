"""Reads a project folder (Rasa 3.x YAML, flows, bot.yml) into a checked `Program` and training data."""

from bot.project.endpoints import Credentials, Endpoint, Endpoints
from bot.project.load import Project, load_project
from bot.project.nlu import NluData, NluExample
from bot.project.problems import ProjectErrors, ProjectWarning

__all__ = [
    "Credentials",
    "Endpoint",
    "Endpoints",
    "NluData",
    "NluExample",
    "Project",
    "ProjectErrors",
    "ProjectWarning",
    "load_project",
]
