"""Wording: from the name of a response to messages. Pure and repeatable.

A variation is chosen as Rasa does: one whose condition and channel both fit, else one for the channel, else one whose
condition fits, else a plain one. Within that group the choice is spread evenly, but the same conversation at the same
point always gets the same one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from pydantic import JsonValue

from bot.core.conversation import Conversation
from bot.core.messages import Card, Choice, Choices, Custom, File, Image, Message, Part, Text
from bot.core.program import Button, Program, SlotEquals, Variation

_HOLE = re.compile(r"\{(\w+)\}")
Names = Mapping[str, JsonValue]


def slot_values(conversation: Conversation, program: Program) -> dict[str, JsonValue]:
    """The slots as the author sees them: initial values, then what the conversation set."""
    return {**program.initial_slots, **conversation.slots}


def render(name: str, conversation: Conversation, program: Program, extra: Names | None = None) -> tuple[Message, ...]:
    """The messages of response `name`; none when the program has no such response.

    `{slot}` is replaced in every string; an unknown name is left as it is. `extra` adds names to the slots.
    """
    variations = _fitting(name, conversation, program)
    if not variations:
        return ()
    point = f"{conversation.id}/{conversation.seq}/{name}".encode()
    chosen = variations[zlib.crc32(point) % len(variations)]
    names = {**slot_values(conversation, program), **(extra or {})}
    return (Message(id="", name=name, parts=_parts(chosen, names)),)


def words(name: str, conversation: Conversation, program: Program, otherwise: str = "") -> tuple[Message, ...]:
    """The messages of a response, or a plain sentence when the program lacks it: an answer is never empty."""
    plain = Text(text=otherwise or "Sorry, something went wrong. Please try again.")
    return render(name, conversation, program) or (Message(id="", name=name, parts=(plain,)),)


_ORDER = ("text", "image", "audio", "card", "file", "custom", "choices")


def with_parts(message: Message, parts: tuple[Part, ...]) -> Message:
    """The message with further parts: buttons are added to its own, any other part takes the place of its kind."""
    if not parts:
        return message
    given = {part.kind for part in parts}
    kept = tuple(part for part in message.parts if part.kind == "choices" or part.kind not in given)
    together = sorted((*kept, *parts), key=lambda part: _ORDER.index(part.kind))
    options = tuple(option for part in together if isinstance(part, Choices) for option in part.options)
    others = tuple(part for part in together if not isinstance(part, Choices))
    return message.model_copy(update={"parts": (*others, Choices(options=options)) if options else others})


def _fitting(name: str, conversation: Conversation, program: Program) -> list[Variation]:
    values = slot_values(conversation, program)
    groups: dict[tuple[bool, bool], list[Variation]] = {}
    for variation in program.responses.get(name, ()):
        if variation.channel not in (None, conversation.channel):
            continue
        if all(_equal(condition, values) for condition in variation.conditions):
            key = (bool(variation.conditions), variation.channel is not None)
            groups.setdefault(key, []).append(variation)
    for key in ((True, True), (False, True), (True, False), (False, False)):
        if key in groups:
            return groups[key]
    return []


def _equal(condition: SlotEquals, values: Names) -> bool:
    found, wanted = values.get(condition.slot), condition.value
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return found == wanted


def _parts(variation: Variation, names: Names) -> tuple[Part, ...]:
    parts: list[Part] = []
    if variation.text:
        parts.append(Text(text=fill(variation.text, names)))
    if variation.image:
        parts.append(Image(url=fill(variation.image, names)))
    parts += [_card(element, names) for element in variation.elements]
    if variation.attachment is not None:
        parts.append(_attachment(variation.attachment, names))
    if variation.custom is not None:
        parts.append(Custom(data=_fill_object(variation.custom, names)))
    buttons = (*variation.buttons, *variation.quick_replies)
    if buttons:
        parts.append(Choices(options=tuple(_choice(button, names) for button in buttons)))
    return tuple(parts)


def _choice(button: Button, names: Names) -> Choice:
    return Choice(title=fill(button.title, names), payload=fill(button.payload, names))


def _card(element: Mapping[str, JsonValue], names: Names) -> Card:
    def text(key: str) -> str:
        value = element.get(key)
        return fill(value, names) if isinstance(value, str) else ""

    raw = element.get("buttons")
    buttons = [b for b in raw if isinstance(b, dict)] if isinstance(raw, list) else []
    options = tuple(_card_choice(button, names) for button in buttons)
    return Card(
        title=text("title"),
        subtitle=text("subtitle"),
        image_url=text("image_url") or None,
        url=text("url") or None,
        options=options,
    )


def _card_choice(button: Mapping[str, JsonValue], names: Names) -> Choice:
    url = button.get("url")
    return Choice(
        title=fill(str(button.get("title", "")), names),
        payload=fill(str(button.get("payload", "")), names),
        url=fill(url, names) if isinstance(url, str) else None,
    )


def _attachment(raw: Mapping[str, JsonValue] | str, names: Names) -> Part:
    if isinstance(raw, str):
        return File(name=raw.rsplit("/", 1)[-1] or raw, url=fill(raw, names))
    return Custom(data={"attachment": _fill_object(dict(raw), names)})


def _fill_object(value: Mapping[str, JsonValue], names: Names) -> dict[str, JsonValue]:
    return {key: _fill_any(item, names) for key, item in value.items()}


def _fill_any(value: JsonValue, names: Names) -> JsonValue:
    if isinstance(value, str):
        return fill(value, names)
    if isinstance(value, list):
        return [_fill_any(item, names) for item in value]
    return _fill_object(value, names) if isinstance(value, dict) else value


def fill(template: str, names: Names) -> str:
    """Put values into `{name}`. `{{` and `}}` stand for braces, as Rasa's authors write them in payloads."""

    def value(match: re.Match[str]) -> str:
        return shown(names[match[1]]) if match[1] in names else match[0]

    filled = _HOLE.sub(value, template)
    return filled.replace("{{", "{").replace("}}", "}") if "{{" in template else filled


def shown(value: JsonValue) -> str:
    """A value as a customer reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)
