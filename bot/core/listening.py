"""When somebody speaks, when their turn is over, and whether they interrupt: numbers in, decisions out.

`step` takes the state, one signal and the thresholds, and gives the new state and what is to be done. There is no
clock here: time is the sound itself, and every `Frame` says how much of it there was. The caller performs decisions: it
recognises, plays, stops playing, answers.

    quiet ──speech for start_ms──▶ speaking ──silence for stop_ms──▶ pausing ──long enough──▶ TurnDone, quiet
                                       ▲───────speech for start_ms──────┘
    speech over a reply: Hold at once, then Interrupt or Resume, whatever its words turn out to be

How long is long enough follows from the probability that the turn is over. Speech begins at one threshold and ends at a
lower one. What is ignored (a nod, noise, our own echo) is never a turn. Total: any numbers are taken.
"""

from __future__ import annotations

from bot.core.asides import aside, is_hum, plain
from bot.core.echo import likeness
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
    Overlap,
    PartialWanted,
    Phase,
    Resume,
    Signal,
    SilencePrompt,
    SpeechBegan,
    TurnDone,
    Words,
)
from bot.core.thresholds import Thresholds

DEFAULTS = Thresholds()
RATE = 16_000
_MOST_KEYS = 64
_ALIKE = 0.8
"""Share of the words that repeat the reply from which they are its echo."""
_SURELY = 5
"""Words that repeat the reply from which no echo of sound is needed to believe it."""
_ECHO = 0.3
"""Mean likeness to an echo from which speech may be one."""
_NEAR = 50
"""Characters of the reply, before and after where it stands, whose echo may be heard."""
Out = tuple[Listening, tuple[Decision, ...]]


def step(state: Listening, signal: Signal, limits: Thresholds = DEFAULTS) -> Out:
    """The state after a signal, and what is to be done, in order."""
    match signal:
        case Frame():
            return _frame(state, _sane(signal), limits)
        case Words():
            return _words(state, signal, limits)
        case Likely(probability):
            return state._replace(likely=probability if state.phase == "pausing" else None), ()
        case Key(key):
            return _key(state, key)
    return state._replace(reply=signal), ()


def _sane(frame: Frame) -> Frame:
    """No negative, endless or undefined length."""
    return frame._replace(ms=frame.ms if 0 < frame.ms < 60_000 else 0.0)


def _frame(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    state = _beside(state._replace(now=state.now + frame.ms), frame)
    phases = {"quiet": _quiet, "speaking": _speaking, "pausing": _pausing, "ignoring": _ignoring}
    state, turn = phases[state.phase](state, frame, limits)
    state, play = _overlapping(state, limits)
    state, rest = _idle(state, frame, limits)
    return state, (*turn, *play, *rest)


def _beside(state: Listening, frame: Frame) -> Listening:
    """What the frame tells of the reply that is played. A held one stands still; one that has ended cannot be cut."""
    if state.overlap is not None and state.overlap.held:
        return state
    played = max(-1, frame.played)
    if played < 0:
        return state._replace(played=-1, overlap=None)
    return state._replace(played=played, done=None)


def _speech(state: Listening, frame: Frame, limits: Thresholds) -> bool:
    """Whether the caller speaks in this frame. It takes less to go on speaking than to begin."""
    enough = limits.stop_at if state.phase == "speaking" else limits.start_at
    own = state.played >= 0 and frame.echo >= limits.echo_at
    return frame.speech >= enough and frame.level >= limits.floor_db and not own


def _running(state: Listening, frame: Frame, limits: Thresholds) -> Listening:
    """Speech counts up and silence down, so that one doubtful frame does not begin anew."""
    change = frame.ms if _speech(state, frame, limits) else -frame.ms
    return state._replace(run=max(0.0, state.run + change))


def _quiet(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    state = _running(state, frame, limits)
    if state.run < limits.start_ms or state.run == 0:
        return state, ()
    onset = state.now - state.run
    begun = Listening(
        now=state.now,
        phase="speaking",
        start=max(0.0, onset - limits.lead_ms),
        spoke=state.now,
        voiced=state.run,
        echoed=_number(frame.echo) * state.run,
        asked=state.now,
        overlap=Overlap(state.played, state.now) if state.played >= 0 else None,
        reply=state.reply,
        played=state.played,
        prompts=state.prompts,
        keys=state.keys,
        pressed=state.pressed,
    )
    cut = state.done is not None and onset - state.done < limits.continue_ms
    return begun, (SpeechBegan(begun.start, cut),)


def _number(value: float) -> float:
    return min(max(value, 0.0), 1.0) if value == value else 0.0


def _speaking(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    if _speech(state, frame, limits):
        echoed = state.echoed + _number(frame.echo) * frame.ms
        state = state._replace(spoke=state.now, voiced=state.voiced + frame.ms, echoed=echoed)
    if state.now - state.spoke >= limits.stop_ms and state.spoke < state.now:
        words = None if state.words is None else state.words._replace(final=False)
        paused = state._replace(phase="pausing", run=0.0, words=words, likely=None)
        return paused, (MaybeDone(state.start, state.now),)
    if state.overlap is None and state.now - state.start >= limits.turn_ms:
        return _end(state, forced=True)
    if state.now - state.asked >= limits.partial_ms:
        return state._replace(asked=state.now), (PartialWanted(state.start, state.now),)
    return state, ()


def _pausing(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    state = _running(state, frame, limits)
    if state.run >= limits.start_ms and state.run > 0:
        on = state._replace(phase="speaking", spoke=state.now, voiced=state.voiced + state.run, run=0.0)
        return on, (GoesOn(),)
    if state.overlap is None and state.now - state.spoke >= limits.wait_ms(state.likely):
        return _end(state)
    return state, ()


def _end(state: Listening, forced: bool = False) -> Out:
    """The turn is over, if there was one."""
    if state.words is not None and state.words.final and (not plain(state.words.text) or _own(state)):
        return _dropped(state)
    done = TurnDone(state.start, state.now, state.now - state.spoke, forced)
    return state._replace(phase="quiet", run=0.0, done=state.now, prompts=0), (done,)


def _dropped(state: Listening) -> Out:
    """Nothing was said. While it goes on, it is not listened to."""
    phase: Phase = "ignoring" if state.phase == "speaking" else "quiet"
    gone = state._replace(phase=phase, run=0.0, asked=state.now, overlap=None)
    return gone, (Dropped(state.start, state.now),)


def _ignoring(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    state = state._replace(run=0.0 if _speech(state, frame, limits) else state.run + frame.ms)
    over = state.run >= limits.stop_ms or state.now - state.asked >= limits.ignore_ms
    return state._replace(phase="quiet", run=0.0) if over else state, ()


def _words(state: Listening, words: Words, limits: Thresholds) -> Out:
    if state.phase not in ("speaking", "pausing"):
        return state, ()
    final = words.final and state.phase == "pausing"
    return _overlapping(state._replace(words=words._replace(final=final)), limits)


def _overlapping(state: Listening, limits: Thresholds) -> Out:
    """Speech over a reply: hold it, then give it up or play on."""
    overlap = state.overlap
    if overlap is None:
        return state, ()
    out: tuple[Decision, ...] = ()
    if not overlap.held:
        overlap = Overlap(state.played, state.now, state.voiced >= limits.hold_ms)
        state = state._replace(overlap=overlap)
        out = (Hold(overlap.sample),) if overlap.held else ()
    verdict = _verdict(state, overlap, limits)
    if verdict == "interrupts":
        return state._replace(overlap=None, reply=None, played=-1), (*out, Interrupt(overlap.sample))
    if verdict == "harmless":
        gone, dropped = _dropped(state)
        return gone, (*out, *dropped, *((Resume(overlap.sample),) if overlap.held else ()))
    return state, out


def _verdict(state: Listening, overlap: Overlap, limits: Thresholds) -> str:
    """What speech over a reply is: an interruption, harmless, or "" not known yet.

    Words decide: those of a pause at once, those of somebody still speaking once there is enough of it. Without any,
    it goes by length when there was time enough for a transcript.
    """
    long = state.voiced >= limits.interrupt_ms
    silent = state.phase == "pausing" and state.now - state.spoke >= limits.verdict_ms
    late = silent or (overlap.held and state.now - overlap.since >= limits.false_ms)
    if state.words is None:
        return "" if not late else "interrupts" if long else "harmless"
    if _meant(state, overlap, limits):
        return "interrupts" if state.words.final or long or late else ""
    return "harmless" if state.words.final or late else ""


def _meant(state: Listening, overlap: Overlap, limits: Thresholds) -> bool:
    """Whether the words over a reply are meant for the bot: no nod, no noise, not its own voice."""
    text, language = (state.words.text, state.words.language) if state.words else ("", "")
    if not plain(text) or is_hum(text) or _own(state):
        return False
    left = state.reply.samples - overlap.sample if state.reply is not None and state.reply.asks else None
    answers = left is not None and left <= limits.answer_ms * RATE / 1000
    return answers or aside(text, language) != "backchannel"


def _own(state: Listening) -> bool:
    """Whether the transcript is the reply's own text, come back from the loudspeaker: several words of it, or a few of
    those that were just being said where the sound is like an echo too."""
    if state.words is None or state.reply is None:
        return False
    words, reply = state.words.text, state.reply
    echo = state.echoed >= _ECHO * state.voiced
    if likeness(words, reply.text) >= _ALIKE:
        return echo or len(plain(words).split()) >= _SURELY
    if state.overlap is None or not echo:
        return False
    at = len(reply.text) * state.overlap.sample // max(1, reply.samples)
    return likeness(words, reply.text[max(0, at - _NEAR) : at + _NEAR], short=True) >= _ALIKE


def _idle(state: Listening, frame: Frame, limits: Thresholds) -> Out:
    """What follows from nothing happening: an entry of keys ends, a silent caller is asked and then given up."""
    if state.keys and state.now - state.pressed >= limits.key_ms:
        return state._replace(keys="", idle=0.0), (KeysDone(state.keys),)
    still = state.phase == "quiet" and state.played < 0 and not frame.busy and not state.keys
    state = state._replace(idle=state.idle + frame.ms if still else 0.0)
    if state.idle < limits.silence_ms or state.idle == 0 or state.prompts > limits.silence_prompts:
        return state, ()
    state = state._replace(idle=0.0, prompts=state.prompts + 1)
    return state, (SilencePrompt(state.prompts) if state.prompts <= limits.silence_prompts else GiveUp(),)


def _key(state: Listening, key: str) -> Out:
    """A key ends a reply that plays, and belongs to an entry: # ends it, * begins it anew."""
    if len(key) != 1 or key not in "0123456789*#":
        return state, ()
    out: tuple[Decision, ...] = ()
    if state.played >= 0:
        sample = state.overlap.sample if state.overlap is not None else state.played
        out = (Interrupt(sample),)
    state = state._replace(overlap=None, played=-1, prompts=0, idle=0.0, pressed=state.now)
    if key == "#":
        return state._replace(keys=""), (*out, *((KeysDone(state.keys),) if state.keys else ()))
    return state._replace(keys="" if key == "*" else (state.keys + key)[:_MOST_KEYS]), out
