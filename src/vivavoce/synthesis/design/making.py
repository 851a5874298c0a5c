"""Let a VoiceDesign checkpoint speak previews of a voice that is described."""

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vivavoce.errors import BadRequest, Unsupported
from vivavoce.provenance.mark import HEADER
from vivavoce.synthesis.design.previews import Preview
from vivavoce.synthesis.outlet import excerpt_file, mark_headers
from vivavoce.synthesis.routing import Router
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.split import weighted_length
from vivavoce.types import MAX_INSTRUCT_CHARS, AudioFormat, SpeechRequest, StopReason
from vivavoce.voices.record import Viewer
from vivavoce.voices.recording import RATE_HZ, Recording, designed_recording

MAX_COUNT: Final = 4
MAX_TEXT_CHARS: Final = 250  # as `weighted_length` counts: 17 s, said in one go by one voice
MAX_SEED: Final = 2**32 - 1
DESIGNS: Final = "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign"
CLONES: Final = "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
# Some seven seconds of speech each.
TEXTS: Final = {
    "zh": "你好，很高兴认识你。窗外的雨停了，我们一起出去走走，看看花园里的花开了没有，好吗？",
    "en": "Good evening, and welcome. The rain has stopped, so let us walk through the garden "
    "together and see which of the flowers are open.",
    "de": "Guten Abend und willkommen. Der Regen hat aufgehört, also gehen wir zusammen durch den "
    "Garten und sehen nach, welche Blumen blühen.",
    "it": "Buonasera e benvenuti. La pioggia è finita: andiamo insieme in giardino a vedere quali "
    "fiori sono sbocciati.",
    "pt": "Boa noite e bem-vindos. A chuva parou, então vamos passear juntos pelo jardim e ver "
    "quais flores já se abriram.",
    "es": "Buenas noches y bienvenidos. Ha dejado de llover, así que vamos a pasear juntos por el "
    "jardín y a ver qué flores se han abierto.",
    "ja": "こんばんは、ようこそ。雨が上がりましたので、一緒に庭を歩いて、"
    "どの花が咲いているか見てみましょう。",
    "ko": "안녕하세요, 반갑습니다. 비가 그쳤으니 함께 정원을 걸으면서 "
    "어떤 꽃이 피었는지 보러 갈까요?",
    "fr": "Bonsoir et bienvenue. La pluie a cessé, alors allons ensemble au jardin voir quelles "
    "fleurs se sont ouvertes.",
    "ru": "Добрый вечер, добро пожаловать. Дождь закончился, давайте вместе пройдёмся по саду и "
    "посмотрим, какие цветы распустились.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """A voice to be designed, and the previews of it that are wanted.

    Without a `text` they say one of `TEXTS`. The seeds of `count` previews are `seed` and the
    numbers after it.
    """

    description: str
    text: str | None = None
    language: str | None = None  # ISO 639-1; None: that of the text
    count: int = 3
    seed: int | None = None  # None: any
    format: AudioFormat = "wav"
    sample_rate_hz: int = RATE_HZ

    @property
    def said(self) -> str:
        """The text of the previews, in one line."""
        text = self.text or TEXTS.get(self.language or "en", TEXTS["en"])
        return " ".join(text.encode("utf-8", "replace").decode().split())


def short_text(text: str | None, language: str | None) -> str:
    """Return `text`, else one of `TEXTS`. Raises `BadRequest` if it is too long for a preview."""
    said = Wish("", text, language).said
    if (chars := weighted_length(said)) > MAX_TEXT_CHARS:
        raise BadRequest(
            f"text has {chars:,} letters (a Chinese character counts as three), the limit is "
            f"{MAX_TEXT_CHARS}: a preview is short",
            field="text",
        )
    return said


async def make_previews(
    synthesizer: Synthesizer, wish: Wish, viewer: Viewer
) -> AsyncGenerator[Preview]:
    """Yield the previews of `wish` as they are ready, in order. They are spoken together.

    Raises `Unsupported` if no model here designs voices, or none speaks with them, `BadRequest` for
    a text that makes no preview, and the errors of `Synthesizer.open`.
    """
    request = SpeechRequest(
        wish.said,
        input_type="text",
        unsplit=True,
        task="voice_design",
        instruct=_described(wish),
        language=wish.language,
        caller=viewer.name,
    )
    await _check_models(synthesizer.router)
    words = await _words(synthesizer, request)
    first = secrets.randbelow(MAX_SEED + 1) if wish.seed is None else wish.seed
    seeds = [(first + n) % (MAX_SEED + 1) for n in range(wish.count)]
    speaking = [
        asyncio.create_task(_preview(synthesizer, replace(request, seed=seed), wish, words))
        for seed in seeds
    ]
    try:
        for task in speaking:
            yield await task
    finally:
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)


async def _check_models(router: Router) -> None:
    infos = await router.infos()
    needed = (
        (DESIGNS, "makes voices", any(info.task == "voice_design" for info in infos)),
        (CLONES, "speaks with them", any(info.capabilities.clones for info in infos)),
    )
    missing = [(name, does) for name, does, there in needed if not there]
    if missing:
        _raise_missing(missing)


def _raise_missing(missing: Sequence[tuple[str, str]]) -> None:
    names = [name for name, _ in missing]
    what = " or ".join(f"{does} ({name})" for name, does in missing)
    pulls = " and ".join(f"vivavoce models pull {name}" for name in names)
    chosen = ",".join(names)
    raise Unsupported(
        f"voices are designed with Qwen3-TTS, and no model here {what}: get what is missing with "
        f"{pulls}, then name {chosen} in the setting qwen, beside those that you have: vivavoce "
        f"serve --qwen {chosen}, or VIVAVOCE_QWEN={chosen} for other commands",
        field="description",
    )


def _described(wish: Wish) -> str:
    description = " ".join(wish.description.split())
    if not description:
        problem = "is empty"
    elif len(description) > MAX_INSTRUCT_CHARS:
        problem = f"has {len(description):,} characters, the limit is {MAX_INSTRUCT_CHARS:,}"
    elif any(unicodedata.category(char) in ("Cc", "Cs") for char in description):
        problem = f"{description[:80]!r} holds control characters"
    else:
        return description
    raise BadRequest(
        f"description {problem}: say who speaks, and how, like 'a calm old man'",
        field="description",
    )


async def _words(synthesizer: Synthesizer, request: SpeechRequest) -> str:
    """Return the words as the model gets them, all in one segment. Raises `BadRequest`."""
    short_text(request.text, None)
    segments = (await synthesizer.explain(request)).segments
    if len(segments) != 1:
        raise BadRequest(
            "text changes the voice, the language or the speed, or has a pause, and a preview is "
            "said in one go: leave out the tags in it",
            field="text",
        )
    return segments[0].segment.text


async def _preview(
    synthesizer: Synthesizer, request: SpeechRequest, wish: Wish, words: str
) -> Preview:
    async with aclosing(await synthesizer.open(request)) as speech:
        speech.streamed = False
        async with aclosing(speech.samples()) as parts:
            samples = np.concatenate([part async for part in parts])
    assert request.seed is not None

    def kept() -> tuple[Recording, bytes]:
        recording = designed_recording(samples, speech.sample_rate_hz)
        return recording, excerpt_file(
            speech, recording.samples, RATE_HZ, wish.format, wish.sample_rate_hz
        )

    recording, audio = await asyncio.to_thread(kept)
    return Preview(
        id=secrets.token_hex(12),
        description=request.instruct or "",
        language=speech.language,
        seed=request.seed,
        words=words if speech.ending is StopReason.COMPLETE else None,
        recording=recording,
        audio=audio,
        format=wish.format,
        synthetic=mark_headers(speech).get(HEADER, ""),
    )
