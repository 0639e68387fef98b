"""The machine of turn taking: every phase, every decision, and that it never fails."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import InputError
from bot.core.hearing import (
    Decision,
    Dropped,
    Frame,
    GiveUp,
    GoesOn,
    Hold,
    Interrupt,
    Key,
    KeysDone,
    Likely,
    Listening,
    MaybeDone,
    PartialWanted,
    Reply,
    Resume,
    Signal,
    SilencePrompt,
    SpeechBegan,
    TurnDone,
    Words,
)
from bot.core.listening import step
from bot.core.thresholds import Thresholds

REPLY = Reply(160_000, False, "Your parcel left on Monday and will be with you on Wednesday before noon.")


def speech(ms: int, **more: float) -> list[Signal]:
    return [Frame(32.0, 0.95, -20.0)._replace(**more) for _ in range(ms // 32)]  # type: ignore[arg-type]


def silence(ms: int, **more: float) -> list[Signal]:
    return [Frame(32.0, 0.02, -70.0)._replace(**more) for _ in range(ms // 32)]  # type: ignore[arg-type]


def run(*signals: Signal, limits: Thresholds | None = None) -> tuple[Listening, list[Decision]]:
    state, out = Listening(), list[Decision]()
    for signal in signals:
        state, decisions = step(state, signal, limits or Thresholds())
        out += decisions
    return state, out


def of(out: list[Decision], *kinds: type) -> list[Decision]:
    return [decision for decision in out if isinstance(decision, kinds)]


def test_a_turn_begins_before_its_first_speech_and_ends_after_the_usual_silence() -> None:
    _, out = run(*silence(640), *speech(960), *silence(960))
    assert of(out, SpeechBegan, MaybeDone, TurnDone) == [
        SpeechBegan(340.0),
        MaybeDone(340.0, 1728.0),
        TurnDone(340.0, 2208.0, 608.0),
    ]


def test_live_transcripts_are_wanted_while_somebody_speaks() -> None:
    _, out = run(*speech(1280))
    assert [decision.end for decision in of(out, PartialWanted)] == [384.0, 704.0, 1024.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("likely", "waited"), [(0.95, 256.0), (0.35, 736.0), (0.0, 2016.0), (math.nan, 608.0)])
def test_the_surer_the_end_the_shorter_the_wait(likely: float, waited: float) -> None:
    _, out = run(*speech(640), *silence(160), Likely(likely), *silence(2400))
    assert of(out, TurnDone)[0].waited == pytest.approx(waited, abs=40)  # type: ignore[attr-defined]


def test_speech_after_a_pause_goes_on_with_the_turn() -> None:
    state, out = run(*speech(640), *silence(160), Likely(0.0), *silence(320), *speech(320))
    assert of(out, GoesOn, TurnDone) == [GoesOn()]
    assert state.phase == "speaking"


def test_a_probability_after_the_pause_is_too_late() -> None:
    assert run(*speech(640), Likely(0.9))[0].likely is None


def test_one_doubtful_frame_neither_begins_nor_ends_a_turn() -> None:
    assert run(*speech(32), *silence(64))[1] == []
    assert of(run(*speech(320), Frame(32.0, 0.5), *speech(320))[1], MaybeDone) == []


def test_less_is_needed_to_go_on_than_to_begin() -> None:
    middling: list[Signal] = [Frame(32.0, 0.45)] * 20
    assert run(*middling)[1] == []
    assert of(run(*speech(96), *middling)[1], MaybeDone) == []


def test_what_is_too_quiet_is_not_speech() -> None:
    assert run(*speech(640, level=-65.0))[1] == []


def test_speech_before_the_answer_says_that_the_turn_was_cut_off() -> None:
    _, out = run(*speech(640), *silence(640), *speech(128, busy=1))
    assert of(out, SpeechBegan)[1].continues  # type: ignore[attr-defined]
    _, out = run(*speech(640), *silence(640), *silence(64, played=100), *silence(32), *speech(128))
    assert not of(out, SpeechBegan)[1].continues  # type: ignore[attr-defined]


def test_an_endless_turn_is_ended() -> None:
    _, out = run(*speech(2000), limits=Thresholds(turn_ms=1000.0))
    assert of(out, TurnDone)[0].forced  # type: ignore[attr-defined]


def test_an_utterance_without_words_is_no_turn() -> None:
    _, out = run(*speech(640), *silence(160), Words("...", True), *silence(640))
    assert of(out, TurnDone, Dropped) == [Dropped(0.0, 1248.0)]


def test_words_outside_an_utterance_change_nothing() -> None:
    assert run(Words("hello", True))[0] == Listening()


def overlap(*after: Signal, reply: Reply = REPLY, at: int = 48_000, ms: int = 320) -> list[Decision]:
    return run(reply, *silence(64, played=at), *speech(ms, played=at), *after)[1]


def test_speech_over_a_reply_holds_it_within_three_frames() -> None:
    out = overlap(ms=64)
    assert out == [SpeechBegan(0.0), Hold(48_000)]


def test_words_over_a_reply_give_it_up_and_go_on_as_a_turn() -> None:
    out = overlap(*silence(160), Words("no wait", True), Likely(1.0), *silence(320))
    assert of(out, Interrupt, Resume, TurnDone)[0] == Interrupt(48_000)
    assert of(out, TurnDone)


@pytest.mark.parametrize("text", ["mm-hmm", "okay", "I see", "", "genau", "left on Monday and will be"])
def test_a_nod_noise_or_echo_plays_on_from_the_same_sample(text: str) -> None:
    out = overlap(*silence(160, played=-1), Words(text, True), *silence(960))
    assert of(out, Hold, Resume, Interrupt, TurnDone, Dropped)[-2:] == [Dropped(0.0, 544.0), Resume(48_000)]


def test_yes_at_the_end_of_a_question_is_its_answer() -> None:
    asks = Reply(60_000, True, "Shall I send it again?")
    assert Interrupt(48_000) in overlap(*silence(160), Words("yes", True), reply=asks)
    assert Interrupt(48_000) not in overlap(*silence(160), Words("mhm", True), reply=asks)
    assert Interrupt(20_000) not in overlap(*silence(160), Words("yes", True), reply=asks, at=20_000)


def test_live_words_interrupt_once_there_is_enough_of_them() -> None:
    assert not of(overlap(Words("I"), ms=320), Interrupt)
    assert of(overlap(Words("I want"), ms=800), Interrupt)


def test_without_a_transcript_length_decides() -> None:
    assert of(overlap(*silence(800)), Interrupt, Resume) == [Resume(48_000)]
    assert of(overlap(*silence(800), ms=960), Interrupt, Resume) == [Interrupt(48_000)]


def test_noise_without_end_is_let_be_until_it_stops() -> None:
    out = overlap(Words(""), ms=2200)
    assert of(out, Resume) == []
    state, out = run(REPLY, *speech(640, played=9), Words(""), *speech(1600), *speech(2000, played=9))
    assert of(out, Hold, Resume) == [Hold(9), Resume(9)]
    assert state.phase == "ignoring"
    assert run(REPLY, *speech(640, played=9), Words(""), *speech(1600), *silence(320))[0].phase == "quiet"
    assert len(of(run(REPLY, *speech(640, played=9), Words(""), *speech(6000, played=9))[1], Hold)) == 2


def test_a_reply_that_ends_cannot_be_interrupted() -> None:
    never = Thresholds(hold_ms=60_000.0)
    _, out = run(REPLY, *speech(320, played=9), *silence(160), Words("okay", True), *silence(640), limits=never)
    assert of(out, Hold, Interrupt, Resume) == []
    assert of(out, TurnDone)


def test_without_holding_a_nod_passes_over_the_reply() -> None:
    never = Thresholds(hold_ms=60_000.0)
    nod = run(REPLY, *speech(320, played=9), *silence(160, played=99), Words("okay", True), limits=never)[1]
    stop = run(REPLY, *speech(320, played=9), *silence(160, played=99), Words("stop", True), limits=never)[1]
    assert of(nod, Hold, Interrupt, Resume, Dropped) == of(nod, Dropped)
    assert Interrupt(99) in stop


def test_our_own_voice_is_not_heard() -> None:
    assert run(REPLY, *speech(640, played=9, echo=0.9))[1] == []


@pytest.mark.parametrize(("text", "own"), [("on Monday", True), ("a refund", False), ("before noon", False)])
def test_a_few_words_are_an_echo_where_they_were_just_said(text: str, own: bool) -> None:
    reply = Reply(160_000, False, REPLY.text + " " + "Is there anything else that I can do for you today? " * 2)
    signals = [reply, *speech(320, played=16_000, echo=0.4), *silence(160), Words(text, True)]
    assert bool(of(run(*signals)[1], Resume)) is own


def test_an_echo_needs_a_reply() -> None:
    out = run(*speech(320, played=9), *silence(160), Words("your parcel left on Monday", True))[1]
    assert of(out, Interrupt)


def test_a_silent_caller_is_asked_twice_and_given_up_once() -> None:
    _, out = run(*silence(60_000))
    assert out == [SilencePrompt(1), SilencePrompt(2), GiveUp()]
    assert run(*silence(20_000, busy=1))[1] == run(*silence(20_000, played=5))[1] == []


def test_a_turn_makes_the_silence_count_anew() -> None:
    _, out = run(*silence(8_192), *speech(640), *silence(9_600))
    assert of(out, SilencePrompt) == [SilencePrompt(1), SilencePrompt(1)]


def test_keys_end_with_a_hash_or_a_pause_and_star_begins_anew() -> None:
    keys = [Key(key) for key in "9*48x213"]
    assert of(run(*keys, Key("#"), Key("#"), Key("12"))[1], KeysDone) == [KeysDone("48213")]
    assert of(run(*keys, *silence(3_200))[1], KeysDone) == [KeysDone("48213")]


def test_a_key_interrupts_a_reply() -> None:
    assert run(REPLY, *silence(64, played=7), Key("1"))[1] == [Interrupt(7)]
    assert overlap(Key("1"), ms=96)[-1] == Interrupt(48_000)


numbers = st.floats() | st.integers(-5, 5).map(float)
frames = st.builds(Frame, numbers, numbers, numbers, numbers, st.integers(-5, 10**9), st.booleans())
likely = st.builds(
    Frame, st.just(32.0), st.sampled_from([0.0, 0.5, 1.0]), st.just(-20.0), st.just(0.0), st.sampled_from([-1, 5])
)
signals = st.lists(
    st.one_of(
        frames,
        likely,
        likely,
        st.builds(Words, st.sampled_from(["", "mhm", "no stop", REPLY.text]), st.booleans()),
        st.builds(Likely, numbers),
        st.builds(Key, st.text(max_size=2)),
        st.builds(Reply, st.integers(), st.booleans(), st.text(max_size=9)),
    ),
    max_size=120,
)


@given(signals)
@settings(max_examples=60, deadline=None)
def test_any_signals_are_taken_and_decisions_make_sense(found: list[Signal]) -> None:
    state, open_turn, held = Listening(), False, False
    for signal in found:
        before = state.now
        state, out = step(state, signal)
        assert state.now >= before
        for decision in out:
            if isinstance(decision, SpeechBegan):
                assert not open_turn and 0 <= decision.at <= state.now
                open_turn = True
            elif isinstance(decision, TurnDone | Dropped):
                assert open_turn and decision.start <= decision.end
                open_turn = False
            elif isinstance(decision, Hold):
                assert not held
                held = True
            elif isinstance(decision, Resume):
                assert held
                held = False
            elif isinstance(decision, Interrupt):
                held = False


@pytest.mark.parametrize("wrong", [{"start_at": 2.0}, {"stop_at": 0.9}, {"turn_ms": -1.0}, {"floor_db": math.nan}])
def test_thresholds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Thresholds(**wrong)  # type: ignore[arg-type]
