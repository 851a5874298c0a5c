"""List the voices of the Kokoro model and the style of each.

A style is one of the 54 voices that were published with the model. The nine speakers of Qwen3-TTS
are offered under their own names, each with the closest style, so that clients need not change
between models.
"""

from vivavoce.errors import UnknownVoice
from vivavoce.types import Gender, Voice
from vivavoce.voices.formula import Formula, parse_formula

LANGUAGE_OF_LETTER = {
    "a": "en", "b": "en", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt",
    "z": "zh",
}  # fmt: skip
GENDER_OF_LETTER: dict[str, Gender] = {"f": "female", "m": "male"}

STYLES = (
    "af_heart", "af_alloy", "af_aoede", "af_bella", "af_jessica", "af_kore", "af_nicole", "af_nova",
    "af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam",
    "am_michael", "am_onyx", "am_puck", "am_santa", "bf_alice", "bf_emma", "bf_isabella", "bf_lily",
    "bm_daniel", "bm_fable", "bm_george", "bm_lewis", "ef_dora", "em_alex", "em_santa", "ff_siwis",
    "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola", "jf_alpha",
    "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo", "pf_dora", "pm_alex", "pm_santa",
    "zf_xiaoxiao", "zf_xiaobei", "zf_xiaoni", "zf_xiaoyi", "zm_yunxi", "zm_yunjian", "zm_yunxia",
    "zm_yunyang",
)  # fmt: skip

# Qwen3-TTS's speakers in its own order. Sohee is Korean. This model has no Korean voice.
SPEAKERS = {
    "vivian": "zf_xiaoxiao", "serena": "zf_xiaoyi", "uncle_fu": "zm_yunjian", "dylan": "zm_yunxi",
    "eric": "zm_yunyang", "ryan": "am_michael", "aiden": "am_puck", "ono_anna": "jf_alpha",
    "sohee": "jf_nezumi",
}  # fmt: skip

# OpenAI's names: the style of the same name if there is one, else one of the gender that the name
# suggests.
ALIASES = {
    "alloy": "af_alloy", "ash": "am_adam", "ballad": "bm_lewis", "coral": "af_bella",
    "echo": "am_echo", "fable": "bm_fable", "nova": "af_nova", "onyx": "am_onyx",
    "sage": "af_sarah", "shimmer": "af_sky", "verse": "am_liam", "marin": "af_kore",
    "cedar": "am_fenrir", "default": "af_heart",
}  # fmt: skip

DEFAULT_VOICES = {
    "en": "af_heart",
    "es": "ef_dora",
    "fr": "ff_siwis",
    "it": "if_sara",
    "ja": "jf_alpha",
    "pt": "pf_dora",
    "zh": "zm_yunjian",  # the most intelligible: docs/intelligibility.md
}

NAMES = frozenset({*STYLES, *SPEAKERS, *ALIASES})  # that a saved voice cannot have


def voices() -> tuple[Voice, ...]:
    """Return the 54 styles under their own names, then the nine speakers of Qwen3-TTS.

    Only the nine speakers are listed. `languages` holds a voice's native language. Each voice can
    speak all languages of the model, because the language alone decides the phonemes.
    """
    return (*map(_style, STYLES), *(_speaker(*named) for named in SPEAKERS.items()))


def style_of(voice: str) -> str:
    """Return the style of a voice, given its id or alias in any case. Raises `UnknownVoice`."""
    name = voice.strip().lower()
    style = SPEAKERS.get(name) or ALIASES.get(name, name)
    if style not in STYLES:
        raise UnknownVoice(
            f"voice {voice!r} is unknown to 'kokoro'; choose one of {', '.join(SPEAKERS)}, "
            f"or one of Kokoro's own names, such as {STYLES[0]!r}",
            field="voice",
        )
    return style


def parse_mix(text: str) -> Formula:
    """Return the formula of styles in `text`. Raises `BadRequest`, `UnknownVoice` (`speaker`)."""

    def named(name: str) -> str:
        try:
            return style_of(name)
        except UnknownVoice as error:
            raise UnknownVoice(error.message, field="speaker") from error

    return parse_formula(text, named)


def native_of(formula: Formula) -> tuple[tuple[str, ...], Gender]:
    """Return the language and the gender of the voice with the largest share."""
    return _native(formula.names[0])


def _style(style: str) -> Voice:
    accent = {"a": "American English.", "b": "British English."}.get(style[0], "")
    return Voice(style, style[3:].capitalize(), *_native(style), listed=False, description=accent)


def _speaker(name: str, style: str) -> Voice:
    label = name.replace("_", " ").title()
    description = f"Kokoro's {style} under the name of a Qwen3-TTS speaker."
    return Voice(name, label, *_native(style), description=description)


def _native(style: str) -> tuple[tuple[str, ...], Gender]:
    return (LANGUAGE_OF_LETTER[style[0]],), GENDER_OF_LETTER[style[1]]
