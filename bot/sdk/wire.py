"""The messages of the gRPC service `action_server_webhook.ActionService`, as types made from a table.

They live in a pool of their own, so rasa-sdk's generated module may be loaded in the same process. `Struct` stands for
any JSON object; its numbers are all floating-point ones.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

PACKAGE = "action_server_webhook"
SERVICE = f"/{PACKAGE}.ActionService/"
_STRUCT = "google.protobuf.Struct"
_ANY_NAME = ("string_value", "dict_value:" + _STRUCT)
_MESSAGES: dict[str, tuple[str, ...]] = {
    "ChunkStart": ("response_id",),
    "Chunk": (
        "response_id",
        "text",
        "image",
        f"custom:{_STRUCT}",
        "attachment",
        f"buttons*{_STRUCT}",
        f"elements*{_STRUCT}",
    ),
    "ChunkEnd": ("response_id",),
    "StreamError": ("action_name", "message"),
    "StreamChunkAck": ("response_id",),
    "ActionsRequest": (),
    "ActionsResponse": (f"actions*{_STRUCT}",),
    "Entry": ("key", "value"),
    "Tracker": (
        "sender_id",
        f"slots:{_STRUCT}",
        f"latest_message:{_STRUCT}",
        f"events*{_STRUCT}",
        "paused!",
        "followup_action",
        "active_loop*Entry",
        "latest_action_name",
        f"stack*{_STRUCT}",
        "user_id",
    ),
    "Intent": _ANY_NAME,
    "Entity": _ANY_NAME,
    "Action": _ANY_NAME,
    "Domain": (
        f"config:{_STRUCT}",
        f"session_config:{_STRUCT}",
        "intents*Intent",
        "entities*Entity",
        f"slots:{_STRUCT}",
        f"responses:{_STRUCT}",
        "actions*Action",
        f"forms:{_STRUCT}",
        f"e2e_actions*{_STRUCT}",
    ),
    "WebhookRequest": ("next_action", "sender_id", "tracker:Tracker", "domain:Domain", "version", "domain_digest"),
    "WebhookResponse": (f"events*{_STRUCT}", f"responses*{_STRUCT}"),
    "WebhookStreamEvent": (
        "chunk_start:ChunkStart",
        "chunk:Chunk",
        "chunk_end:ChunkEnd",
        "final_result:WebhookResponse",
        "error:StreamError",
    ),
}
"""Fields in the order of their numbers: `name` is a string, `name!` a bool, `name:Type` a message, `name*Type` many."""


@cache
def message(name: str) -> Any:
    """The type of a message of the service, or of `google.protobuf.Empty`."""
    full = name if "." in name else f"{PACKAGE}.{name}"
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full))


@cache
def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="action_webhook.proto", package=PACKAGE, syntax="proto3")
    for module in (struct_pb2, empty_pb2):
        known = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(known)
        pool.Add(known)
        file.dependency.append(known.name)
    for name, fields in _MESSAGES.items():
        made = file.message_type.add(name=name)
        for number, field in enumerate(fields, start=1):
            _add(made, field, number)
    pool.Add(file)
    return pool


def _add(made: descriptor_pb2.DescriptorProto, field: str, number: int) -> None:
    many = "*" in field
    name, _, kind = field.rstrip("!").replace("*", ":").partition(":")
    label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
    added = made.field.add(name=name, number=number, label=label)
    if kind:
        added.type = Field.TYPE_MESSAGE
        added.type_name = "." + (kind if "." in kind else f"{PACKAGE}.{kind}")
    else:
        added.type = Field.TYPE_BOOL if field.endswith("!") else Field.TYPE_STRING
