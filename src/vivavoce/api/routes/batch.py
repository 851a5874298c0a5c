"""Speak several texts in one answer, `POST /v1/audio/speech/batch` of vLLM-Omni and SGLang-Omni."""

import asyncio
import base64
import uuid
from typing import Final

from fastapi import APIRouter, Request, Response

from vivavoce.api.dependencies import caller_of, from_caller, server_of
from vivavoce.api.live.realtime.response import usage_of
from vivavoce.api.middleware.auth import SPEND
from vivavoce.api.reference_audio import read_request
from vivavoce.api.responses import unless_disconnected
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import OPENAI_ERRORS
from vivavoce.api.schemas.omni import BatchAnswer, BatchBody, BatchItem, BatchResult
from vivavoce.audio import MEDIA_TYPES, check_rate
from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.provenance.mark import HEADER
from vivavoce.synthesis.outlet import mark_headers, whole_file
from vivavoce.synthesis.speech import Speech
from vivavoce.types import SpeechRequest

router = APIRouter(prefix="/v1", tags=["openai"], responses=OPENAI_ERRORS, route_class=BoundedRoute)

AT_ONCE: Final = 4  # items of a batch
MOST_BYTES: Final = 16 * 2**20  # of the audio of a batch


@router.post("/audio/speech/batch", response_model_exclude_none=True)
async def batch(http: Request, body: BatchBody, response: Response) -> BatchAnswer:
    """Speak up to 32 texts. Each has its own result, the audio in base64 or an error."""
    chars, limit = sum(len(item.input) for item in body.items), server_of(http).max_text_chars
    if chars > limit:
        problem = f"the items have {chars:,} characters together, the limit is {limit:,}"
        raise BadRequest(f"{problem}: send them in parts", field="items")
    made = _Batch(http)
    results = await unless_disconnected(http.receive, made.speak(body.merged()))
    if made.marks:
        response.headers[HEADER] = ", ".join(sorted(made.marks))
    succeeded = sum(result.status == "success" for result in results)
    return BatchAnswer(
        id=f"speech-batch-{uuid.uuid4().hex}",
        results=results,
        total=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
    )


class _Batch:
    """The items of one answer."""

    def __init__(self, http: Request) -> None:
        self._http = http
        self._server = server_of(http)
        self._caller = caller_of(http)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._bytes = 0
        self.marks: set[str] = set()  # one for each model

    async def speak(self, items: list[BatchItem]) -> list[BatchResult]:
        async with asyncio.TaskGroup() as tasks:
            made = [
                tasks.create_task(self._result(index, item)) for index, item in enumerate(items)
            ]
        return [task.result() for task in made]

    async def _result(self, index: int, item: BatchItem) -> BatchResult:
        try:
            async with self._places:
                request = from_caller(await read_request(item), self._http)
                if index and (spend := self._http.scope.get("state", {}).get(SPEND)) is not None:
                    spend()
                return await self._spoken(index, request)
        except VivavoceError as error:
            return BatchResult(index=index, status="error", error=error.message, code=error.code)

    async def _spoken(self, index: int, request: SpeechRequest) -> BatchResult:
        if request.sample_rate_hz is not None:
            check_rate(request.format, request.sample_rate_hz)
        speech = await self._server.synthesizer.open(request)
        name = f"{self._http.scope['request_id']}-{index}"
        self._server.requests.begin(name, self._caller, request.format).opened(speech)
        data = await self._audio(speech, request)
        self.marks |= set(mark_headers(speech).values())
        usage = usage_of(len(request.text), speech.spoken_samples / speech.sample_rate_hz)
        return BatchResult.model_validate(
            {
                "index": index,
                "status": "success",
                "audio_data": base64.b64encode(data).decode("ascii"),
                "media_type": MEDIA_TYPES[request.format],
                "usage": usage,
            }
        )

    async def _audio(self, speech: Speech, request: SpeechRequest) -> bytes:
        spool = await whole_file(speech, request.format, self._server.spool_limit)
        try:
            self._bytes += spool.size
            if self._bytes > MOST_BYTES:
                problem = f"the audio of the items has more than {MOST_BYTES:,} bytes together"
                raise BadRequest(
                    f"{problem}: send fewer, or another response_format", field="items"
                )
            return b"".join([chunk async for chunk in spool])
        finally:
            await spool.aclose()
