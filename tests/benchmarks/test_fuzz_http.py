"""Test the benchmark that sends texts of mixed scripts, numbers and markup, on a real server."""

from xml.etree import ElementTree

from benchmarks.fuzz_http import SPOKEN_CHARS, Findings, contradictions, explain, speak
from benchmarks.mixed_texts import FORMS, mixed
from benchmarks.process import started


async def test_any_text_is_explained_and_spoken() -> None:
    found = Findings()
    async with started(["tone"], environment={}, memory_gib=2.0) as server:
        for number, text in enumerate(mixed(100, seed=3)):
            await explain(server.address, number, text, found, hibari=False)
            if len(text.text) <= SPOKEN_CHARS:
                await speak(server.address, number, text, "tone", found)
    assert found.faults == []
    assert {f"explain {form} 200" for form in FORMS} <= set(found.statuses)
    assert found.statuses["synthesize tone 200"] > 10


def test_ssml_is_well_formed() -> None:
    texts = [text.text for text in mixed(200) if text.form == "SSML"]
    assert len(texts) == 40
    for text in texts:
        ElementTree.fromstring(text)


def test_contradictions_are_seen() -> None:
    word = {"spoken": "5", "start": 3, "end": 2}
    segment = {"spoken": "5 \ue000", "model": "kokoro", "phonemes": [], "words": [word]}
    assert len(contradictions("five", {"segments": [segment]})) == 3
    sounds = {**segment, "phonemes": [[0, 3, "x"]], "words": []}
    assert contradictions("five", {"segments": [sounds]}) == []
