"""What a project becomes: flat flows, slots, responses, intents with labels, training data, warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.program import (
    Act,
    Button,
    Call,
    Collect,
    Edge,
    HandOff,
    Link,
    MappingCondition,
    SetSlots,
    SlotEquals,
    SlotMapping,
)
from bot.project.defaults import SYSTEM_RESPONSES
from tests.project.build import load

BRANCHING = """\
    flows:
      main:
        name: Main thing
        description: Does it.
        if: not slots.size is null
        nlu_trigger:
          - intent: {name: other, confidence_threshold: 0.5}
        persisted_slots: [order_id]
        steps:
          - collect: order_id
            ask_before_filling: true
            reset_after_flow_ends: false
            rejections:
              - if: not (slots.order_id matches "^[0-9]{5}$")
          - action: action_find
            next:
              - if: slots.size = "small"
                then:
                  - set_slots: {size: large}
                  - call: order
                    next: last
              - if: slots.size = "large"
                then: last
              - else:
                  - link: hello
          - id: last
            handoff: complaint
    """
MORE = {"data/my_flows.yml": BRANCHING, "data/more.yml": "nlu:\n- intent: other\n  examples: |\n    - a\n    - b\n"}


def test_nested_steps_become_flat_with_edges(tmp_path: Path) -> None:
    flow = load(tmp_path, {**MORE}).program.flows["main"]
    assert [step.id for step in flow.steps] == [
        "0_collect_order_id",
        "1_action_action_find",
        "3_set_slots",
        "4_call_order",
        "5_link_hello",
        "last",
    ]
    assert flow.steps[1].next == (
        Edge(to="3_set_slots", when='slots.size = "small"'),
        Edge(to="last", when='slots.size = "large"'),
        Edge(to="5_link_hello"),
    )
    assert [type(step) for step in flow.steps] == [Collect, Act, SetSlots, Call, Link, HandOff]
    assert flow.steps[3].next == (Edge(to="last"),)
    assert flow.steps[5].next == (Edge(to=None),)


def test_a_flow_keeps_what_its_author_wrote(tmp_path: Path) -> None:
    flow = load(tmp_path, {**MORE}).program.flows["main"]
    assert (flow.name, flow.description) == ("Main thing", "Does it.")
    assert (flow.triggers, flow.guard, flow.persisted_slots) == (("other",), "not slots.size is null", ("order_id",))
    collect = flow.steps[0]
    assert isinstance(collect, Collect)
    assert (collect.utter, collect.ask_before_filling, collect.reset_after_flow_ends) == (
        "utter_ask_order_id",
        True,
        False,
    )


def test_a_rejection_says_utter_invalid_when_there_is_one(tmp_path: Path) -> None:
    extra = {"domain/more.yml": "responses:\n  utter_invalid_order_id: [{text: Five digits}]\n"}
    collect = load(tmp_path, {**MORE, **extra}).program.flows["main"].steps[0]
    assert isinstance(collect, Collect)
    assert collect.rejections[0].utter == "utter_invalid_order_id"


@pytest.mark.parametrize(
    "trigger", ["[{intent: other}]", "[other]", "[{intent: {name: other}}]", "\n    - intent: other"]
)
def test_triggers_have_several_shapes(tmp_path: Path, trigger: str) -> None:
    flows = f"flows:\n  a:\n    nlu_trigger: {trigger}\n    steps:\n    - action: utter_hello\n"
    program = load(tmp_path, {**MORE, "data/my_flows.yml": flows}).program
    assert program.flow_for["other"] == "a"


SLOTS = """\
    entities: [{city: {roles: [from, to]}}]
    slots:
      origin:
        type: text
        influence_conversation: false
        mappings:
        - {type: from_entity, entity: city, role: from, not_intent: greet}
        - type: from_trigger_intent
          intent: [order]
          value: here
          conditions: [{active_loop: some_form, requested_slot: origin}]
      amount: {type: float, min_value: 1, max_value: 9, initial_value: 3}
      set_by_action: {type: bool, mappings: [{type: custom, action: action_find}]}
      also: {type: any, mappings: [{type: controlled}]}
      free: {type: text, mappings: [{type: from_llm}]}
      own: {type: my.slots.Special}
    """


def test_slots_keep_their_type_and_mappings(tmp_path: Path) -> None:
    slots = load(tmp_path, {"domain/slots.yml": SLOTS}).program.slots
    assert slots["origin"].mappings == (
        SlotMapping(kind="from_entity", entity="city", role="from", not_intents=("greet",)),
        SlotMapping(
            kind="from_trigger_intent",
            intents=("order",),
            value="here",
            conditions=(MappingCondition(loop="some_form", requested="origin"),),
        ),
    )
    assert (slots["amount"].minimum, slots["amount"].maximum, slots["amount"].initial) == (1, 9, 3)
    assert [m.kind for name in ("set_by_action", "also") for m in slots[name].mappings] == ["controlled"] * 2
    assert slots["free"].mappings == ()
    assert (slots["own"].type, slots["origin"].influences) == ("any", False)


RESPONSES = """\
    responses:
      utter_ask_size:
      - text: Which size for {order_id}?
        buttons: [{title: Small, payload: /SetSlots(size=small)}, {title: large}]
        channel: web
        condition: [{type: slot, name: size, value: small}]
        metadata: {a: 1}
        id: "7"
      - custom: {blocks: [{type: divider}]}
      - image: http://a.example/b.png
        attachment: {type: file, payload: {src: x}}
        quick_replies: [{title: Yes, payload: /affirm}]
        elements: [{title: Card}]
    """


def test_responses_keep_every_field(tmp_path: Path) -> None:
    first, custom, last = load(tmp_path, {"domain/r.yml": RESPONSES}).program.responses["utter_ask_size"]
    assert first.buttons == (
        Button(title="Small", payload="/SetSlots(size=small)"),
        Button(title="large", payload="large"),
    )
    assert (first.channel, first.id, first.metadata) == ("web", "7", {"a": 1})
    assert first.conditions == (SlotEquals(slot="size", value="small"),)
    assert custom.custom == {"blocks": [{"type": "divider"}]}
    assert last.image and last.attachment == {"type": "file", "payload": {"src": "x"}}
    assert last.quick_replies and last.elements == ({"title": "Card"},)


def test_system_responses_are_filled_in_and_can_be_overridden(tmp_path: Path) -> None:
    own = {"domain/r.yml": "responses:\n  utter_no_answer: [{text: Dunno}]\n"}
    responses = load(tmp_path, own).program.responses
    assert set(SYSTEM_RESPONSES) <= set(responses)
    assert [variation.text for variation in responses["utter_no_answer"]] == ["Dunno"]


def test_system_responses_speak_the_first_language(tmp_path: Path) -> None:
    chinese = load(tmp_path, {"bot.yml": "languages: [zh, en]\n"}).program
    assert chinese.responses["utter_cancelled"][0].text == "好的，已经停止。"
    assert chinese.behaviour.languages == ("zh", "en")


def test_an_intent_is_labelled_by_the_settings_its_flow_or_its_name(tmp_path: Path) -> None:
    intents = load(tmp_path, {**MORE, "bot.yml": "labels: {greet: Say hello}\n"}).program.intents
    assert [intents[name].label for name in ("greet", "other", "cancel")] == ["Say hello", "Main thing", "Cancel"]


def test_an_intent_may_ignore_entities(tmp_path: Path) -> None:
    domain = """\
        intents: [greet: {use_entities: []}, order: {ignore_entities: [city]}, cancel]
        entities: [city]
        """
    intents = load(tmp_path, {"domain/i.yml": domain}).program.intents
    assert [intents[name].entities for name in ("greet", "order", "cancel")] == [(), ("order_id",), None]


FAQ = {
    "data/faq.yml": """\
        nlu:
        - intent: faq/hours
          examples: |
            - when do you open
            - opening hours
        responses:
          utter_faq/hours: [{text: From nine to five}]
        """,
    "domain/faq.yml": "intents: [{faq: {is_retrieval: true}}]\n",
}


def test_a_retrieval_intent_answers_with_its_own_response(tmp_path: Path) -> None:
    project = load(tmp_path, {**FAQ})
    assert project.program.flow_for["faq/hours"] == "faq/hours"
    assert project.program.flows["faq/hours"].steps[0] == Act(id="utter_faq/hours", action="utter_faq/hours")
    assert project.program.intents["faq/hours"].retrieval and project.program.intents["faq"].retrieval
    assert project.warnings == ()


NLU = {
    "data/all.yml": """\
        nlu:
        - intent: greet
          metadata: {a: 1}
          examples:
          - text: |
              hi there
            metadata: {b: 2}
          - yo

        - intent: order+greet
          examples: |
            - hi, where is [the parcel](order_id:555)

            - hi and [9](order_id)
        - synonym: "555"
          examples: |
            - my parcel
        - regex: zip
          examples: |
            - [0-9]{5}
        - lookup: city
          examples: |
            - Rome
            - New York
        - lookup: country
          examples: data/countries.txt
        """,
    "data/countries.txt": "Italy\n\nPeru\n",
}


def test_training_data_is_read_with_places(tmp_path: Path) -> None:
    nlu = load(tmp_path, {**NLU}).nlu
    mine = [example for example in nlu.examples if example.where.startswith("data/all.yml")]
    assert [(e.text, e.intent, e.where) for e in mine] == [
        ("hi there", "greet", "data/all.yml:5"),
        ("yo", "greet", "data/all.yml:8"),
        ("hi, where is the parcel", "order+greet", "data/all.yml:12"),
        ("hi and 9", "order+greet", "data/all.yml:14"),
    ]
    assert (mine[2].entities[0].start, mine[2].entities[0].end, mine[2].entities[0].value) == (13, 23, "555")
    assert nlu.synonyms == {"the parcel": "555", "my parcel": "555"}
    assert nlu.regexes == {"zip": ("[0-9]{5}",)}
    assert nlu.lookups == {"city": ("Rome", "New York"), "country": ("Italy", "Peru")}


def test_knowledge_paths_are_absolute_and_make_the_bot_look_things_up(tmp_path: Path) -> None:
    project = load(tmp_path, {"bot.yml": "knowledge: [articles, faq.md]\n", "articles/a.md": "# A", "faq.md": "# F"})
    assert project.knowledge == (tmp_path / "articles", tmp_path / "faq.md")
    assert project.program.knowledge


def test_the_id_depends_on_the_content_alone(tmp_path: Path) -> None:
    first = load(tmp_path / "a").program
    assert load(tmp_path / "b").program.id == first.id
    assert load(tmp_path / "c", {"bot.yml": "behaviour: {attempts: 4}\n"}).program.id != first.id
    assert len(first.id) == 64


def test_a_domain_may_be_a_folder(tmp_path: Path) -> None:
    from tests.project.build import GOOD

    whole = load(tmp_path / "a").program
    split = load(tmp_path / "b", {"domain.yml": None, "domain/all/of/it.yaml": GOOD["domain.yml"]}).program
    assert split.id == whole.id


RASA = {
    "config.yml": """\
        recipe: default.v1
        language: de
        pipeline:
        - name: WhitespaceTokenizer
        - name: rasa.nlu.classifiers.diet_classifier.DIETClassifier
          epochs: 100
        - name: my.Thing
        policies:
        - name: RulePolicy
        """,
    "data/rules.yml": "rules:\n- rule: a\n  steps: []\n",
    "data/stories.yml": "stories: []\n",
    "domain/forms.yml": "forms: {a_form: {required_slots: [size]}}\nsession_config: {session_expiration_time: 60}\n",
}


def test_a_rasa_project_loads_with_what_is_left_out_named_once(tmp_path: Path) -> None:
    project = load(tmp_path, {**RASA})
    (first, *others) = map(str, project.warnings)
    assert first.startswith("config.yml:2: the encoder that comes with the installation knows English")
    assert others == [
        "config.yml:7: no counterpart for my.Thing; left out",
        "data/rules.yml:2: rule 'a' has no steps; it is left out",
        "domain/forms.yml:1: form 'a_form' has no question for slot 'size'; write response `utter_ask_size`",
        "domain/forms.yml:1: form 'a_form' asks for slot 'size', but nothing fills it; write its `mappings:`",
    ]
    assert project.settings.languages == ("de",)
    assert project.program.script is not None
    assert project.program.script.forms["a_form"].required == ("size",)


ASKING: dict[str, str | bytes | None] = {
    "data/x.yml": "flows: {x: {steps: [{collect: a, utter: utter_hello}]}}\n",
}
WARNINGS: list[tuple[dict[str, str | bytes | None], str]] = [
    ({"domain/x.yml": "intents: [lonely]\n"}, "domain/x.yml:1: intent 'lonely' has no examples"),
    ({"data/x.yml": "nlu:\n- intent: gret\n  examples: |\n    - a\n    - b\n"}, "x.yml:2: intent 'gret' is not in the"),
    ({"data/x.yml": "nlu:\n- intent: greet\n  examples: |\n    - my parcel\n"}, "'my parcel' belongs to 'order' in"),
    ({"data/x.yml": "nlu:\n- intent: greet\n  examples: |\n    - [a](town)\n"}, "x.yml:4: entity 'town' is annotated"),
    ({"data/x.yml": "nlu:\n- intent: greet\n  examples: |\n    # - a\n"}, "x.yml:4: a comment inside the examples"),
    ({"domain/x.yml": "responses: {utter_x: [{text: a}]}\n"}, "x.yml:1: response 'utter_x' is never used"),
    (
        {"domain/x.yml": "responses: {utter_cancelled: [{text: '{order_ib}'}]}\n"},
        "{order_ib}, but there is no such slot",
    ),
    ({"domain/x.yml": "actions: [action_x]\n"}, "x.yml:1: no code for action_x"),
    (
        {"domain/x.yml": "slots: {a: {type: text, mappings: [{type: from_entity, entity: cty}]}}\n"},
        "waits for entity 'cty'",
    ),
    ({"domain/x.yml": "version: '2.0'\n"}, "x.yml:1: written for version '2.0'"),
    ({"bot.yml": "labels: {gret: Hi}\n"}, "bot.yml: labels: there is no intent 'gret'; did you mean 'greet'?"),
    ({"bot.yml": "behaviour: {cancel_intent: stop}\n"}, "bot.yml: behaviour.cancel_intent: there is no intent 'stop'"),
    (
        {"domain/x.yml": "responses: {utter_failed: [{text: a, buttons: [{title: b, payload: /gret}]}]}\n"},
        "x.yml:1: a button of 'utter_failed' sends /gret, but there is no such intent; did you mean 'greet'?",
    ),
    ({**ASKING, "domain/x.yml": "slots: {a: {type: bool}}\n"}, "no intent affirm, deny"),
    ({**ASKING, "domain/x.yml": "slots: {a: {type: text, mappings: [{type: controlled}]}}\n"}, "only actions may fill"),
    (
        {"domain/x.yml": "intents: [idle]\n", "data/x.yml": "nlu:\n- intent: idle\n  examples: |\n    - a\n    - b\n"},
        "domain/x.yml:1: no flow starts with idle, and there is no knowledge",
    ),
    (
        {"data/x.yml": "nlu:\n- synonym: a\n  examples: |\n    - x\n- synonym: b\n  examples: |\n    - x\n"},
        "x.yml:7: 'x' stands for 'b' here and for 'a' in data/x.yml:4",
    ),
]


@pytest.mark.parametrize(("files", "expected"), WARNINGS)
def test_a_likely_mistake_is_warned_about(tmp_path: Path, files: dict[str, str | bytes | None], expected: str) -> None:
    assert any(expected in str(warning) for warning in load(tmp_path, files).warnings)


def test_a_loop_that_asks_or_acts_is_allowed(tmp_path: Path) -> None:
    flows = """\
        flows:
          again:
            steps:
              - id: ask
                collect: order_id
              - action: action_find
                next:
                  - if: slots.size is null
                    then:
                      - set_slots: [{order_id: null}]
                        next: ask
                  - else: END
        """
    assert load(tmp_path, {"data/my_flows.yml": flows}).program.flows["again"]
