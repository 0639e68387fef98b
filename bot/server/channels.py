"""Which channels are served: those that credentials.yml names, and always our own page and API.

A project without credentials.yml has the web channel and REST. Channels are entry points of the group
`understudy.channels`; one that is not chosen is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from pydantic import JsonValue

from connectors.http import Changed, HttpChannel, Setup
from connectors.limits import Limits

GROUP = "understudy.channels"
ALWAYS, USUAL = ("web",), ("rest", "web")
_NEEDLESS = ("rasa",)
"""Sections that stand in every credentials.yml of Rasa's and ask for nothing here: the address of Rasa X."""
Credentials = Mapping[str, Mapping[str, JsonValue]]


def find_channels(
    limits: Limits,
    credentials: Credentials | None = None,
    payloads: Mapping[str, bool] | None = None,
    changed: Changed | None = None,
) -> tuple[HttpChannel, ...]:
    """The channels to serve. `payloads` says by channel whether anybody may send any payload; `changed`: see `Setup`.

    Raises:
        ProjectError, SettingsError: a channel's credentials are incomplete; says which and what is needed.
    """
    named, let = credentials or {}, payloads or {}
    wanted = {*ALWAYS, *named} if named else set(USUAL)
    found = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    kinds = {point.name: point.load() for point in found if point.name in wanted}
    return tuple(
        kind(limits, Setup(named.get(name, {}), let.get(name, False), changed))
        for name, kind in kinds.items()
        if hasattr(kind, "routes")
    )


def not_served(credentials: Credentials) -> str:
    """What to tell the operator about channels of credentials.yml that are not installed; "" if there are none."""
    known = {point.name for point in entry_points(group=GROUP)}
    lacking = sorted(name for name in credentials if name not in known and name not in _NEEDLESS)
    if not lacking:
        return ""
    classes = " A class of the project's own does not run here." if any("." in name for name in lacking) else ""
    return (
        f"credentials.yml: not served: {', '.join(lacking)}; installed are {', '.join(sorted(known))}.{classes} Put a "
        "small bridge in front of the rest or callback channel, or install a channel as a package (docs/channels.md)"
    )
