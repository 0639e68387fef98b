"""Chat templates: the same text as the transformers library makes, and what a template may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from bot.core.errors import InputError
from skills.chat_template import ChatTemplate

LOOPS = (
    "{%- set found = namespace(system='') -%}\n"
    "{% for message in messages %}\n"
    "    {% if message['role'] == 'system' %}\n"
    "        {% set found.system = message['content'] %}\n"
    "        {% continue %}\n"
    "    {% endif %}\n"
    "    {{- bos_token if loop.first or loop.index == 2 and found.system -}}\n"
    "    [{{ message.role | upper }}] {{ found.system ~ ' ' if loop.last and found.system }}"
    "{{ message.content | trim }}\n"
    "    {%- if message.role == 'assistant' %}{% generation %} done{{ eos_token }}{% endgeneration %}{% endif %}\n"
    "{% endfor %}\n"
    "{% if tools is not none %}{{ tools | tojson }}{% endif %}{{ {'ö': '<b>'} | tojson(indent=1) }}\n"
    "{%- if add_generation_prompt %}[ASSISTANT]{% endif %}"
)
STRICT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<turn>' + role + '\n' + m['content'] | trim + '</turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
DATED = "{% for m in messages %}{{ strftime_now('%Y') }} {{ m.role }}: {{ m.content }}\n{% endfor %}"
TALK = [("user", "Where is it? "), ("assistant", "On its <way>."), ("user", "Ünd jetzt?\n")]


def write(folder: Path, template: Any) -> Path:
    Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, "<s>")).save(str(folder / "tokenizer.json"))
    marks: dict[str, Any] = {"bos_token": {"content": "<s>", "__type": "AddedToken"}, "eos_token": "</s>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def read(folder: Path) -> ChatTemplate:
    found = ChatTemplate.read(folder)
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("template", [LOOPS, STRICT, DATED])
def test_it_renders_what_transformers_renders(template: str, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    fast: Any = PreTrainedTokenizerFast
    theirs = fast.from_pretrained(write(tmp_path, template))
    for talk in (TALK, [("system", "Be brief."), *TALK]):
        if talk[0][0] == "system" and template == STRICT:
            continue
        messages = [{"role": role, "content": words} for role, words in talk]
        expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert read(tmp_path).render(talk) == expected


def test_rules_go_before_the_first_words_where_there_is_no_system_message(tmp_path: Path) -> None:
    found = read(write(tmp_path, STRICT))
    assert found.render([("system", "Be brief."), *TALK]).startswith("<s><turn>user\nBe brief.\n\nWhere is it?</turn>")
    assert found.after_answer() == "</turn>\n"


def test_the_default_of_several_templates_and_a_file_of_its_own_are_found(tmp_path: Path) -> None:
    several = [{"name": "tools", "template": "x"}, {"name": "default", "template": STRICT}]
    assert read(write(tmp_path, several)).render(TALK).startswith("<s>")
    (tmp_path / "chat_template.jinja").write_text(DATED)
    assert "user: Where" in read(tmp_path).render(TALK)
    assert ChatTemplate.read(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ messages[7].content }}",
        "{{ 1 + 'a' }}",
        "{% include 'tokenizer.json' %}",
    ],
)
def test_a_template_that_fails_or_reaches_out_is_refused(template: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chat template"):
        read(write(tmp_path, template + STRICT))
