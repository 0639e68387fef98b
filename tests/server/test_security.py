from __future__ import annotations

import pytest

from tests.server.served import Served, serving

TOKEN = "a-long-enough-token"
DOORS = ["/metrics", "/api/v1/admin/models", "/api/v1/admin/conversations/u1/events", "/conversations/u1/tracker"]


async def status(served: Served, path: str, **headers: str) -> int:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with served.http.get(path, headers=fields) as answer:
        return answer.status


OWN = "http://127.0.0.1:{port}"
ORIGINS = [
    (OWN, 200), ("https://127.0.0.1:{port}", 200), ("https://shop.example", 200), ("HTTPS://SHOP.EXAMPLE", 200),
    ("http://shop.example", 403), ("https://shop.example:8443", 403), ("https://shop.example.evil.example", 403),
    ("https://evilshop.example", 403), ("https://sub.shop.example", 403), ("https://shop.example/", 403),
    ("https://shop.example@evil.example", 403), ("https://evil.example#shop.example", 403), ("null", 403), ("*", 403),
    ("", 403), ("https://", 403), ("file://", 403), ("https://shop.example https://evil.example", 403),
    ("https://xn--shp-0na.example", 403), ("http://127.0.0.1", 403), ("http://localhost:{port}", 403),
    ("javascript:alert(1)", 403), ("https://shop.example.", 403), ("https://shop.example:443", 403),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "expected"), ORIGINS)
async def test_only_allowed_origins_may_call(origin: str, expected: int) -> None:
    async with serving(origins=["https://shop.example"]) as served:
        assert await status(served, "/healthz", Origin=origin.format(port=served.port)) == expected


@pytest.mark.parametrize(("origin", "expected"), [(OWN, 101), ("null", 403), ("https://evil.example", 403)])
async def test_the_websocket_checks_the_origin_before_the_upgrade(served: Served, origin: str, expected: int) -> None:
    fields = {"Origin": origin.format(port=served.port), "Upgrade": "websocket", "Connection": "Upgrade",
              "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    async with served.http.get("/api/v1/ws", headers=fields) as answer:
        assert answer.status == expected


async def test_a_websocket_without_an_origin_must_pass_the_operators_door() -> None:
    async with serving(token=TOKEN) as served:
        assert await status(served, "/api/v1/ws") == 401
        assert await status(served, "/api/v1/ws", Authorization=f"Bearer {TOKEN}") == 400


async def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    async with serving(origins=["https://shop.example"]) as served:
        wanted = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        async with served.http.options("/webhooks/rest/webhook", headers=wanted) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_no_other_origin_is_ever_echoed(served: Served) -> None:
    async with served.http.get("/healthz", headers={"Origin": "https://evil.example"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


HOSTS = [
    ("127.0.0.1", 200), ("localhost:5005", 200), ("bot.localhost", 200), ("[::1]:80", 200), ("10.1.2.3:5005", 200),
    ("shop.example", 200), ("SHOP.example:443", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421),
    ("shop.example.evil.example", 421), ("127.0.0.1@evil.example", 421), ("evil.example/127.0.0.1", 421), ("", 421),
    ("localhost.evil.example:5005", 421), ("shop.example:port", 421),
]  # fmt: skip


@pytest.mark.parametrize(("host", "expected"), HOSTS)
async def test_only_known_hosts_are_served(host: str, expected: int) -> None:
    async with serving(hosts=["shop.example"]) as served:
        assert await status(served, "/healthz", Host=host) == expected


async def test_a_star_serves_any_host() -> None:
    async with serving(hosts=["*"]) as served:
        assert await status(served, "/healthz", Host="any.example") == 200


@pytest.mark.parametrize("path", DOORS)
async def test_the_door_is_open_to_this_machine_when_no_token_is_set(served: Served, path: str) -> None:
    assert await status(served, path) == 200


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "203.0.113.9"},
        {"X_Forwarded_Proto": "https"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"X_Real_IP": "127.0.0.1"},
        {"Host": "10.1.2.3"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
async def test_the_door_stays_shut_when_somebody_else_may_be_asking(
    served: Served, path: str, headers: dict[str, str]
) -> None:
    assert await status(served, path, **headers) == 403


async def test_the_door_stays_shut_on_a_public_address_without_a_token() -> None:
    async with serving(host="0.0.0.0") as served, served.http.get("/metrics") as answer:
        assert answer.status == 403
        assert "server: token:" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, "", 200),
        ({"Authorization": f"bearer  {TOKEN}"}, "", 200),
        ({}, f"?token={TOKEN}", 200),
        ({}, "", 401),
        ({"Authorization": "Bearer wrong"}, "", 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, "", 401),
        ({"Authorization": f"Basic {TOKEN}"}, "", 401),
        ({"Authorization": "Bearer \u00e9"}, "", 401),
        ({}, "?token=", 401),
        ({}, "?token=%ff", 401),
    ],
)
async def test_a_token_opens_the_door_and_nothing_else_does(headers: dict[str, str], query: str, expected: int) -> None:
    async with serving(token=TOKEN) as served, served.http.get("/metrics" + query, headers=headers) as answer:
        assert answer.status == expected
        assert ("WWW-Authenticate" in answer.headers) == (expected == 401)


async def test_public_routes_need_no_token() -> None:
    async with serving(token=TOKEN) as served:
        assert await status(served, "/healthz") == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        ([], "203.0.113.9", [201, 429]),
        (["127.0.0.0/8"], "203.0.113.9", [201, 201]),
        (["127.0.0.0/8"], "198.51.100.1, 203.0.113.9", [201, 201]),
    ],
)
async def test_forwarded_addresses_count_only_from_trusted_proxies(
    proxies: list[str], forwarded: str, expected: list[int]
) -> None:
    async with serving(trusted_proxies=proxies, limits={"new_conversations_per_minute": 1}) as served:
        found = []
        for address in ("192.0.2.1", forwarded):
            headers = {"X-Forwarded-For": address}
            async with served.http.post("/api/v1/conversations", headers=headers) as answer:
                found.append(answer.status)
        assert found == expected
