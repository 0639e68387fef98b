"""What a bot says by itself when its author has not written it: one wording per system response and language.

An author overrides any of these in the domain. `{flow}` is the name of the flow that is gone back to.
"""

from __future__ import annotations

from bot.core.program import Behaviour, Button, Variation
from bot.core.routing import RESUME

_ENGLISH = {
    "utter_ask_rephrase": "Sorry, I did not get that. Could you put it another way?",
    "utter_did_you_mean": "I am not quite sure what you mean. Is it one of these?",
    "utter_none_of_these": "None of these",
    "utter_no_answer": "I do not know the answer to that, and I would rather not guess. Shall I bring in a person?",
    "utter_handed_off": "I am handing you over to a person. They can read what we have written so far.",
    "utter_offer_person": "This does not seem to work. Would you like to talk to a person?",
    "utter_with_person": "A person has your conversation and will answer you here.",
    "utter_resumed": "I am back. How can I help?",
    "utter_failed": "Something went wrong on our side. Please try again, or ask for a person.",
    "utter_cancelled": "All right, I have stopped that.",
    "utter_nothing_to_cancel": "There is nothing to cancel just now.",
    "utter_unsupported_language": "Sorry, I do not understand this language yet. Would you like to talk to a person?",
    "utter_back_to": "Back to: {flow}.",
    "utter_corrected": "Thanks, I have changed that.",
    "utter_anything_else": "Is there anything else I can do for you?",
}
_CHINESE = {
    "utter_ask_rephrase": "抱歉，我没有听明白。您可以换一种说法吗？",
    "utter_did_you_mean": "我不太确定您的意思，是下面哪一个呢？",
    "utter_none_of_these": "都不是",
    "utter_no_answer": "这个问题我不知道答案，也不想乱猜。需要转接人工客服吗？",
    "utter_handed_off": "正在为您转接人工客服，对方可以看到我们之前的对话。",
    "utter_offer_person": "这样好像行不通。您想和人工客服沟通吗？",
    "utter_with_person": "人工客服已接手您的对话，会在这里回复您。",
    "utter_resumed": "我回来了。有什么可以帮您？",
    "utter_failed": "我们这边出了点问题。请再试一次，或者转接人工客服。",
    "utter_cancelled": "好的，已经停止。",
    "utter_nothing_to_cancel": "现在没有可以取消的操作。",
    "utter_unsupported_language": "抱歉，我还不懂这种语言。需要转接人工客服吗？",
    "utter_back_to": "我们接着办：{flow}。",
    "utter_corrected": "好的，已经改过来了。",
    "utter_anything_else": "还有什么可以帮您的吗？",
}
_PERSON = {"en": "Talk to a person", "zh": "转人工客服"}
_RESUME = {"en": "Back to the bot", "zh": "回到机器人"}
_OFFER_PERSON = ("utter_no_answer", "utter_offer_person", "utter_failed", "utter_unsupported_language")

SYSTEM_RESPONSES = tuple(_ENGLISH)
"""Names of all responses that the bot uses by itself."""


def default_responses(behaviour: Behaviour) -> dict[str, tuple[Variation, ...]]:
    """A wording for every system response, in the bot's first language if it is English or Chinese, else in English."""
    language = "zh" if behaviour.languages[:1] and behaviour.languages[0].lower().startswith("zh") else "en"
    texts = _CHINESE if language == "zh" else _ENGLISH
    person = Button(title=_PERSON[language], payload=f"/{behaviour.handoff_intent}")
    resume = Button(title=_RESUME[language], payload=RESUME)
    buttons = dict.fromkeys(_OFFER_PERSON, (person,)) | {"utter_with_person": (resume,)}
    return {name: (Variation(text=text, buttons=buttons.get(name, ())),) for name, text in texts.items()}
