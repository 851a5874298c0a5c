"""Serve the OpenAI speech API, and the lists that its clients request."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from vivavoce import __version__
from vivavoce.api.dependencies import SynthesizerDep
from vivavoce.api.elevenlabs.lists import model_cards
from vivavoce.api.reference_audio import read_request
from vivavoce.api.responses import events, respond, stream, whole
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import (
    EVENTS_TYPE,
    OPENAI_ERRORS,
    AudioModel,
    AudioModelList,
    ModelCard,
    ModelList,
    OpenAIError,
    audio_answers,
)
from vivavoce.api.schemas.requests import SpeechBody
from vivavoce.audio import MEDIA_TYPES
from vivavoce.errors import UnknownModel
from vivavoce.names import MAX_NAME_CHARS
from vivavoce.serving.pool_entry import ModelState
from vivavoce.synthesis.routing import AUTO, MODEL_ALIASES, TASKS
from vivavoce.synthesis.synthesizer import Synthesizer

router = APIRouter(prefix="/v1", tags=["openai"], responses=OPENAI_ERRORS, route_class=BoundedRoute)

AUDIO = audio_answers(*MEDIA_TYPES.values(), EVENTS_TYPE, error=OpenAIError)


@router.post("/audio/speech", response_class=Response, responses=AUDIO)
async def speech(http: Request, body: SpeechBody) -> Response:
    """Speak a text as it is made: raw audio, or server-sent events with `stream_format: sse`.

    m4a is a whole file.
    """
    request = await read_request(body)
    form = events if body.stream_format == "sse" else whole if request.format == "m4a" else stream
    return await respond(http, request, form)


@router.get("/models", response_model=ModelList)
async def models(http: Request, synthesizer: SynthesizerDep) -> ModelList | Response:
    """Return all models with their states, then the aliases of models.

    Clients of ElevenLabs, whose key has a header of its own, get the list that they know.
    """
    if "xi-api-key" in http.headers:
        return JSONResponse(await model_cards(synthesizer))
    return ModelList(data=await _cards(synthesizer))


@router.get("/models/{model}")
async def model(model: str, synthesizer: SynthesizerDep) -> ModelCard:
    """Return one model."""
    cards = {card.id: card for card in await _cards(synthesizer)}
    if model not in cards:
        problem = f"model {model[:MAX_NAME_CHARS]!r} is not offered here"
        raise UnknownModel(f"{problem}; choose one of {', '.join(cards)}", field="model")
    return cards[model]


async def _cards(synthesizer: Synthesizer) -> list[ModelCard]:
    await synthesizer.pool.preview_all()
    states = synthesizer.pool.states()
    own = [ModelCard(id=name, **asdict(state)) for name, state in states.items()]
    meaning = "the first ready model that can speak the text with the voice asked for"
    auto = ModelCard(id=AUTO, state="alias", detail=meaning)
    aliases = [
        ModelCard(id=name, state="alias", detail=f"the same as {meant}")
        for name, meant in MODEL_ALIASES.items()
    ]
    return [*own, auto, *_task_cards(states), *aliases]


def _task_cards(states: Mapping[str, ModelState]) -> Iterator[ModelCard]:
    """Yield the tasks that a model performs, as aliases of that model."""
    for task in TASKS:
        able = [name for name, state in states.items() if state.task == task]
        if able and task not in states:
            meaning = f"the first of {', '.join(able)} that can speak the text"
            yield ModelCard(id=task, state="alias", detail=meaning)


@router.get("/audio/models")
async def audio_models(synthesizer: SynthesizerDep) -> AudioModelList:
    """Return the names of the models in the format of Open WebUI."""
    return AudioModelList(models=[AudioModel(id=card.id) for card in await _cards(synthesizer)])


@router.get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """Identify the server to clients that probe the base URL."""
    return {"name": "vivavoce", "version": __version__, "docs": "/docs"}
