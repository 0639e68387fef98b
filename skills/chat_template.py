"""A tokenizer's own chat template, applied as the transformers library does, without that library.

Templates come with models and are not trusted: they run in Jinja's sandbox, see plain texts only, and cannot change
what they are given (as `transformers.utils.chat_template_utils`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.core.errors import InputError
from skills.decoder_files import read_json

Messages = Sequence[tuple[str, str]]
"""Roles ("system", "user", "assistant") and contents."""

_TALK = (("user", "Asked0"), ("assistant", "Answered0"), ("user", "Asked1"))
_ERRORS = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a template that is wrong may raise."""


class ChatTemplate:
    """Renders messages. `marks` are the texts of the tokenizer's special tokens, by their names in templates.

    Raises:
        InputError: the template does not compile, or leaves out what was said.
    """

    def __init__(self, source: str, marks: Mapping[str, str]) -> None:
        self._marks = dict(marks)
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise InputError(f"the tokenizer's chat template is none: {error}") from error
        self._system = True
        self._system = self._shows([("system", "Rules0"), *_TALK])
        if not self._shows(_TALK):
            raise InputError("the tokenizer's chat template leaves out, or refuses, what was said; it is none for talk")

    @classmethod
    def read(cls, folder: Path) -> ChatTemplate | None:
        """The template of a tokenizer's folder, the one called "default" if there are several; None without one."""
        config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
        file = folder / "chat_template.jinja"
        source = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
        if isinstance(source, list):
            named = {entry["name"]: entry["template"] for entry in source}
            source = named.get("default")
        if not source:
            return None
        kinds = "bos_token", "eos_token", "pad_token", "unk_token"
        marks = {kind: _text(config[kind]) for kind in kinds if config.get(kind)}
        return cls(source, marks)

    def render(self, messages: Messages) -> str:
        """The text up to where the assistant's words begin. The first message may be the system's; then the user's and
        the assistant's alternate.

        Raises:
            InputError: the template refuses the messages.
        """
        if not self._system and messages[0][0] == "system":
            first, second = messages[0], messages[1]
            messages = [(second[0], f"{first[1]}\n\n{second[1]}"), *messages[2:]]
        return self._rendered(messages)

    def after_answer(self) -> str:
        """What the template writes after an assistant's words."""
        return self._rendered(_TALK[:2], more=False).rpartition(_TALK[1][1])[2]

    def _shows(self, messages: Messages) -> bool:
        """Whether the template takes the messages, and writes all that they say."""
        try:
            text = self.render(messages)
        except InputError:
            return False
        return all(words in text for _, words in messages)

    def _rendered(self, messages: Messages, *, more: bool = True) -> str:
        listed = [{"role": role, "content": words} for role, words in messages]
        values = {**self._marks, "messages": listed, "tools": None, "documents": None, "add_generation_prompt": more}
        try:
            return self._template.render(values)
        except _ERRORS as error:
            raise InputError(f"the tokenizer's chat template refuses the talk: {error}") from error


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = _json
    made.globals |= {"raise_exception": _refuse, "strftime_now": _today}
    return made


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for training; here it changes nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _today(form: str) -> str:
    return datetime.now().strftime(form)


def _text(token: Any) -> str:
    """Special tokens stand as texts or as objects with their text."""
    return str(token["content"] if isinstance(token, dict) else token)
