"""Who answers: models, voices, languages, for requests that name some of them, all or none."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from vivavoce.errors import (
    BadRequest,
    EngineFault,
    MissingDependency,
    UnknownModel,
    UnknownVoice,
    Unsupported,
)
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.routing import Router
from vivavoce.synthesis.routing.voices import find_voice
from vivavoce.types import Capabilities, EngineInfo, Reference, SpeechRequest, Voice

ENGLISH = EngineInfo(
    name="small",
    sample_rate_hz=24_000,
    languages=("en",),
    voices=(Voice("heart", "Heart", ("en",), "female"),),
    aliases={"alloy": "heart", "onyx": "heart"},
)
MANY = EngineInfo(
    name="many",
    sample_rate_hz=24_000,
    languages=("en", "es", "zh"),
    voices=(
        Voice("vivian", "Vivian", ("zh",), "female"),
        Voice("ryan", "Ryan", ("en",), "male"),
        Voice("af_heart", "Heart", ("en",), "female", listed=False),
        Voice("em_alex", "Alex", ("es",), "male", listed=False),
        Voice("ef_dora", "Dora", ("es",), "female", listed=False),
    ),
    aliases={"alloy": "af_heart", "onyx": "ryan"},
    default_voices={"en": "af_heart", "es": "ef_dora"},
)


@dataclass
class Named(ToneModel):
    """A tone model under another model's description."""

    def __init__(self, info: EngineInfo) -> None:
        super().__init__()
        self.info = info


def router(
    *infos: EngineInfo, default_model: str = "auto", broken: Exception | None = None
) -> Router:
    factories = {info.name: (lambda info=info: LocalEngine(Named(info))) for info in infos}

    def fail() -> LocalEngine:
        assert broken is not None
        raise broken

    return Router(
        Pool({"broken": fail, **factories} if broken else factories), default_model=default_model
    )


async def chosen(
    router: Router, text: str = "Hello there, my friend.", **fields: str | Reference
) -> tuple[str, str, str, str]:
    route = await router.route(SpeechRequest(text, **fields))
    found = route.engine.info.name, route.voice.id, route.speaker, route.language
    await router._pool.aclose()
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("small", "heart", "heart", "en")),
        ({"language": "en"}, ("small", "heart", "heart", "en")),
        ({"speaker": "heart"}, ("small", "heart", "heart", "en")),
        ({"speaker": "Ryan"}, ("many", "ryan", "ryan", "en")),
        ({"speaker": "alloy"}, ("many", "af_heart", "alloy", "en")),
        ({"speaker": "onyx"}, ("many", "ryan", "onyx", "en")),
        ({"speaker": "vivian"}, ("many", "vivian", "vivian", "en")),
        ({"model": "many"}, ("many", "af_heart", "af_heart", "en")),
        ({"model": "SMALL", "speaker": "alloy"}, ("small", "heart", "alloy", "en")),
        ({"model": "tts-1"}, ("small", "heart", "heart", "en")),
        (
            {"text": "¿Dónde está la biblioteca? No la encuentro."},
            ("many", "ef_dora", "ef_dora", "es"),
        ),
        (
            {"text": "¿Dónde está la biblioteca?", "speaker": "onyx"},
            ("many", "em_alex", "onyx", "es"),
        ),
        ({"text": "今天天气很好。"}, ("many", "vivian", "vivian", "zh")),
        ({"text": "今天天气很好。", "speaker": "AF_Heart"}, ("many", "af_heart", "af_heart", "zh")),
    ],
)
async def test_auto_takes_the_first_model_that_can(
    fields: dict[str, str], expected: tuple[str, str, str, str]
) -> None:
    assert await chosen(router(ENGLISH, MANY), **fields) == expected


async def test_english_is_not_held_up_by_a_model_that_it_does_not_need() -> None:
    routes = router(ENGLISH, MANY)
    await routes.route(SpeechRequest("Hello there."))
    assert routes._pool.states()["many"].state == "unloaded"
    await routes._pool.aclose()


async def test_default_model_answers_what_names_none() -> None:
    assert (await chosen(router(ENGLISH, MANY, default_model="many")))[0] == "many"


@pytest.mark.parametrize("problem", [MissingDependency("not here"), RuntimeError("broken file")])
async def test_auto_passes_over_a_model_that_cannot_be_loaded(problem: Exception) -> None:
    routes = router(ENGLISH, broken=problem)
    route = await routes.route(SpeechRequest("Hello there."))
    assert route.engine.info.name == "small"
    assert routes._pool.states()["broken"].state == (
        "missing" if isinstance(problem, MissingDependency) else "failed"
    )
    with pytest.raises((MissingDependency, EngineFault)):
        await routes.route(SpeechRequest("Hello there.", model="broken"))
    with pytest.raises(Unsupported, match=r"Not available here: .*(not here|broken file)"):
        await routes.route(SpeechRequest("Hello there.", language="es"))
    await routes._pool.aclose()


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"model": "nothing"}, UnknownModel, "'nothing'"),
        ({"speaker": "nobody"}, UnknownVoice, "'nobody'"),
        ({"language": "ko"}, Unsupported, "korean"),
        ({"text": "오늘은 날씨가 좋네요."}, Unsupported, "korean"),
        ({"text": "今天天气很好。", "model": "small"}, Unsupported, "chinese"),
        ({"text": "今天天气很好。", "language": "en"}, Unsupported, "cannot be read as english"),
        (
            {"text": "今天天气很好。", "speaker": "heart"},
            Unsupported,
            "chinese.*with speaker 'heart'",
        ),
        ({"text": "आज मौसम बहुत अच्छा है।"}, Unsupported, "hindi"),
        ({"speaker": "nobody"}, UnknownVoice, "heart, vivian, ryan"),
        ({"language": "ko"}, Unsupported, "english, spanish, chinese"),
    ],
)
async def test_what_nobody_can_say_is_refused_by_name(
    fields: dict[str, str], error: type[BadRequest], says: str
) -> None:
    with pytest.raises(error, match=says):
        await chosen(router(ENGLISH, MANY), **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"text": "Heute ist das Wetter sehr schön."}, ("small", "heart", "heart", "en")),
        ({"text": "Las Vegas.", "speaker": "heart"}, ("small", "heart", "heart", "en")),
        ({"text": "¿Dónde está Pedro?", "speaker": "ryan"}, ("many", "ryan", "ryan", "en")),
        ({"text": "The cat sleeps.", "speaker": "ef_dora"}, ("many", "ef_dora", "ef_dora", "es")),
        ({"text": "¿Dónde está Pedro?", "model": "small"}, ("small", "heart", "heart", "en")),
        ({"text": "Version 2.0", "model": "many"}, ("many", "af_heart", "af_heart", "en")),
    ],
)
async def test_guess_refuses_no_text_that_can_be_read(
    fields: dict[str, str], expected: tuple[str, str, str, str]
) -> None:
    assert await chosen(router(ENGLISH, MANY), **fields) == expected


def test_alias_without_a_voice_of_the_language_keeps_its_own() -> None:
    info = replace(MANY, languages=("en", "fr"))
    assert [
        voice.id
        for voice, _ in filter(None, (find_voice(info, name, "fr") for name in ("alloy", None)))
    ] == [
        "af_heart",
        "vivian",
    ]


DESIGN = replace(
    MANY,
    name="design",
    voices=(Voice("design", "Design", MANY.languages),),
    aliases={"alloy": "design"},
    default_voices={},
    capabilities=Capabilities(instruct=True, needs="instruct"),
)
CLONE = replace(
    MANY,
    name="clone",
    voices=(Voice("clone", "Clone", MANY.languages, listed=False),),
    aliases={},
    default_voices={},
    capabilities=Capabilities(needs="reference", clones=True),
)


async def test_auto_passes_over_what_the_request_cannot_be_spoken_by() -> None:
    assert (await chosen(router(CLONE, DESIGN, MANY)))[0] == "many"
    assert (await chosen(router(CLONE, DESIGN, MANY), instruct="Old and hoarse."))[:2] == (
        "design",
        "design",
    )
    assert (await chosen(router(CLONE, DESIGN, MANY), instruct="Old.", speaker="ryan"))[:2] == (
        "many",
        "ryan",
    )


@pytest.mark.parametrize(
    ("infos", "field"),
    [((DESIGN,), "instruct"), ((CLONE,), "ref_audio"), ((CLONE, DESIGN), "ref_audio")],
)
@pytest.mark.parametrize("named", [False, True])
async def test_request_that_lacks_what_a_model_needs_is_told(
    infos: tuple[EngineInfo, ...], field: str, named: bool
) -> None:
    with pytest.raises(BadRequest) as caught:
        await chosen(router(*infos), **({"model": infos[0].name} if named else {}))
    assert caught.value.field == field


RECORDING = Reference(np.ones(24_000, np.float32), 24_000)


@pytest.mark.parametrize("default", ["auto", "many", "clone"])
@pytest.mark.parametrize("speaker", [{}, {"speaker": "ryan"}, {"speaker": "nobody"}])
async def test_recording_goes_to_the_first_model_that_clones(
    default: str, speaker: dict[str, str]
) -> None:
    found = await chosen(
        router(MANY, DESIGN, CLONE, default_model=default), reference=RECORDING, **speaker
    )
    assert found == ("clone", "clone", "clone", "en")


async def test_default_model_that_clones_is_asked_first() -> None:
    infos = (CLONE, replace(CLONE, name="other"))
    assert (await chosen(router(*infos, default_model="other"), reference=RECORDING))[0] == "other"
    assert (await chosen(router(*infos), reference=RECORDING))[0] == "clone"


async def test_recording_for_a_model_that_clones_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        Unsupported, match="'many' clones no voice: leave ref_audio out, or choose a Base"
    ) as caught:
        await chosen(router(MANY), reference=RECORDING, model="many")
    assert caught.value.field == "ref_audio"
    with pytest.raises(Unsupported, match="clones no voice"):
        await chosen(router(MANY, DESIGN), reference=RECORDING)
    routes = router(MANY, CLONE)
    await routes.route(SpeechRequest("Hello there.", model="clone", reference=RECORDING))
    with pytest.raises(Unsupported, match="or choose 'clone'"):
        await chosen(routes, reference=RECORDING, model="many")
