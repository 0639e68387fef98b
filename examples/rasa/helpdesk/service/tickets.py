"""A small ticket service over HTTP, in memory. Run it with `python -m service.tickets [PORT]`.

POST /tickets         {"about", "detail", "urgency", "tag"?}   -> 201 {"ticket", "state"}
GET  /tickets/{id}    -> 200 {"ticket", "state", ...} or 404
POST /tickets/{id}/close  -> 200 or 404
GET  /duty            -> 200 {"on_duty"}
"""

from __future__ import annotations

import sys

from aiohttp import web

TICKETS = web.AppKey("tickets", dict[str, dict[str, str]])


async def open_ticket(request: web.Request) -> web.Response:
    """Write a ticket down and number it."""
    asked = await request.json()
    tickets = request.app[TICKETS]
    number = f"HD-{1001 + len(tickets)}"
    fields = {name: str(asked[name]) for name in ("about", "detail", "urgency", "tag") if asked.get(name)}
    tickets[number] = {"ticket": number, "state": "open", **fields}
    return web.json_response(tickets[number], status=201)


async def get_ticket(request: web.Request) -> web.Response:
    """A ticket by its number."""
    return web.json_response(_found(request))


async def close_ticket(request: web.Request) -> web.Response:
    """Close a ticket; closing it again changes nothing."""
    ticket = _found(request)
    ticket["state"] = "closed"
    return web.json_response(ticket)


async def get_duty(request: web.Request) -> web.Response:
    """Which team is on duty."""
    return web.json_response({"on_duty": "the blue team"})


def _found(request: web.Request) -> dict[str, str]:
    ticket = request.app[TICKETS].get(request.match_info["ticket"].upper())
    if ticket is None:
        raise web.HTTPNotFound(text='{"error": "no such ticket"}', content_type="application/json")
    return ticket


def build() -> web.Application:
    """A service without tickets."""
    app = web.Application()
    app[TICKETS] = {}
    app.add_routes(
        [
            web.post("/tickets", open_ticket),
            web.get("/tickets/{ticket}", get_ticket),
            web.post("/tickets/{ticket}/close", close_ticket),
            web.get("/duty", get_duty),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(build(), host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8090)
