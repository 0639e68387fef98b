"""Encodings of recent texts."""

from __future__ import annotations

import numpy as np
import pytest

from skills.encoder import Encoder, EncoderSettings, Encoding
from skills.encoder_recent import LONGEST, Recent


def made(size: int = 4) -> Encoding:
    return Encoding(np.ones(size, np.float32), {2: np.ones((1, size), np.float32)})


def test_what_is_said_again_is_the_same_and_cannot_be_changed() -> None:
    encoder = Encoder.load(settings=EncoderSettings(recent_bytes=1 << 20))
    first, other, again = encoder.run(["hello", "goodbye", "hello"], layers=(3,))
    (later,) = encoder.run(["hello"], layers=(3,))
    assert first is again is later and other is not first
    with pytest.raises(ValueError, match="read-only"):
        later.vector[0] = 1.0


def test_an_encoding_without_the_layers_asked_for_is_made_anew() -> None:
    recent = Recent(1000)
    recent.put("a", made())
    assert recent.get("a", (2,)) is not None
    assert recent.get("a", (3,)) is None


def test_the_least_recently_used_goes_first() -> None:
    recent = Recent(70)
    for text in ("a", "b"):
        recent.put(text, made())
    recent.get("a", ())
    recent.put("c", made())
    assert [recent.get(text, ()) is not None for text in "abc"] == [True, False, True]


def test_what_is_dropped_makes_room() -> None:
    recent = Recent(70)
    recent.put("a", made())
    recent.clear()
    for text in ("b", "c"):
        recent.put(text, made())
    assert [recent.get(text, ()) is not None for text in "abc"] == [False, True, True]


def test_long_texts_and_no_room_keep_nothing() -> None:
    recent, none = Recent(1000), Recent(0)
    recent.put("x" * (LONGEST + 1), made())
    none.put("a", made())
    assert recent.get("x" * (LONGEST + 1), ()) is None and none.get("a", ()) is None
