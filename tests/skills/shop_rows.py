"""A small set of intents of our own."""

from __future__ import annotations

from training.examples import IntentExample

EXAMPLES = {
    "greet": ("hi", "hello there", "good morning", "hey", "good evening to you", "hiya"),
    "order_status": (
        "where is my parcel",
        "when will my order arrive",
        "track my order please",
        "has my kettle been sent yet",
        "my package is late",
        "order 48213 has not come",
    ),
    "cancel_order": (
        "cancel my order please",
        "i want to cancel the order",
        "stop my order before it is sent",
        "please do not send it, i changed my mind",
        "call off the purchase",
        "cancel order 51112",
    ),
    "refund": (
        "i want my money back",
        "when do i get my refund",
        "refund has not arrived on my card",
        "how long does a refund take",
        "you still owe me the money for the kettle",
        "please pay me back",
    ),
    "change_address": (
        "change the delivery address",
        "i moved, send it to another street",
        "wrong address on my order",
        "update my shipping address",
        "please deliver it to my office instead",
        "the house number is wrong",
    ),
    "person": (
        "let me talk to a person",
        "i want a human",
        "connect me to an agent",
        "can somebody call me",
        "this bot is useless, give me a real person",
        "speak to support staff",
    ),
}
ROWS = [IntentExample(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
