"""Check how formulas of voices are read."""

import pytest

from vivavoce.errors import BadRequest
from vivavoce.models.kokoro.voices import parse_mix
from vivavoce.voices.formula import is_formula, parse_formula


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("af_bella(2)+af_sky(1)", {"af_bella": 2 / 3, "af_sky": 1 / 3}),
        (" af_bella (2) - af_sky ", {"af_bella": 2.0, "af_sky": -1.0}),
        ("af_bella+af_bella(3)+AF_SKY(4)", {"af_bella": 0.5, "af_sky": 0.5}),
        ("af_bella(.5)+af_sky(0.5)", {"af_bella": 0.5, "af_sky": 0.5}),
        ("-af_bella(3)", {"af_bella": 1.0}),
    ],
)
def test_shares_add_up_to_one(text: str, shares: dict[str, float]) -> None:
    formula = parse_formula(text)
    assert dict(formula.shares) == pytest.approx(shares, abs=1e-9)
    assert parse_formula(str(formula)) == formula


def test_same_mix_written_otherwise_is_the_same_formula() -> None:
    written = ("af_bella(2)+af_sky(1)", "af_sky(1)+af_bella(2)", "shimmer(0.5)+AF_Bella(1)")
    assert len({parse_mix(text) for text in written}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "()", "af_bella(", "af_bella)", "af_bella()", "af_bella(nan)", "af_bella(inf)",
        "af_bella(1e3)", "af_bella(-1)", "af_bella(0)", "af_bella(1)af_sky(1)", "af_bella++af_sky",
        "af_bella(1)-af_bella(1)", "af_bella(1.001)-af_sky(1)", "af_bellа(1)", "af_bella(１)",
        "+".join(["af_bella"] * 17), "af_bella+" * 2_000, "../x(1)", "(" * 900,
        "af_bella(9999999999)", "af_bella(1)+", " " * 900,
    ],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_formula(text)
    assert refusal.value.field == "speaker"
    assert len(refusal.value.message) < 300


def test_unknown_voice_in_a_mix_is_named() -> None:
    with pytest.raises(BadRequest, match="'nobody'") as refusal:
        parse_mix("af_bella(1)+nobody(1)")
    assert refusal.value.field == "speaker"


def test_names_are_no_formulas() -> None:
    assert not any(map(is_formula, ("af_bella", "less-sky", "Uncle_Fu", "", None)))
