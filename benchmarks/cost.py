"""Measure the processor time that a server spends on each second of audio.

The listeners read as fast as they can. The server's process and those of its models are counted
apart.
"""

from collections.abc import Sequence

from benchmarks.load import Load, LoadRun, Question, Tell, ask, listeners
from benchmarks.process import Server, Usage
from benchmarks.report import Measure, Target
from vivavoce.errors import EngineFault

CLIENTS = 64
TEXT_CHARS = 500  # half a minute of beeps
MAX_COST_MS = 0.7  # of the server's process, for a second of audio that needs no codec
UNCODED = ("pcm", "wav")


async def cost(
    server: Server, text: str, formats: Sequence[str], *, duration_s: float, tell: Tell
) -> list[Measure]:
    """Measure the cost of a second of audio in each of `formats`, for `duration_s` in all."""
    whole = await ask(server.address, Question(text, "tone"))
    if not whole.good:
        raise EngineFault(f"the first request failed with {whole.status!r}")
    measures = []
    for index, audio_format in enumerate(formats):
        before = server.usages()
        run = await listeners(
            server.address,
            [Question(text, "tone", format=audio_format)],
            Load(CLIENTS, duration_s / len(formats), 1_000_000, 0.0, impatient=True),
            tell=lambda share, done=index: tell((done + share) / len(formats)),
        )
        measures += _measures(audio_format, run, whole.audio_s, before, server.usages())
    return measures


def _measures(
    audio_format: str,
    run: LoadRun,
    answer_s: float,
    before: Sequence[Usage],
    after: Sequence[Usage],
) -> list[Measure]:
    if failed := [answer.status for answer in run.answers if not answer.good]:
        raise EngineFault(f"{len(failed)} requests failed, the first with {failed[0]!r}")
    audio_s = answer_s * len(run.answers)
    costs_ms = [
        1000 * (end.cpu_s - start.cpu_s) / audio_s for start, end in zip(before, after, strict=True)
    ]
    target = Target(MAX_COST_MS) if audio_format in UNCODED else None
    aims = {"server's": target, "model's": None}
    return [
        Measure(f"{audio_format}: throughput", audio_s / run.wall_s, "audio s/s"),
        # There are no costs of a server that the benchmark did not start, and none of a model in
        # the server's process.
        *(
            Measure(f"{audio_format}: {whose} process", cost_ms, "ms/audio s", aim)
            for (whose, aim), cost_ms in zip(aims.items(), costs_ms, strict=False)
        ),
    ]
