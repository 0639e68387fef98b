"""Small projects for tests, written to a folder file by file."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from bot.project import Project, load_project

GOOD = {
    "domain.yml": """\
        version: "3.1"
        intents: [greet, order, cancel]
        entities: [order_id]
        slots:
          order_id:
            type: text
            mappings: [{type: from_entity, entity: order_id}]
          size: {type: categorical, values: [small, large]}
        responses:
          utter_hello: [{text: Hello}]
          utter_ask_order_id: [{text: Which order?}]
        actions: [action_find]
        """,
    "data/nlu.yml": """\
        nlu:
        - intent: greet
          examples: |
            - hello
            - good morning
        - intent: order
          examples: |
            - where is [12345](order_id)
            - my parcel
        - intent: cancel
          examples: |
            - stop
            - forget it
        """,
    "data/flows.yml": """\
        flows:
          hello:
            nlu_trigger: [{intent: greet}]
            steps:
              - action: utter_hello
          order:
            nlu_trigger: [{intent: order}]
            steps:
              - collect: order_id
              - action: action_find
        """,
    "actions.py": """\
        from bot.actions import action

        @action("action_find")
        def find(call):
            return None
        """,
}
"""A project without a fault or a warning."""


def write(root: Path, files: dict[str, str | bytes | None]) -> Path:
    """Write files below `root`; None leaves one out."""
    for name, content in files.items():
        if content is None:
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
    return root


def load(root: Path, files: dict[str, str | bytes | None] | None = None) -> Project:
    """Load the good project with some of its files replaced or, by None, left out."""
    return load_project(write(root, {**GOOD, **(files or {})}))
