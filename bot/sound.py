"""Sound as arrays: PCM16, G.711, sampling rates and WAV files.

Samples are mono float32 in [-1, 1], shape (n,). Nothing here trusts its input: a file or a rate that cannot be is an
`InputError`, and a file is read in blocks, so that its header cannot make us take more memory than its sound needs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bot.core.errors import InputError
from bot.core.speech import RATE

Samples = NDArray[np.float32]
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
MOST_CHANNELS = 8
_CHUNKS = 1_000
"""More chunks than any WAV file has."""
_BLOCK = 8_192
_ZEROS = 16
"""Zero crossings of the resampling filter on either side; with the window below: 80 dB down from 1.06 of the cut."""
_ROLL_OFF, _BETA = 0.94, 8.0
_FINEST = 2_000
"""Ratios of rates are taken as fractions of at most this denominator: exact for all usual rates, else 1/4,000 off."""
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


def to_pcm16(samples: Samples) -> bytes:
    """Little-endian 16-bit samples; what is louder than 1 is clipped."""
    return _ints(samples).astype("<i2").tobytes()


def from_pcm16(data: bytes) -> Samples:
    """Samples of little-endian 16-bit PCM.

    Raises:
        InputError: an odd number of bytes.
    """
    if len(data) % 2:
        raise InputError(f"expected 16-bit samples, found an odd number of bytes ({len(data)})")
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def mulaw_encode(samples: Samples) -> bytes:
    """G.711 mu-law, a byte a sample."""
    return _MULAW_CODES[_ints(samples).view(np.uint16)].tobytes()


def mulaw_decode(data: bytes) -> Samples:
    """Samples of G.711 mu-law."""
    return _MULAW_LEVELS[np.frombuffer(data, np.uint8)]


def alaw_encode(samples: Samples) -> bytes:
    """G.711 A-law, a byte a sample."""
    return _ALAW_CODES[_ints(samples).view(np.uint16)].tobytes()


def alaw_decode(data: bytes) -> Samples:
    """Samples of G.711 A-law."""
    return _ALAW_LEVELS[np.frombuffer(data, np.uint8)]


class Resampler:
    """Changes the sampling rate of one sound, piece by piece, without a seam.

    A windowed-sinc filter in polyphase form (Smith, Digital Audio Resampling, 2002). It looks 16 samples of the lower
    rate ahead. After `last` it has given as many samples as the sound has at the new rate, rounded up, and is done.
    """

    def __init__(self, source: int, target: int) -> None:
        """Rates in samples a second.

        Raises:
            InputError: a rate outside 4,000 to 384,000.
        """
        for rate in (source, target):
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise InputError(f"expected {LOWEST_RATE} to {HIGHEST_RATE} samples a second, found {rate}")
        low, high = sorted((source, target))
        ratio = Fraction(low, high).limit_denominator(_FINEST)
        ups = (ratio.numerator, ratio.denominator)
        self._up, self._down = ups if source > target else ups[::-1]
        self._bank = _bank(self._up, self._down)
        taps = self._bank.shape[1]
        self._ahead = _ZEROS * max(self._up, self._down)
        self._kept: Samples = np.zeros(taps - 1, np.float32)
        self._start = 1 - taps
        self._taken = self._given = 0

    def run(self, samples: Samples, last: bool = False) -> Samples:
        """The next piece of the sound at the new rate, as much as can be told by now."""
        if self._up == self._down:
            return np.asarray(samples, np.float32)
        self._taken += len(samples)
        padding = [np.zeros(self._bank.shape[1], np.float32)] if last else []
        self._kept = np.concatenate([self._kept, samples, *padding], dtype=np.float32)
        known = self._taken * self._up - (0 if last else self._ahead)
        end = max(-(-known // self._down), self._given)
        blocks = [self._block(start, min(start + _BLOCK, end)) for start in range(self._given, end, _BLOCK)]
        self._given = end
        self._forget()
        return np.concatenate([*blocks, np.zeros(0, np.float32)], dtype=np.float32)

    def _block(self, start: int, end: int) -> Samples:
        base, phase = np.divmod(np.arange(start, end) * self._down + self._ahead, self._up)
        taps = self._bank.shape[1]
        windows = sliding_window_view(self._kept, taps)[base - (taps - 1) - self._start]
        found: Samples = np.einsum("nt,nt->n", windows, self._bank[phase])
        return found

    def _forget(self) -> None:
        """Let go of samples that no later output needs."""
        base = (self._given * self._down + self._ahead) // self._up
        drop = min(max(base - (self._bank.shape[1] - 1) - self._start, 0), len(self._kept))
        self._kept, self._start = self._kept[drop:], self._start + drop


def resample(samples: Samples, source: int, target: int) -> Samples:
    """A whole sound at another rate."""
    return Resampler(source, target).run(samples, last=True)


def write_wav(samples: Samples, rate: int = RATE) -> bytes:
    """A mono PCM16 file."""
    data = to_pcm16(samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, rate, rate * 2, 2, 16)
    parts = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(parts)) + parts


@dataclass(frozen=True, slots=True)
class WavForm:
    """How the samples of a WAV file are written."""

    code: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


def read_wav(data: bytes, max_seconds: float = 60.0) -> Samples:
    """The sound of a WAV file at `RATE`, its channels averaged; empty if it holds none.

    PCM of 8, 16, 24 and 32 bits, float of 32 and 64, mu-law and A-law; 1 to 8 channels; 4,000 to 384,000 samples a
    second. The sizes in the header are not believed beyond what is there, as programs that stream do not know them.

    Raises:
        InputError: it is no such file, or longer than `max_seconds`.
    """
    form, start, end = wav_layout(data)
    seconds = (end - start) // form.frame / form.rate
    if seconds > max_seconds:
        raise InputError(f"expected at most {max_seconds:g} s of sound, found {seconds:.1f} s; send a shorter piece")
    resampler = Resampler(form.rate, RATE)
    blocks = [resampler.run(block) for block in _mono_blocks(data, form, start, end)]
    return np.concatenate([*blocks, resampler.run(np.zeros(0, np.float32), last=True)], dtype=np.float32)


def wav_layout(data: bytes) -> tuple[WavForm, int, int]:
    """The form of a WAV file, and from where to where its samples stand.

    Raises:
        InputError: it is no WAV file that can be read.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise InputError(f"expected a WAV file (RIFF....WAVE), found {data[:12]!r}; convert it to PCM WAV")
    form, place = None, 12
    for _ in range(_CHUNKS):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8
        if name == b"fmt ":
            form = _form(data[place : place + size])
        if name == b"data" and form is not None:
            there = min(size, len(data) - place)
            return form, place, place + there - there % form.frame
        place += size + size % 2
        if place >= len(data):
            break
    raise InputError("the WAV file has no `fmt ` part followed by a `data` part; it is broken or cut off")


def _form(data: bytes) -> WavForm:
    if len(data) < 16:
        raise InputError(f"the WAV file's `fmt ` part has {len(data)} bytes; at least 16 are needed")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data[:16])
    if code == _EXTENSIBLE and len(data) >= 26:
        code = int.from_bytes(data[24:26], "little")
    if (code, bits) not in _DECODERS:
        raise InputError(f"the WAV file has samples of form {code} with {bits} bits; send 16-bit PCM")
    if not 1 <= channels <= MOST_CHANNELS:
        raise InputError(f"the WAV file has {channels} channels; expected 1 to {MOST_CHANNELS}")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InputError(
            f"the WAV file has {rate} samples a second; expected {LOWEST_RATE} to {HIGHEST_RATE}, best {RATE}"
        )
    return WavForm(code, channels, rate, bits)


def _mono_blocks(data: bytes, form: WavForm, start: int, end: int) -> Iterator[Samples]:
    decode, step = _DECODERS[form.code, form.bits], _BLOCK * form.frame
    for place in range(start, end, step):
        frames = decode(data[place : min(place + step, end)]).reshape(-1, form.channels)
        if not np.isfinite(frames).all():
            raise InputError("the WAV file holds samples that are no numbers (NaN or infinite)")
        yield np.clip(frames, -1, 1).mean(axis=1, dtype=np.float32)


def _pcm8(data: bytes) -> Samples:
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)


def _pcm24(data: bytes) -> Samples:
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / np.float32(1 << 31)).astype(np.float32)


def _pcm32(data: bytes) -> Samples:
    return np.frombuffer(data, "<i4").astype(np.float32) / np.float32(1 << 31)


def _float32(data: bytes) -> Samples:
    return np.frombuffer(data, "<f4")


def _float64(data: bytes) -> Samples:
    with np.errstate(over="ignore"):
        return np.frombuffer(data, "<f8").astype(np.float32)


_DECODERS = {
    (_PCM, 8): _pcm8,
    (_PCM, 16): from_pcm16,
    (_PCM, 24): _pcm24,
    (_PCM, 32): _pcm32,
    (_FLOAT, 32): _float32,
    (_FLOAT, 64): _float64,
    (_ALAW, 8): alaw_decode,
    (_MULAW, 8): mulaw_decode,
}


def _ints(samples: Samples) -> NDArray[np.int16]:
    loud = np.clip(np.nan_to_num(np.asarray(samples, np.float32)), -1, 1) * np.float32(32768)
    found: NDArray[np.int16] = np.minimum(np.rint(loud), np.float32(32767)).astype(np.int16)
    return found


def _bank(up: int, down: int) -> Samples:
    """The filter, a row of taps for each phase, the latest sample's tap last."""
    wide = max(up, down)
    places = np.arange(-_ZEROS * wide, _ZEROS * wide + 1)
    cut = _ROLL_OFF / wide
    taps = (up * cut * np.sinc(cut * places) * np.kaiser(len(places), _BETA)).astype(np.float32)
    padded = np.concatenate([taps, np.zeros(-len(taps) % up, np.float32)])
    return np.ascontiguousarray(padded.reshape(-1, up).T[:, ::-1])


def _mulaw_tables() -> tuple[NDArray[np.uint8], Samples]:
    """G.711: 8 segments, each twice as coarse as the one before; the bits are sent inverted."""
    signed = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int32)
    size = np.minimum(np.abs(signed), 32635) + 132
    segment = np.floor(np.log2(size)).astype(np.int32) - 7
    codes = ~((signed < 0) << 7 | segment << 4 | (size >> (segment + 3)) & 15)
    bits = ~np.arange(256) & 255
    level = (((bits & 15) << 3) + 132 << (bits >> 4 & 7)) - 132
    return codes.astype(np.uint8), (np.where(bits & 128, -level, level) / 32768).astype(np.float32)


def _alaw_tables() -> tuple[NDArray[np.uint8], Samples]:
    """G.711: as above, but even near zero; every other bit is sent inverted."""
    signed = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int32)
    size = np.where(signed < 0, -signed - 1, signed) >> 3
    segment = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 4, 0)
    codes = ((signed >= 0) << 7 | segment << 4 | (size >> np.maximum(segment, 1)) & 15) ^ 0x55
    bits = np.arange(256) ^ 0x55
    exponent, mantissa = bits >> 4 & 7, bits & 15
    level = np.where(exponent > 0, (mantissa << 4) + 264 << np.maximum(exponent - 1, 0), (mantissa << 4) + 8)
    return codes.astype(np.uint8), (np.where(bits & 128, level, -level) / 32768).astype(np.float32)


_MULAW_CODES, _MULAW_LEVELS = _mulaw_tables()
_ALAW_CODES, _ALAW_LEVELS = _alaw_tables()
