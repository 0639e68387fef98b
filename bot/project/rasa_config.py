"""What a Rasa `config.yml` asks for, in terms of ours.

One encoder with its heads does the work of the pipeline; rules, stories and the learned ranking that of the policies.
The language and the settings that change what a bot does are taken over; a component without a counterpart is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.hints import listed
from bot.project.fields import Fields
from bot.project.imports import imported_paths
from bot.project.problems import Problems
from bot.yaml import Node, describe, read_yaml

_ENCODER = "the shared sentence encoder"
_INTENT = "the intent head"
_ENTITIES = "the entity head"
_RULES = "entity rules, regular expressions and lookup tables"

COMPONENTS: dict[str, str] = {
    "WhitespaceTokenizer": _ENCODER,
    "JiebaTokenizer": _ENCODER,
    "MitieTokenizer": _ENCODER,
    "SpacyTokenizer": _ENCODER,
    "MitieNLP": _ENCODER,
    "SpacyNLP": _ENCODER,
    "MitieFeaturizer": _ENCODER,
    "SpacyFeaturizer": _ENCODER,
    "ConveRTFeaturizer": _ENCODER,
    "LanguageModelFeaturizer": _ENCODER,
    "RegexFeaturizer": _RULES,
    "CountVectorsFeaturizer": _ENCODER,
    "LexicalSyntacticFeaturizer": _ENCODER,
    "DIETClassifier": f"{_INTENT} and {_ENTITIES}",
    "MitieIntentClassifier": _INTENT,
    "LogisticRegressionClassifier": _INTENT,
    "SklearnIntentClassifier": _INTENT,
    "KeywordIntentClassifier": _INTENT,
    "FallbackClassifier": "the out-of-scope score, with its thresholds",
    "MitieEntityExtractor": _ENTITIES,
    "SpacyEntityExtractor": _ENTITIES,
    "CRFEntityExtractor": _ENTITIES,
    "DucklingEntityExtractor": _RULES,
    "DucklingHTTPExtractor": _RULES,
    "RegexEntityExtractor": _RULES,
    "EntitySynonymMapper": "synonyms",
    "ResponseSelector": "retrieval intents",
    "TEDPolicy": "the learned ranking",
    "UnexpecTEDIntentPolicy": "the learned ranking",
    "MemoizationPolicy": "stories",
    "AugmentedMemoizationPolicy": "stories",
    "RulePolicy": "rules",
    "FlowPolicy": "flows",
}
"""Rasa's components and what does their work here."""

_DUCKLING = ("DucklingEntityExtractor", "DucklingHTTPExtractor")
_DIMENSIONS = {
    "time": ("date", "time"),
    "duration": ("duration",),
    "number": ("number",),
    "amount-of-money": ("money",),
    "email": ("email",),
    "phone-number": ("phone",),
    "url": ("url",),
}
"""Duckling's dimensions and the built-in types that find the same."""
_KNOWN = ("recipe", "version", "spaces", "system_entities", "core_target", "nlu_target")
_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_MEMORIES = ("AugmentedMemoizationPolicy", "MemoizationPolicy")


@dataclass(frozen=True, slots=True)
class RasaConfig:
    """What `config.yml` says. `settings` are defaults for ours, `script` fields of `Script`.

    `restricts`: rules may hold one message of the user each, as RulePolicy's `restrict_rules` asks. `built_in` are the
    built-in entity types that are looked for, those that Duckling would find; `None` without a config.yml: all that the
    domain names. `imports` are files and folders of other projects. `language_at` is where the language stands.
    """

    settings: dict[str, JsonValue] = field(default_factory=dict)
    script: dict[str, JsonValue] = field(default_factory=dict)
    assistant_id: str = ""
    restricts: bool = True
    built_in: tuple[str, ...] | None = None
    imports: tuple[Path, ...] = ()
    language_at: str = ""


def read_rasa_config(root: Path, problems: Problems) -> RasaConfig:
    """What `config.yml` says, if there is one."""
    name = next((name for name in ("config.yml", "config.yaml") if (root / name).is_file()), "")
    if not name:
        return RasaConfig()
    try:
        node = read_yaml(root / name, name)
    except ProjectError as error:
        problems.errors.append(error)
        return RasaConfig()
    if node.value is None:
        return RasaConfig()
    with Fields(node, problems, "config.yml", strict=False) as fields:
        fields.known(*_KNOWN)
        imports = imported_paths(root, fields)
        language = _language(fields)
        assistant = "".join(fields.words("assistant_id"))
        pipeline = {_component(item, problems): item for item in fields.items("pipeline")}
        policies = {_component(item, problems): item for item in fields.items("policies")}
    _name_unknown({**pipeline, **policies}, problems)
    return RasaConfig(
        settings={"languages": [language]} if language else {},
        script=_script(pipeline, policies, problems),
        assistant_id=assistant,
        restricts=_setting(policies, ("RulePolicy",), "restrict_rules") is not False,
        built_in=_built_in(pipeline),
        imports=imports,
        language_at=fields.where("language") if language else "",
    )


def _language(fields: Fields) -> str:
    """The language's code, such as `en` for `en_core_web_md`; empty when there is none."""
    code = fields.text("language").split("_")[0].strip().lower()
    if code and not _CODE.fullmatch(code):
        message = f"`language` {code[:40]!r} is no code such as en or pt-br; it is left out"
        fields.problems.warn(message, fields.where("language"))
        return ""
    return code


def _name_unknown(components: dict[str, Node], problems: Problems) -> None:
    missing = {name: node.where for name, node in components.items() if name and name not in COMPONENTS}
    if missing:
        problems.warn(f"no counterpart for {listed(missing)}; left out", next(iter(missing.values())))


def _component(node: Node, problems: Problems) -> str:
    """The bare name of a component; `rasa.nlu...WhitespaceTokenizer` counts as `WhitespaceTokenizer`."""
    name = node.map["name"].value if "name" in node.map else node.value
    if not isinstance(name, str):
        problems.error(f"expected a component such as `- name: DIETClassifier`, found {describe(node)}", node.where)
        return ""
    return name.rsplit(".", 1)[-1] if name.startswith("rasa.") else name


def _script(pipeline: dict[str, Node], policies: dict[str, Node], problems: Problems) -> dict[str, JsonValue]:
    """How a script is followed; an empty pipeline, or empty policies, are Rasa's own default ones."""
    found: dict[str, JsonValue] = {
        "ranks": not policies or "TEDPolicy" in policies,
        "nlu_fallback": not pipeline or "FallbackClassifier" in pipeline,
        "fallback": (not policies or "RulePolicy" in policies)
        and _setting(policies, ("RulePolicy",), "enable_fallback_prediction") is not False,
    }
    for key, limit in (("threshold", "threshold"), ("ambiguity", "ambiguity_threshold")):
        found |= _share(key, pipeline, "FallbackClassifier", limit, problems)
    history = _setting(policies, _MEMORIES, "max_history")
    if isinstance(history, int) and not isinstance(history, bool) and history > 0:
        found["history"] = history
    elif history is not None:
        problems.error(f"`max_history` must be a whole number above 0, found {history!r}", _place(policies, _MEMORIES))
    found |= _share("fallback_below", policies, "RulePolicy", "core_fallback_threshold", problems)
    action = _setting(policies, ("RulePolicy",), "core_fallback_action_name")
    if isinstance(action, str) and action.strip():
        found["fallback_action"] = action.strip()
    return found


def _share(
    name: str, components: dict[str, Node], component: str, key: str, problems: Problems
) -> dict[str, JsonValue]:
    """A component's setting that must be a number from 0 to 1, under our name; nothing when it is not stated."""
    value = _setting(components, (component,), key)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return {name: float(value)}
    if value is not None:
        problems.error(f"`{key}` must be a number from 0 to 1, found {value!r}", _place(components, (component,)))
    return {}


def _built_in(pipeline: dict[str, Node]) -> tuple[str, ...]:
    """Our names of what the pipeline's Duckling looks for: entities keep their own words as values without it."""
    if not any(name in pipeline for name in _DUCKLING):
        return ()
    wanted = _setting(pipeline, _DUCKLING, "dimensions")
    kept = wanted if isinstance(wanted, list) else list(_DIMENSIONS)
    return tuple(kind for dimension in kept for kind in _DIMENSIONS.get(str(dimension), ()))


def _setting(components: dict[str, Node], names: tuple[str, ...], key: str) -> JsonValue:
    """A setting of the first of these components that is there."""
    for name in names:
        if name in components:
            node = components[name].map.get(key)
            return None if node is None else node.plain()
    return None


def _place(components: dict[str, Node], names: tuple[str, ...]) -> str:
    return next(components[name].where for name in names if name in components)
