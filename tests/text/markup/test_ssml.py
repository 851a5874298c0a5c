"""Check SSML 1.1: what each element does, the places of words, and every kind of error."""

import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vivavoce.errors import BadRequest
from vivavoce.text.document import Document, Run, Style
from vivavoce.text.markup import is_ssml, parse_ssml
from vivavoce.text.markup.values import MAX_PAUSE_S
from vivavoce.text.markup.xml import MAX_DEPTH


def speak(inside: str, attributes: str = "") -> Document:
    return parse_ssml(f'<speak version="1.1" {attributes}>{inside}</speak>')


def texts(document: Document) -> list[str]:
    return [run.text.text for run in document.runs]


def only(inside: str) -> Run:
    (run,) = speak(inside).runs
    return run


def error(source: str) -> str:
    with pytest.raises(BadRequest) as raised:
        parse_ssml(source)
    assert raised.value.field == "text"
    return raised.value.message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<speak>Hi.</speak>", True),
        ('  \n<?xml version="1.0"?>\n<!-- a --><!-- b --> <speak xml:lang="en">', True),
        ("\ufeff<speak/>", True),
        ('<!DOCTYPE speak PUBLIC "a" "b"><speak/>', True),
        ("<speaker>Hi</speaker>", False),
        ("Say <speak>", False),
        ("<p>Hi</p>", False),
        ("", False),
    ],
)
def test_ssml_is_known_by_its_beginning(text: str, found: bool) -> None:
    assert is_ssml(text) is found


def test_paragraphs_and_sentences_end_with_a_mark() -> None:
    document = speak("<p><s>Snow is due</s><s>Roads are shut!</s></p><p>Stay in</p>")
    assert texts(document) == ["Snow is due. Roads are shut! \n\nStay in. \n\n"]
    assert "。" in texts(speak("<s>雪です</s>"))[0]


def test_spaces_and_line_ends_of_the_layout_are_one_space() -> None:
    document = parse_ssml("<speak>\n  One\n  two,\r\n  <w>three</w>  <token>four</token>\n</speak>")
    assert texts(document) == ["One two, three four "]


@pytest.mark.parametrize(
    ("element", "pause_s"),
    [
        ('<break time="250ms"/>', 0.25),
        ('<break time="3s"/>', 3.0),
        ('<break time="+.5s"/>', 0.5),
        ("<break/>", 0.75),
        ('<break strength="none"/>', 0.0),
        ('<break strength="x-strong"/>', 1.25),
        ('<break time="1s" strength="weak"/>', 1.0),
        ('<break time="10h"/>', None),
        ('<break time="1s"/><break time="1s"/>', 2.0),
        ('<break time="99999s"/>', MAX_PAUSE_S),
        ('<break time="9s"/><break time="9s"/>', MAX_PAUSE_S),
    ],
)
def test_break_is_a_pause_within_limits(element: str, pause_s: float | None) -> None:
    source = f"<speak>Take a breath {element} and go on.</speak>"
    if pause_s is None:
        assert "'10h'" in error(source)
    else:
        first, second = parse_ssml(source).runs
        assert (first.pause_s, second.pause_s) == (pause_s, None)


def test_sub_is_read_as_its_alias_and_stands_for_what_is_written() -> None:
    source = '<speak>The <sub alias="World Health Organization">WHO</sub> says so.</speak>'
    (run,) = parse_ssml(source).runs
    assert run.text.text == "The World Health Organization says so."
    at = run.text.text.index("Health")
    assert source[slice(*run.text.span(at, at + 6))] == "WHO"


@pytest.mark.parametrize(
    ("attributes", "ipa"),
    [
        ('alphabet="ipa" ph="təˈmɑːtəʊ"', "təˈmɑːtəʊ"),
        ('ph="&#x2C8;t&#x259;"', "ˈtə"),
        ('alphabet="x-sampa" ph="t@&quot;mA:t@U"', "təˈmɑːtəʊ"),
        ('alphabet="cmu-arpabet" ph="T AH0 M EY1 T OW2"', "təmˈeɪtˌoʊ"),
    ],
)
def test_phoneme_is_said_as_ipa(attributes: str, ipa: str) -> None:
    before, word, after = speak(f"A <phoneme {attributes}>tomato</phoneme>!").runs
    assert (word.text.text, word.phonemes) == ("tomato", ipa)
    assert (before.phonemes, after.phonemes, after.text.text) == (None, None, "!")


def test_phoneme_of_an_unknown_alphabet_is_read_and_listed() -> None:
    document = speak('<phoneme alphabet="x-martian" ph="zz">word</phoneme>')
    assert texts(document) == ["word"]
    assert document.ignored == ("phoneme alphabet='x-martian'",)
    assert speak('<phoneme ph="tə♥">word</phoneme>').ignored == ("phoneme symbol '♥'",)


@pytest.mark.parametrize(
    ("attributes", "read_as", "form"),
    [
        ('interpret-as="date" format="dmy"', "date", "dmy"),
        ('interpret-as="characters"', "characters", None),
        ('interpret-as="verbatim"', "characters", None),
        ('interpret-as="spell-out"', "spell-out", None),
        ('interpret-as="Telephone" format="1"', "telephone", "1"),
        ('interpret-as="ordinal"', "ordinal", None),
    ],
)
def test_say_as_names_how_a_text_is_read(attributes: str, read_as: str, form: str | None) -> None:
    run = only(f"<say-as {attributes}>12</say-as>")
    assert (run.text.text, run.read_as, run.format) == ("12", read_as, form)


def test_say_as_of_an_unknown_kind_is_read_and_listed() -> None:
    document = speak('<say-as interpret-as="address">5 Elm St</say-as>')
    assert (texts(document), document.runs[0].read_as) == (["5 Elm St"], None)
    assert document.ignored == ("say-as interpret-as='address'",)


def test_expletive_is_bleeped() -> None:
    assert texts(speak('Oh <say-as interpret-as="expletive">heck</say-as>!')) == ["Oh bleep!"]
    french = speak('<say-as interpret-as="expletive">zut</say-as>', 'xml:lang="fr"')
    assert texts(french) == ["bip"]


@pytest.mark.parametrize(
    ("attributes", "style"),
    [
        ('rate="slow"', Style(speed=0.64)),
        ('rate="80%"', Style(speed=0.8)),
        ('rate="+20%"', Style(speed=1.2)),
        ('rate="-50%"', Style(speed=0.5)),
        ('rate="1.5"', Style(speed=1.5)),
        ('rate="900%"', Style(speed=4.0)),
        ('volume="+6dB"', Style(volume_db=6.0)),
        ('volume="-6dB"', Style(volume_db=-6.0)),
        ('volume="soft"', Style(volume_db=-6.0)),
        ('volume="silent"', Style(volume_db=-120.0)),
        ('volume="100"', Style()),
        ('pitch="+12st"', Style(pitch=2.0)),
        ('pitch="-10%"', Style(pitch=0.9)),
        ('rate="medium" volume="default" pitch="medium"', Style()),
    ],
)
def test_prosody_changes_rate_volume_and_pitch(attributes: str, style: Style) -> None:
    assert only(f"<prosody {attributes}>Hello</prosody>").style == style


def test_nested_prosody_multiplies_and_ends_with_its_element() -> None:
    outer, inner, after, plain = speak(
        '<prosody rate="2">one <prosody rate="0.5" volume="-3dB">two</prosody> three</prosody> four'
    ).runs
    assert [run.style.speed for run in (outer, inner, after, plain)] == [2.0, 1.0, 2.0, 1.0]
    assert (inner.style.volume_db, after.style.volume_db) == (-3.0, 0.0)


def test_prosody_that_no_model_has_is_listed() -> None:
    document = speak('<prosody contour="(0%,+20Hz)" range="high" pitch="200Hz">Hi</prosody>')
    assert document.ignored == ("prosody contour", "prosody range", "prosody pitch")


def test_emphasis_voice_and_lang_set_the_style() -> None:
    assert only('<emphasis level="strong">now</emphasis>').style.speed < 1
    assert only('<emphasis level="none">now</emphasis>').style == Style()
    assert only('<voice name="am_adam">Hi</voice>').style.voice == "am_adam"
    assert only('<lang xml:lang="es-MX">Hola</lang>').style.language == "es"
    assert only('<s xml:lang="fr">Oui.</s>').style.language == "fr"
    run, *_ = speak("Hi", 'xml:lang="en-GB"').runs
    assert run.style.language == "en"


def test_voice_without_a_name_is_listed() -> None:
    document = speak('<voice gender="female" age="6">Mum!</voice>')
    assert document.ignored == ("voice gender", "voice age")


def test_mark_is_at_the_end_of_its_run() -> None:
    document = speak('Go to <mark name="door"/> the door <break/><mark name="end"/>')
    assert [(run.text.text, run.mark) for run in document.runs] == [
        ("Go to ", "door"),
        ("the door ", None),
        ("", "end"),
    ]


def test_descriptions_are_not_read_and_unknown_elements_are() -> None:
    document = speak(
        "<metadata><x>no</x></metadata><meta name='a' content='b'/><desc>no</desc>"
        "<lexicon uri='http://h/x.pls'/><lookup ref='a'>yes</lookup> "
        "<mstts:express-as style='sad'>too</mstts:express-as><amazon:effect name='w'/>"
    )
    assert texts(document) == ["yes too"]
    assert document.ignored == ("lexicon", "lookup", "mstts:express-as", "amazon:effect")


def test_every_character_keeps_its_place() -> None:
    source = (
        '<?xml version="1.0"?>\n<speak>É &amp; <![CDATA[a<b]]>\r\n&#x1F600;𝄞 <s>naïve</s></speak>'
    )
    (run,) = parse_ssml(source).runs
    for word in ("É", "𝄞", "naïve", "a<b"):
        at = run.text.text.index(word)
        assert source[slice(*run.text.span(at, at + len(word)))] == word
    at = run.text.text.index("&")
    assert source[slice(*run.text.span(at, at + 1))] == "&amp;"


@pytest.mark.parametrize(
    ("source", "place", "why"),
    [
        ("<speak>a & b</speak>", "line 1, column 11", "&amp;"),
        ("<speak>\n é <b>", "line 2, column 7", "no element found"),
        ("<speak>a</p></speak>", "line 1, column 11", "mismatched tag"),
        ("<speak>&nbsp;</speak>", "line 1, column 8", "numeric reference"),
        ("<speak>\n<audio src='http://h/a.wav'/></speak>", "line 2, column 1", "not fetched"),
        ("<p>x</p>", "line 1, column 1", "'speak'"),
        ("", "line 1, column 1", "no element"),
        ("<speak>x</speak><speak/>", "line 1, column 17", "junk"),
        ("<speak>é<phoneme>x</phoneme></speak>", "line 1, column 9", "'ph'"),
        ("<speak><say-as>x</say-as></speak>", "line 1, column 8", "'interpret-as'"),
        ("<speak><sub>x</sub></speak>", "line 1, column 8", "'alias'"),
        ("<speak><mark/></speak>", "line 1, column 8", "'name'"),
        ("<speak><lang>x</lang></speak>", "line 1, column 8", "'xml:lang'"),
        ("<speak xml:lang='tlh'>x</speak>", "line 1, column 1", "Unknown language"),
        ("<speak><prosody rate='quick'>x</prosody></speak>", "line 1, column 8", "'quick'"),
        ("<speak><prosody volume='x'>x</prosody></speak>", "line 1, column 8", "'volume'"),
        ("<speak><emphasis level='x'>x</emphasis></speak>", "line 1, column 8", "'level'"),
        ("<speak a='1' a='2'/>", "line 1, column", "duplicate attribute"),
        ('<!DOCTYPE speak SYSTEM "http://h/d"><speak/>', "line 1, column", "DOCTYPE"),
    ],
)
def test_errors_name_the_line_and_the_column(source: str, place: str, why: str) -> None:
    message = error(source)
    assert place in message
    assert why in message


def test_no_entity_is_ever_defined() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE speak [<!ENTITY l0 "ha">{laughs}]><speak>&l9;</speak>'
    assert "DOCTYPE" in error(bomb)
    assert is_ssml(bomb)


def test_depth_and_number_of_elements_are_limited() -> None:
    assert "nested deeper" in error("<speak>" + "<p>" * MAX_DEPTH + "x")
    assert "more than 50,000 elements" in error("<speak>" + "<break/>" * 50_001 + "</speak>")


@pytest.mark.parametrize(
    "piece", ["word ", "<break/>", "&amp;", "<s>a</s>", "<![CDATA[x]]>", "é\n", "<p>", "<!-- x -->"]
)
def test_time_is_linear(piece: str) -> None:
    def seconds(chars: int) -> float:
        source = "<speak>" + piece * (chars // len(piece)) + "</speak>"
        began = time.process_time()
        with suppress(BadRequest):
            parse_ssml(source)
        return time.process_time() - began

    seconds(10_000)
    short, long = min(seconds(25_000) for _ in range(3)), min(seconds(100_000) for _ in range(3))
    assert long < max(12 * short, 0.2)


PIECES = st.sampled_from(
    [
        "<speak>", "</speak>", "<p>", "</p>", "<s>", "</s>", "<break time='1s'/>", "<break", "/>",
        "&amp;", "&#65;", "&#xFFFFFF;", "&x;", "<phoneme ph='ə'>", "</phoneme>", "<sub alias='b'>",
        "</sub>", "<say-as interpret-as='date'>", "</say-as>", "<prosody rate='5'>", "</prosody>",
        "<![CDATA[", "]]>", "<!--", "-->", "<?xml version='1.0'?>", "<!DOCTYPE speak", "\ud800",
        "\x00", "é", "𝄞", "'", '"', "=", "<mark name='a'/>", "<voice name='b'>", "</voice>",
        "text ", "1.5", "。",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
@example("\ud800\udc00<speak/>", False)
def test_any_text_is_parsed_or_refused(inside: str, whole: bool) -> None:
    source = f"<speak>{inside}</speak>" if whole else inside
    with suppress(BadRequest):
        check_places(source)


def check_places(source: str) -> None:
    document = parse_ssml(source)
    places = [place for run in document.runs for place in zip(run.text.starts, run.text.ends)]  # noqa: B905
    assert all(0 <= start <= end <= len(source) for start, end in places)
    assert [start for start, _ in places] == sorted(start for start, _ in places)
