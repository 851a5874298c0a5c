"""What endpoints take from the application: one synthesizer, made once by `create_app`."""

from typing import Annotated

from fastapi import Depends, Request

from vivavoce.synthesis import Synthesizer


def _synthesizer(request: Request) -> Synthesizer:
    synthesizer = request.app.state.synthesizer
    assert isinstance(synthesizer, Synthesizer)
    return synthesizer


SynthesizerDep = Annotated[Synthesizer, Depends(_synthesizer)]
