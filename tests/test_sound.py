"""Sound in and out: what is written is read again, rates change without a seam, and hostile files are refused."""

from __future__ import annotations

import struct
import wave
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import sound
from bot.core.errors import InputError
from bot.core.speech import RATE

ALL_BYTES = bytes(range(256))


def tone(hertz: float, seconds: float = 0.25, rate: int = RATE) -> sound.Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def distance_db(found: sound.Samples, wanted: sound.Samples) -> float:
    """Signal to noise, without the edges."""
    inner = slice(len(wanted) // 8, -len(wanted) // 8)
    return float(10 * np.log10(np.mean(wanted[inner] ** 2) / (np.mean((found - wanted)[inner] ** 2) + 1e-12)))


def wav(data: bytes, code: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    parts = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(parts)) + parts


@settings(max_examples=30)
@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_pcm16_survives_the_way_there_and_back(data: bytes) -> None:
    assert sound.to_pcm16(sound.from_pcm16(data)) == data


def test_what_is_too_loud_is_clipped_and_no_number_is_silence() -> None:
    found = sound.from_pcm16(sound.to_pcm16(np.array([2, -2, np.nan, np.inf], np.float32)))
    assert found.tolist() == [32767 / 32768, -1, 0, 32767 / 32768]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(InputError, match="odd number"):
        sound.from_pcm16(b"abc")


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_survives_the_way_back_and_there(law: str) -> None:
    encode, decode = getattr(sound, law + "_encode"), getattr(sound, law + "_decode")
    again = bytearray(encode(decode(ALL_BYTES)))
    if law == "mulaw":  # it has two zeros; the negative one is written as the other
        again[0x7F] = 0x7F
    assert bytes(again) == ALL_BYTES
    assert distance_db(decode(encode(tone(440))), tone(440)) > 30


def test_g711_follows_the_published_values() -> None:
    samples = np.array([0, 32767, -32768, 1000, -1000], np.float32) / 32768
    assert sound.mulaw_encode(samples).hex() == "ff8000ce4e"
    assert sound.alaw_encode(samples).hex() == "d5aa2afa7a"


@pytest.mark.parametrize(
    ("source", "target"),
    [(8000, 16000), (16000, 8000), (22050, 16000), (44100, 16000), (16000, 24000), (384000, 16000)],
)
def test_a_tone_keeps_its_pitch_and_loudness_at_another_rate(source: int, target: int) -> None:
    found = sound.resample(tone(1000, rate=source), source, target)
    assert distance_db(found, tone(1000, len(found) / target, target)) > 80


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    assert np.abs(sound.resample(tone(5000), RATE, 8000)[100:-100]).max() < 1e-4


@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 400), max_size=5),
    rates=st.sampled_from([(8000, 16000), (22050, 16000), (16000, 8000)]),
)
def test_pieces_sound_as_the_whole(cuts: list[int], rates: tuple[int, int]) -> None:
    whole, resampler = tone(700, 400 / 16000, 16000), sound.Resampler(*rates)
    pieces = [resampler.run(piece) for piece in np.split(whole, sorted(cuts))]
    found = np.concatenate([*pieces, resampler.run(whole[:0], last=True)])
    assert np.array_equal(found, sound.resample(whole, *rates))
    assert len(found) == -(-len(whole) * rates[1] // rates[0])


def test_a_long_call_needs_no_more_memory() -> None:
    resampler = sound.Resampler(44100, RATE)
    for _ in range(50):
        resampler.run(tone(400, 0.02, 44100))
    assert len(resampler._kept) < 1_000


@pytest.mark.parametrize("rate", [3, 0, -8000, 400_000])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(InputError, match="samples a second"):
        sound.Resampler(rate, RATE)


def test_a_written_file_is_read_again() -> None:
    assert distance_db(sound.read_wav(sound.write_wav(tone(440))), tone(440)) > 80


def test_the_standard_library_reads_what_is_written() -> None:
    with wave.open(BytesIO(sound.write_wav(tone(440), 8000))) as file:
        assert file.getparams()[:4] == (1, 2, 8000, len(tone(440)))


def test_every_kind_of_samples_is_read() -> None:
    loud = tone(440)
    ints = np.rint(loud.astype(np.float64) * (2**31 - 1)).astype("<i4")
    kinds: list[tuple[bytes, int, int]] = [
        ((np.rint(loud * 127) + 128).astype(np.uint8).tobytes(), 1, 8),
        (ints.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes(), 1, 24),
        (ints.tobytes(), 1, 32),
        (loud.tobytes(), 3, 32),
        (loud.astype("<f8").tobytes(), 3, 64),
        (sound.alaw_encode(loud), 6, 8),
        (sound.mulaw_encode(loud), 7, 8),
    ]
    for data, code, bits in kinds:
        found = sound.read_wav(wav(data, code, bits=bits))
        assert distance_db(found, loud) > 30, (code, bits)


def test_channels_are_averaged() -> None:
    both = np.stack([tone(440), np.zeros(len(tone(440)), np.float32)], axis=1)
    assert np.allclose(sound.read_wav(wav(sound.to_pcm16(both), channels=2)), tone(440) / 2, atol=1e-4)


def test_an_extended_header_and_other_parts_are_read() -> None:
    data = sound.to_pcm16(tone(440))
    form = struct.pack("<HHIIHHHHIH14x", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4, 1)
    parts = b"RIFF\0\0\0\0WAVE" + b"LIST\x03\0\0\0abc\0" + b"fmt " + struct.pack("<I", len(form)) + form
    assert len(sound.read_wav(parts + b"data" + struct.pack("<I", len(data)) + data)) == len(tone(440))


@pytest.mark.parametrize("told", [0xFFFFFFFF, 0x7FFFF000])
def test_a_size_that_is_not_true_is_not_believed(told: int) -> None:
    data = bytearray(sound.write_wav(tone(440)))
    data[40:44] = struct.pack("<I", told)
    assert len(sound.read_wav(bytes(data))) == len(tone(440))


def test_few_samples_are_sound_too() -> None:
    assert [len(sound.read_wav(sound.write_wav(tone(440)[:n], 8000))) for n in (0, 1)] == [0, 2]


NO_WAV: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "RIFF"),
    "mp3": (b"ID3\x04" + bytes(100), "RIFF"),
    "no_parts": (b"RIFF\0\0\0\0WAVE", "no `fmt ` part"),
    "no_data": (wav(b"")[:36], "no `fmt ` part"),
    "data_first": (b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab", "no `fmt ` part"),
    "short_form": (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0ab", "has 2 bytes"),
    "endless_parts": (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 100_000, "no `fmt ` part"),
    "no_channel": (wav(b"ab", channels=0), "0 channels"),
    "64_channels": (wav(b"ab" * 64, channels=64), "64 channels"),
    "3_hertz": (wav(b"ab", rate=3), "3 samples a second"),
    "4_gigahertz": (wav(b"ab", rate=2**32 - 1), "4294967295 samples"),
    "12_bits": (wav(b"abc", bits=12), "form 1 with 12 bits"),
    "mpeg": (wav(b"abc", code=85, bits=0), "form 85 with 0 bits"),
    "nan": (wav(np.array([0.5, np.nan], "<f4").tobytes(), 3, bits=32), "no numbers"),
    "infinite": (wav(np.array([1e300, np.inf], "<f8").tobytes(), 3, bits=64), "no numbers"),
    "three_hours": (wav(bytes(4000 * 61), 7, rate=4000, bits=8), "at most 60 s of sound, found 61.0 s"),
}


@pytest.mark.parametrize("name", NO_WAV)
def test_what_is_no_wav_file_is_refused(name: str) -> None:
    data, why = NO_WAV[name]
    with pytest.raises(InputError, match=why):
        sound.read_wav(data)


@settings(max_examples=30)
@given(st.data())
def test_a_broken_file_is_refused_or_heard(data: st.DataObject) -> None:
    broken = bytearray(sound.write_wav(tone(440, 0.01)))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    try:
        found = sound.read_wav(bytes(broken[: data.draw(st.integers(0, len(broken)))]))
    except InputError:
        return
    assert np.isfinite(found).all() and (np.abs(found) <= 1.2).all()
