"""Define the scenarios that the server is built for, with targets and reasons."""

import asyncio
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks.cost import TEXT_CHARS, cost
from benchmarks.load import Load, Question, Tell, ask, listeners, strangers
from benchmarks.newcomers import after_drops, beside_stalled
from benchmarks.overhead import overhead, side_by_side
from benchmarks.process import Server, running, started
from benchmarks.report import Measure, Result, Target, load_measures, usage_measures

REAL_TIME_FACTOR = "VIVAVOCE_TONE_REAL_TIME_FACTOR"
ISOLATE_MODELS = "VIVAVOCE_ISOLATE_MODELS"

GREETINGS = (
    "Good morning, how are you?",
    "The kettle is ready.",
    "Your taxi is at the door.",
    "It is a quarter past nine.",
    "Somebody rang the bell.",
    "Dinner will be in an hour.",
    "You have two new messages.",
    "The window is still open.",
)  # a second and a half each

TWENTY_WORDS = (
    "When the rain stopped we walked down to the harbour "
    "and watched the fishermen bring in their boats before dark.",
    "My neighbour grows tomatoes, beans and three kinds of pepper "
    "on a balcony that is hardly larger than a table.",
    "The library will be closed on Friday "
    "because the old heating has to be taken out before the winter comes.",
    "If you follow this path along the river for an hour, you will come to a small inn with rooms.",
    "She had never been on a ship before, "
    "and the slow movement of the sea kept her awake all night.",
)

UNBROKEN = tuple(
    " ".join([words] * 7) for words in ("after the long storm", "beside the old bridge")
)

LONG_CHARS = 5000
MODEL_MIB = 667.0  # 700 MB


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of the command line that apply to every scenario."""

    duration_s: float
    at_most: int
    rounds: int
    start_buffer_s: float
    memory_gib: float
    seed: int
    url: str | None

    def load(self, clients: int, *, impatient: bool = False) -> Load:
        return Load(
            clients, self.duration_s, self.at_most, self.start_buffer_s, impatient, self.seed
        )


Run = Callable[[Server, Plan, Tell], Awaitable[list[Measure]]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A server, its workload and a description."""

    name: str
    what: str
    model: str
    run: Run
    environment: Mapping[str, str] = field(default_factory=dict)


async def measure(scenario: Scenario, plan: Plan, tell: Tell) -> Result:
    """Run the scenario on a server of its own, or on the one at `plan.url`."""
    async with _server(scenario, plan) as server:
        # The first answer loads what is loaded on first use, so it is not measured.
        for text in (*GREETINGS[:2], *sentences()[:2]):
            await ask(server.address, Question(text, scenario.model))
        return Result(scenario.name, scenario.what, tuple(await scenario.run(server, plan, tell)))


@asynccontextmanager
async def _server(scenario: Scenario, plan: Plan) -> AsyncGenerator[Server]:
    if plan.url is not None:
        yield await running(plan.url, [scenario.model])
        return
    async with started(
        [scenario.model], environment=scenario.environment, memory_gib=plan.memory_gib
    ) as server:
        yield server


def sentences() -> Sequence[str]:
    """Return English sentences of a dozen words, each short enough for one segment."""
    with (Path(__file__).parent / "sentences.toml").open("rb") as file:
        return tuple(tomllib.load(file)["en"]["plain"])


def paragraphs() -> Sequence[str]:
    """Return texts of three sentences each, about ten seconds of speech."""
    all_of_them = sentences()
    return [" ".join(all_of_them[i : i + 3]) for i in range(0, len(all_of_them) - 2)]


def _questions(texts: Sequence[str], model: str, speaker: str | None = None) -> Sequence[Question]:
    return [Question(text, model, speaker) for text in texts]


async def _tone_latency(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    questions = _questions(GREETINGS, "tone")
    targets = {"time to first byte, p95": Target(30.0)}
    load = plan.load(8)
    before = server.usage()
    run = await listeners(server.address, questions, load, lambda share: tell(share * 0.8))
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s, targets=targets)
    measures += usage_measures(before, server.usage(), run.wall_s)
    load = replace(load, duration_s=plan.duration_s / 4, impatient=True)
    hasty = await listeners(server.address, questions, load, lambda _: None)
    done = [answer for answer in hasty.answers if answer.good]
    return [
        *measures,
        Measure("at full load: requests", len(done) / hasty.wall_s, "/s"),
        Measure(
            "at full load: throughput",
            sum(answer.audio_s for answer in done) / hasty.wall_s,
            "audio s/s",
        ),
    ]


async def _tone_64(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    before = server.usage()
    run = await listeners(server.address, _questions(paragraphs(), "tone"), plan.load(64), tell)
    targets = {"underruns": Target(0.0), "failed requests": Target(0.0)}
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s, targets=targets)
    return measures + usage_measures(before, server.usage(), run.wall_s)


async def _tone_cost(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    text = " ".join(sentences())[:TEXT_CHARS]
    return await cost(server, text, ("pcm", "wav", "opus"), duration_s=plan.duration_s, tell=tell)


async def _hibari(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    before = server.usage()
    run = await listeners(
        server.address,
        _questions(TWENTY_WORDS, "hibari"),
        plan.load(1, impatient=True),
        lambda share: tell(share / 2),
    )
    targets = {"time to first audio, p50": Target(150.0)}
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s, targets=targets)
    measures += usage_measures(before, server.usage(), run.wall_s)
    return measures + await overhead(
        server.address,
        "hibari",
        sentences(),
        rounds=plan.rounds,
        target=None,
        tell=lambda share: tell((1 + share) / 2),
    )


async def _kokoro(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    before = server.usage()
    run = await listeners(
        server.address,
        _questions(TWENTY_WORDS, "kokoro"),
        plan.load(1, impatient=True),
        lambda share: tell(share / 3),
    )
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s)
    measures += usage_measures(before, server.usage(), run.wall_s)
    texts = sentences()
    compare = partial(overhead, server.address, "kokoro", texts, rounds=plan.rounds)
    measures += await compare(target=Target(1.05), tell=lambda share: tell((1 + share) / 3))
    double = partial(side_by_side, server.address, "kokoro", texts[::2], rounds=plan.rounds)
    return measures + await double(
        target=Target(1.7, at_most=False), tell=lambda share: tell((2 + share) / 3)
    )


async def _kokoro_long(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    before = server.usage()
    run = await listeners(
        server.address,
        _questions(UNBROKEN, "kokoro"),
        plan.load(1, impatient=True),
        tell,
    )
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s)
    return measures + usage_measures(before, server.usage(), run.wall_s)


async def _kokoro_memory(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    texts = [(text + " ") * 60 for text in UNBROKEN]
    questions = [Question(text[:LONG_CHARS], "kokoro") for text in texts]
    before = server.usages()
    answers = await asyncio.gather(*(ask(server.address, question) for question in questions))
    tell(1.0)
    measures = [Measure("audio that was heard", sum(answer.audio_s for answer in answers), "s")]
    if before:  # its own process, then the model's
        peaks = [usages[1].peak_mib for usages in (before, server.usages())]
        measures.append(Measure("model's process, peak memory before", peaks[0], "MiB"))
        measures.append(Measure("model's process, peak memory", peaks[1], "MiB", Target(MODEL_MIB)))
    return measures


async def _kokoro_drops(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    return await after_drops(server.address, "kokoro", TWENTY_WORDS, rounds=plan.rounds, tell=tell)


async def _kokoro_stalled(server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    return await beside_stalled(
        server.address, "kokoro", TWENTY_WORDS, rounds=plan.rounds, tell=tell
    )


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "tone-latency",
            "8 listeners to short beeps, which cost next to nothing to make: "
            "the server's own delay.",
            "tone",
            _tone_latency,
        ),
        Scenario(
            "tone-64",
            "64 listeners to a model that makes 64 streams at five times real time: "
            "the server's own smoothness.",
            "tone",
            _tone_64,
            {REAL_TIME_FACTOR: "0.2"},
        ),
        *(
            Scenario(
                name,
                f"64 impatient listeners to half a minute of beeps, made {how}: "
                "the server's own cost.",
                "tone",
                _tone_cost,
                {**environment, "VIVAVOCE_MAX_QUEUED_AUDIO_S": "10000"},
            )
            for name, how, environment in (
                ("tone-cost", "in the server's process", {ISOLATE_MODELS: "false"}),
                (
                    "tone-cost-paced",
                    "in the server's process at 400 times real time",
                    {ISOLATE_MODELS: "false", REAL_TIME_FACTOR: "0.16"},
                ),
                ("tone-cost-isolated", "in a process of the model's own", {}),
            )
        ),
        Scenario(
            "hibari",
            "One caller after the other with a sentence of 20 words; "
            "then HTTP beside the engine alone.",
            "hibari",
            _hibari,
        ),
        Scenario(
            "kokoro",
            "One caller after the other with a sentence of 20 words; "
            "HTTP beside the engine alone; two at a time.",
            "kokoro",
            _kokoro,
        ),
        Scenario(
            "kokoro-long",
            "One caller after the other with a text of 15 s that has no place to pause.",
            "kokoro",
            _kokoro_long,
        ),
        Scenario(
            "kokoro-memory",
            "Two callers at once, each with a text of 5,000 characters that has no place to pause.",
            "kokoro",
            _kokoro_memory,
        ),
        Scenario(
            "kokoro-drops",
            "A newcomer after 60 clients who ask for a long text at once and leave.",
            "kokoro",
            _kokoro_drops,
        ),
        Scenario(
            "kokoro-stalled",
            "A newcomer beside a client who asks for a long text and never reads.",
            "kokoro",
            _kokoro_stalled,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class OwnLoad:
    """A user-defined load: `rate` strangers a second, or `clients` listeners."""

    model: str
    speaker: str | None
    clients: int
    rate: float | None
    impatient: bool
    real_time_factor: float

    @property
    def what(self) -> str:
        if self.rate is not None:
            when = "at random moments"
            return f"{self.rate:g} callers a second {when}, with sentences of a dozen words."
        when = "at once" if self.impatient else "when they have heard the answer"
        return f"{self.clients} callers who ask again {when}, with sentences of a dozen words."


def own_load(load: OwnLoad) -> Scenario:
    """Return the scenario of a load, without targets."""
    environment = {REAL_TIME_FACTOR: str(load.real_time_factor)} if load.real_time_factor else {}
    return Scenario(
        f"load on {load.model}", load.what, load.model, partial(_own_load, load), environment
    )


async def _own_load(load: OwnLoad, server: Server, plan: Plan, tell: Tell) -> list[Measure]:
    questions = _questions(sentences(), load.model, load.speaker)
    before = server.usage()
    if load.rate is not None:
        run = await strangers(
            server.address,
            questions,
            rate=load.rate,
            duration_s=plan.duration_s,
            at_most=plan.at_most,
            seed=plan.seed,
            tell=tell,
        )
    else:
        callers = plan.load(load.clients, impatient=load.impatient)
        run = await listeners(server.address, questions, callers, tell)
    measures = load_measures(run, start_buffer_s=plan.start_buffer_s)
    return measures + usage_measures(before, server.usage(), run.wall_s)
