"""Small projects for tests, written to a folder file by file."""

from __future__ import annotations

from collections.abc import Mapping
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


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
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


RASA: dict[str, str | bytes | None] = {
    "domain.yml": """\
        version: "3.1"
        intents: [greet, affirm, deny, inform, bye, faq]
        entities: [{city: {roles: [from, to], groups: ["1"]}}, day]
        slots:
          city: {type: text, mappings: [{type: from_entity, entity: city}]}
          day: {type: categorical, values: [today, tomorrow], mappings: [{type: from_entity, entity: day}]}
          sure: {type: bool, mappings: [{type: from_intent, intent: affirm, value: true}]}
        forms:
          trip_form: {required_slots: [city, day]}
        responses:
          utter_hello: [{text: Hello}]
          utter_bye: [{text: Bye}]
          utter_sure: [{text: Sure?}]
          utter_ask_city: [{text: Where to?}]
          utter_ask_trip_form_day: [{text: Which day?}]
          utter_faq/hours: [{text: From nine to five}]
        actions: [action_book]
        """,
    "endpoints.yml": "action_endpoint: {url: 'http://localhost:5055/webhook'}\n",
    "data/nlu.yml": """\
        nlu:
        - {intent: greet, examples: "- hello\\n- good morning"}
        - {intent: affirm, examples: "- yes\\n- sure"}
        - {intent: deny, examples: "- no\\n- never"}
        - {intent: inform, examples: "- to [Rome](city)\\n- [today](day)"}
        - {intent: bye, examples: "- bye\\n- see you"}
        - {intent: faq/hours, examples: "- when are you open\\n- opening hours"}
        """,
    "data/rules.yml": """\
        rules:
        - rule: answer questions
          steps:
          - intent: faq
          - action: utter_faq
        - rule: bye
          steps:
          - intent: bye
          - action: utter_bye
        - rule: begin
          steps:
          - intent: inform
          - action: trip_form
          - active_loop: trip_form
        - rule: end
          condition:
          - active_loop: trip_form
          steps:
          - action: trip_form
          - active_loop: null
          - slot_was_set: [{requested_slot: null}]
          - action: action_book
        """,
    "data/stories.yml": """\
        stories:
        - story: hello
          steps:
          - intent: greet
          - action: utter_hello
          - intent: affirm
          - action: utter_sure
          - intent: deny
          - action: utter_bye
        """,
}
"""A Rasa project without a fault or a warning."""


def script(root: Path, stories: str = "", **files: str | bytes | None) -> Project:
    """Load the Rasa project with other stories, or files (`domain__more` stands for domain/more.yml)."""
    named = {f"{name.replace('__', '/')}.yml": content for name, content in files.items()}
    return load_project(write(root, {**RASA, **({"data/stories.yml": stories} if stories else {}), **named}))
