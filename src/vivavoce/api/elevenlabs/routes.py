"""Put the endpoints of ElevenLabs' API together, for the root and for `/elevenlabs`."""

from typing import Any, Final

from fastapi import APIRouter

from vivavoce.api.dependencies import SynthesizerDep
from vivavoce.api.elevenlabs import lists, live, speech
from vivavoce.api.elevenlabs.voices import design, own

PREFIX: Final = "/elevenlabs"  # for clients of several APIs; there `/v1/models` is ElevenLabs'

router = APIRouter()
for module in (speech, lists, live, own, design):
    router.routes.extend(module.router.routes)

prefixed = APIRouter(prefix=PREFIX, include_in_schema=False)
prefixed.include_router(router)


@prefixed.get("/v1/models", tags=["elevenlabs"])
async def models(synthesizer: SynthesizerDep) -> list[dict[str, Any]]:
    """Return the models in the form of ElevenLabs."""
    return await lists.model_cards(synthesizer)
