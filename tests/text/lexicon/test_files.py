"""Check the lexicon's TOML file, and W3C's PLS."""

from pathlib import Path

import pytest

from vivavoce.errors import BadRequest, SettingsError
from vivavoce.text.lexicon import LexiconFile, LiveLexicon
from vivavoce.text.lexicon.pls import from_pls, to_pls
from vivavoce.types import Pronunciation as Rule

RULES = (
    Rule("SQL", alias='the "sequel" \\ way'),
    Rule("Kubernetes", "cooper", "ˌkuːbɚˈnɛtiz", "en", True, "heart"),
    Rule("東京", alias="とうきょう", language="ja"),
)


@pytest.fixture
def file(tmp_path: Path) -> LexiconFile:
    return LexiconFile(tmp_path / "data" / "lexicon.toml")


def test_rules_come_back_as_they_were_written(file: LexiconFile) -> None:
    assert file.read() == ()
    file.write(RULES)
    assert file.read() == RULES
    assert list(file.path.parent.iterdir()) == [file.path]


def test_a_rule_replaces_the_one_for_the_same_word(file: LexiconFile) -> None:
    file.add([Rule("GIF", alias="jif"), Rule("GIF", alias="guif", language="fr")])
    file.add([Rule("gif", ipa="ɡɪf")])
    assert [(rule.ipa, rule.language) for rule in file.read()] == [("ɡɪf", None), (None, "fr")]
    assert file.remove("Gif", language="fr") == 1
    assert file.remove("GIF") == 1
    with pytest.raises(BadRequest, match="no rule for 'GIF'"):
        file.remove("GIF")


def test_a_wrong_rule_changes_nothing(file: LexiconFile) -> None:
    file.write(RULES)
    with pytest.raises(BadRequest):
        file.add([Rule("x")])
    with pytest.raises(BadRequest):
        file.add(Rule(f"w{n}", alias="x") for n in range(5_001))
    assert file.read() == RULES


def test_a_server_follows_the_file(file: LexiconFile, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveLexicon(file.path)
    assert live.current().rules == ()
    file.write(RULES)
    assert live.is_stale
    assert live.current().rules == RULES
    assert not live.is_stale
    file.path.write_text("rules = 3")
    assert live.current().rules == RULES
    assert "stays as it was" in caplog.text
    file.path.unlink()
    assert live.current().rules == ()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "words = []",
        "[[rules]]\nword = 'x'",
        "[[rules]]\nalias = 'x'",
        "rules = [{word='a', x=1}]",
    ],
)
def test_a_file_that_is_wrong_is_named(file: LexiconFile, text: str) -> None:
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(SettingsError, match=r"lexicon\.toml"):
        file.read()


PLS = """<?xml version="1.0" encoding="UTF-8"?>
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" alphabet="ipa"
         xml:lang="en-GB">
  <meta name="author" content="nobody"/>
  <metadata><x>ignored</x></metadata>
  <lexeme role="x:noun"><grapheme>theatre</grapheme><grapheme>theater</grapheme>
    <phoneme>ˈθɪətə</phoneme><phoneme prefer="true">θiˈɛtə</phoneme><example>No.</example></lexeme>
  <lexeme><grapheme>W3C</grapheme><alias>World Wide Web Consortium</alias></lexeme>
  <lexeme><grapheme>bike</grapheme><phoneme alphabet="x-sampa">baIk</phoneme></lexeme>
</lexicon>"""


def test_pls_becomes_rules() -> None:
    assert from_pls(PLS) == (
        Rule("theatre", ipa="θiˈɛtə", language="en"),
        Rule("theater", ipa="θiˈɛtə", language="en"),
        Rule("W3C", alias="World Wide Web Consortium", language="en"),
        Rule("bike", ipa="baɪk", language="en"),
    )
    assert all(rule.case for rule in from_pls(PLS, case=True))


def test_rules_survive_pls() -> None:
    rules = (
        Rule("R&D", alias="a < b", language="en"),
        Rule("GIF", "gif", "dʒɪf", "en"),
        Rule("left out", alias="x", language="fr"),
        Rule("of a voice", alias="x", voice="heart"),
    )
    assert from_pls(to_pls(rules, "en")) == rules[:2]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("<speak/>", "outermost is 'lexicon'"),
        ("<lexicon><lexeme></lexicon>", "line 1, column"),
        ("<lexicon>\n<lexeme><grapheme>x</grapheme></lexeme></lexicon>", "line 2, column 31"),
        ("<lexicon alphabet='z'><lexeme><phoneme>x</phoneme></lexeme></lexicon>", "alphabet 'z'"),
        ("<lexicon xml:lang='tlh'/>", "Unknown language"),
        ("<!DOCTYPE lexicon><lexicon/>", "DOCTYPE"),
    ],
)
def test_errors_of_pls_name_the_place(source: str, why: str) -> None:
    with pytest.raises(BadRequest, match="PLS is wrong") as raised:
        from_pls(source)
    assert why in raised.value.message
    assert raised.value.field == "file"
