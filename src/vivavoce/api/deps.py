"""What endpoints take from the application: one synthesizer and one life, made once by `create_app`."""

from typing import Annotated

from fastapi import Depends, Request

from vivavoce.api.life import Life
from vivavoce.synthesis import Synthesizer


def _synthesizer(request: Request) -> Synthesizer:
    synthesizer = request.app.state.synthesizer
    assert isinstance(synthesizer, Synthesizer)
    return synthesizer


SynthesizerDep = Annotated[Synthesizer, Depends(_synthesizer)]


def _life(request: Request) -> Life:
    life = request.app.state.life
    assert isinstance(life, Life)
    return life


LifeDep = Annotated[Life, Depends(_life)]
