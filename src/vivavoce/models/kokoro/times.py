"""Give the phonemes of Kokoro's alphabet, which hibari shares, their times and their IPA."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vivavoce.audio.join import loud_span
from vivavoce.models.kokoro.g2p.spans import Span
from vivavoce.types import Phone, Samples

FRAME_S: Final = 0.025  # the unit of durations: 600 samples at 24 kHz
_STRESS = frozenset("ˈˌ")  # sounds as the beginning of the vowel behind it
_LONGER = frozenset("ː\u0303ʲʰᵝ→↗↓↘")  # sound as the end of the phone before them
_TONES = frozenset("→↗↓↘")
_IPA = {
    "A": "eɪ", "I": "aɪ", "W": "aʊ", "Y": "ɔɪ", "O": "oʊ", "Q": "əʊ", "S": "sː", "T": "ɾ",
    "ʣ": "dz", "ʤ": "dʒ", "ʥ": "dʑ", "ʦ": "ts", "ʧ": "tʃ", "ʨ": "tɕ", "ꭧ": "tʂ", "ᵊ": "ə",
    "ᵻ": "ɪ",
}  # fmt: skip


def phones(
    symbols: Sequence[str], spans: Sequence[Span], frames: Sequence[int], start_s: float
) -> list[Phone]:
    """Return the phones among `symbols`, which have a duration of `frames` each, from `start_s` on.

    `frames` has one more at each end, for the network's pads. Silence is no phone.
    """
    found: list[Phone] = []
    at, begin = frames[0], None
    for symbol, span, length in zip(symbols, spans, frames[1:-1], strict=True):
        end_s = start_s + (at + length) * FRAME_S
        if symbol in _STRESS:
            begin = at
        elif symbol in _LONGER:
            if found:
                ipa = found[-1].ipa + ("" if symbol in _TONES else symbol)
                found[-1] = replace(found[-1], ipa=ipa, end_s=end_s)
        elif symbol.isalpha():
            begin = at if begin is None else begin
            ipa = _IPA.get(symbol, symbol)
            found.append(Phone(ipa, start_s + begin * FRAME_S, end_s, *span))
            begin = None
        at += length
    return found


def fade_cut(found: list[Phone], samples: Samples, rate_hz: int, start_s: float) -> list[Phone]:
    """Return the phones of `samples`, the last of which ends with the last audible sample.

    It lasts a frame at least. The network counts the fading after it too, which is trimmed later.
    """
    if not found:
        return found
    last = found[-1]
    audible_s = max(start_s + loud_span(samples)[1] / rate_hz, last.start_s + FRAME_S)
    return [*found[:-1], replace(last, end_s=min(last.end_s, audible_s))]
