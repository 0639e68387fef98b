"""Broken and hostile requests as raw bytes: each gets a clear answer, and the next turn works."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json

import pytest

from tests.server.served import Served, serving

JSON = "application/json"


async def exchange(port: int, raw: bytes, half_close: bool = False) -> tuple[int, bytes]:
    """The status and body that a raw request gets; status 0 when the connection closes without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(5):
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    parts = head.split(b" ", 2)
    return (int(parts[1]) if len(parts) > 1 else 0), body


def post(body: bytes, path: str = "/webhooks/rest/webhook", method: str = "POST", **headers: str) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Type": JSON, "Connection": "close", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def message(text: object, sender: object = "u") -> bytes:
    return json.dumps({"sender": sender, "message": text}).encode()


async def still_answers(served: Served) -> bool:
    async with served.http.post("/webhooks/rest/webhook", json={"sender": "next", "message": "hello"}) as answer:
        return bool((await answer.json())[0]["text"] == "You said: hello")


REFUSED = {
    "empty_body": b"",
    "json_cut_off": b'{"sender": "u", "message": "hi"',
    "json_trailing_garbage": message("hi") + b"}}x",
    "json_array": b"[1, 2]",
    "json_string": b'"hi"',
    "json_null": b"null",
    "json_nested_60k": b"[" * 60_000 + b"]" * 60_000,
    "message_missing": b'{"sender": "u"}',
    "message_null": message(None),
    "message_empty": message(""),
    "message_blank": message("   \n\t "),
    "message_blank_unicode": message("\u3000\u200b\u2003"),
    "message_number": message(12345),
    "message_object": message({"text": "hi"}),
    "message_list": message(["hi"]),
    "message_nul": message("a\x00b"),
    "message_lone_surrogate": b'{"sender": "u", "message": "hi \\ud83d there"}',
    "message_one_too_long": message("a" * 8_001),
    "sender_null": message("hi", None),
    "sender_number": message("hi", 42),
    "sender_object": message("hi", {"id": 1}),
    "sender_empty": message("hi", ""),
    "sender_10k_chars": message("hi", "x" * 10_000),
    "sender_control_chars": message("hi", "u\n\r\x00../../etc/passwd'\";--"),
    "metadata_not_an_object": b'{"sender": "u", "message": "hi", "metadata": "text"}',
    "invalid_utf8": b'{"sender": "u", "message": "caf\xff\xfe\xc3("}',
    "latin1_body": b'{"sender": "u", "message": "caf\xe9"}',
    "utf16_body": message("hi").decode().encode("utf-16"),
    "form_body": b"sender=a&message=hi",
    "number_with_5000_digits": b'{"sender": "u", "message": ' + b"9" * 5_000 + b"}",
    "not_a_number": b'{"sender": "u", "message": NaN}',
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_body_is_refused_with_a_reason_and_harms_nobody(served: Served, case: str) -> None:
    status, body = await exchange(served.port, post(REFUSED[case]))
    error = json.loads(body)["error"]
    assert status == 400
    assert error["code"] == "bad_input"
    assert error["message"]
    assert len(error["request_id"]) == 16
    assert not served.gateway.logs
    assert await still_answers(served)


ACCEPTED = {
    "well_formed": message("hello"),
    "emoji_and_rtl": message("\U0001f600\u202e\u0645\u0631\u062d\u0628\u0627"),
    "slash_unknown_intent": message("/no_such_intent"),
    "slash_bad_entities": message('/greet{"a": '),
    "sender_missing": b'{"message": "hi"}',
    "longest_message": message("a" * 8_000),
    "unknown_field": b'{"sender": "u", "message": "hi", "input_channel": "spoofed"}',
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_an_unusual_body_is_answered(served: Served, case: str) -> None:
    status, body = await exchange(served.port, post(ACCEPTED[case]))
    assert status == 200
    assert json.loads(body)[0]["text"].startswith("You said: ")


async def test_the_content_type_is_ignored(served: Served) -> None:
    status, _ = await exchange(served.port, post(message("hi"), Content_Type="text/plain"))
    assert status == 200


async def test_get_on_the_webhook_names_the_allowed_method(served: Served) -> None:
    async with served.http.get("/webhooks/rest/webhook") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await answer.json())["error"]["code"] == "method_not_allowed"


async def test_an_unknown_path_is_not_found(served: Served) -> None:
    status, body = await exchange(served.port, post(message("hi"), path="/no/such/path"))
    assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("size", [131_073, 1_000_000, 10_000_000])
async def test_a_body_over_the_limit_is_refused(served: Served, size: int) -> None:
    async with served.http.post("/webhooks/rest/webhook", data=io.BytesIO(b"a" * size)) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (413, "request_entity_too_large")
    assert await still_answers(served)


async def test_a_chunked_body_over_the_limit_is_refused(served: Served) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    head = b"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    status, _ = await exchange(served.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n")
    assert status == 413


async def test_the_connection_of_a_body_that_breaks_off_ends_at_once(served: Served) -> None:
    status, _ = await exchange(served.port, post(message("hi"), Content_Length="100000"), half_close=True)
    assert status == 0
    assert not served.gateway.logs
    assert await still_answers(served)


BROKEN_HTTP = {
    "header_64k": post(message("hi"), X_Long="a" * 65_536),
    "content_length_negative": post(message("hi"), Content_Length="-5"),
    "length_and_chunked": post(message("hi"), Transfer_Encoding="chunked"),
    "two_lengths": post(message("hi"), content_length="3"),
    "obsolete_folding": b"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n\r\n",
    "not_http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN_HTTP)
async def test_broken_http_is_refused(served: Served, case: str) -> None:
    status, _ = await exchange(served.port, BROKEN_HTTP[case])
    assert status == 400
    assert not served.gateway.logs
    assert await still_answers(served)


async def test_a_slow_body_times_out() -> None:
    async with serving(limits={"body_seconds": 0.05}) as served:
        status, body = await exchange(served.port, post(b'{"sender"', Content_Length="50"))
        assert (status, json.loads(body)["error"]["code"]) == (408, "request_timeout")


async def test_an_unexpected_error_shows_no_detail(served: Served) -> None:
    status, body = await exchange(served.port, post(message("crash")))
    assert status == 500
    assert b"secret" not in body
    assert json.loads(body)["error"]["code"] == "internal"
    assert await still_answers(served)
