"""The `forms`, `session_config`, `config` and `e2e_actions` sections of a domain."""

from __future__ import annotations

from typing import Any

from bot.core.script import Form, Session
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, describe

Where = dict[str, str]
_MOVE = "Rasa 3 keeps them with the slot: below `slots:`, add to `mappings:` of {slot!r} what stands here, with"
_WITH = "`conditions: [{{active_loop: {form}, requested_slot: {slot}}}]`, and list the slot's name here: `- {slot}`"


class ScriptSections:
    """Gathers those sections from all domain files. `asked_at` are the places of slots by form and slot."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.forms: dict[str, Form] = {}
        self.forms_at: Where = {}
        self.asked_at: dict[tuple[str, str], str] = {}
        self.session = Session()
        self.store_entities = True

    def read(self, key: str, section: Node) -> None:
        """Read the section called `key`."""
        getattr(self, f"read_{key}")(section)

    def read_forms(self, section: Node) -> None:
        if not isinstance(section.value, dict):
            example = "`my_form: {required_slots: [city]}`"
            self.problems.error(f"`forms` must be a map such as {example}, found {describe(section)}", section.where)
        for name, node in section.map.items():
            where = section.where_key(name)
            form = self._form(name, Node({}, node.file, node.line) if node.value is None else node)
            if self.forms.get(name, form) != form:
                self.problems.error(f"form {name!r} is written in {self.forms_at[name]} already", where)
            self.forms[name] = form
            self.forms_at.setdefault(name, where)

    def _form(self, name: str, node: Node) -> Form:
        if node.map and "required_slots" not in node.map and set(node.map) != {"ignored_intents"}:
            old = next(iter(node.map))
            if isinstance(node.map[old].value, list | dict):
                message = f"form {name!r}: expected `required_slots: [...]`, found {old!r}; put the slots below it"
                self.problems.error(message, node.where_key(old))
                return Form(name=name)
        with Fields(node, self.problems, f"form {name!r}") as fields:
            required, ignored = self._required(name, fields), fields.texts("ignored_intents")
        return Form(name=name, required=required, ignored_intents=ignored)

    def _required(self, form: str, fields: Fields) -> tuple[str, ...]:
        node = fields.get("required_slots")
        if node is None:
            return ()
        if isinstance(node.value, dict):
            slot = next(iter(node.map), "slot")
            move = f"{_MOVE} {_WITH}".format(form=form, slot=slot)
            fields.error(f"form {form!r}: mappings inside `required_slots` are of Rasa 2. {move}", node.where)
            return tuple(node.map)
        for item in node.items:
            if isinstance(item.value, str):
                self.asked_at.setdefault((form, item.value), item.where)
        return tuple(dict.fromkeys(fields.texts("required_slots")))

    def read_session_config(self, section: Node) -> None:
        with Fields(section, self.problems, "session_config") as fields:
            given: dict[str, Any] = {"carry_over": fields.flag("carry_over_slots_to_new_session", True)}
            minutes = fields.number("session_expiration_time")
        if minutes is not None and minutes < 0:
            fields.wrong("session_expiration_time", "a number of minutes, 0 for never")
        elif minutes is not None:
            given["expires"] = minutes
        self.session = Session(**given)

    def read_config(self, section: Node) -> None:
        with Fields(section, self.problems, "config of the domain", strict=False) as fields:
            self.store_entities = fields.flag("store_entities_as_slots", True)

    def read_e2e_actions(self, section: Node) -> None:
        """Texts that stories say word by word; the stories themselves tell which."""
        if not all(isinstance(item.value, str) for item in section.items) or not isinstance(section.value, list):
            self.problems.error(f"`e2e_actions` must be a list of texts, found {describe(section)}", section.where)
