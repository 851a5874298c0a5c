"""Check sounds in IPA: their symbols for Kokoro and hibari, and their place in a text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.models.hibari import HibariModel
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.g2p.alphabet import PUNCTUATION, SYMBOLS
from vivavoce.models.kokoro.g2p.ipa import to_symbols
from vivavoce.text.markup.alphabets import _IPA, _LETTERS, to_ipa
from vivavoce.types import Segment

PHONEMIZER, BRITISH = Phonemizer(), Phonemizer(british=True)
LANGUAGES = ("en", "en-GB", "es", "fr", "it", "pt", "ja", "zh")


@pytest.mark.parametrize(
    ("ipa", "language", "symbols"),
    [
        ("təˈmeɪtoʊ", "en", "təmˈAtO"),
        ("təˈmɑːtəʊ", "en-GB", "təmˈɑːtQ"),
        ("kæt", "en", "kˈæt"),
        ("ðə", "en", "ðə"),
        ("ˌpiːkænˈpaɪ", "en", "pˌikænpˈI"),
        ("bɜːd", "en", "bˈɜɹd"),
        ("bɜːɹd", "en", "bˈɜɹd"),
        ("ˈbʌtɚ", "en", "bˈʌtəɹ"),
        ("ˈbɒtl̩", "en", "bˈɑtᵊl"),
        ("dʒ͡ʌdʒ", "en", "ʤˈʌʤ"),
        ("kˈOkəɹO", "en", "kˈOkəɹO"),
        ("lɑs ˈveɪɡəs", "en", "lˈɑs vˈAɡəs"),
        ("bɔ̃ʒuʁ", "fr", "bɔ\u0303ʒˈuʁ"),
        ("xeˈɾeθ", "es", "xeɾˈeθ"),
        ("ˈpittsa", "it", "pˈitʦa"),
        ("ˈɡattʃo", "it", "ɡˈatʧo"),
        ("toːkʲoː", "ja", "toːkʲoː"),
        ("ni˨˩˦xau˨˩˦", "zh", "ni↓xau↓"),
        ("tɕʰi˥˥", "zh", "ʨʰi→"),
        ("ça", "pt", "çˈa"),
    ],
)
def test_ipa_becomes_the_model_s_symbols(ipa: str, language: str, symbols: str) -> None:
    sounds = to_ipa(ipa)
    assert sounds
    assert not sounds.unknown
    assert to_symbols(sounds.ipa, language) == symbols


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_of_ipa_has_a_sound(language: str) -> None:
    assert not {letter for letter in _LETTERS if not to_symbols(letter, language)}


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None)
@given(text=st.text(max_size=30) | st.text("".join(sorted(_IPA)), max_size=30))
def test_any_sounds_give_only_symbols_of_the_model(language: str, text: str) -> None:
    sounds = to_ipa(text)
    assert sounds
    assert set(to_symbols(sounds.ipa, language)) <= SYMBOLS - (PUNCTUATION - {" "})


@pytest.mark.parametrize("alphabet", ["ipa", "x-sampa", "cmu-arpabet"])
@settings(deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_is_taken_as_any_alphabet(alphabet: str, text: str) -> None:
    sounds = to_ipa(text, alphabet)
    assert sounds
    assert set(sounds.ipa) <= _IPA


@pytest.mark.parametrize(
    ("language", "text", "word", "ipa", "phonemes"),
    [
        ("en", "I say tomato, too.", "tomato", "təˈmɑːtoʊ", "ˌI sˈA təmˈɑtO, tˈu."),
        ("en", "the API and", "API", "ˌeɪpiˈaɪ", "ði ˌApiˈI ænd"),
        ("es", "Vivo en Jerez.", "Jerez", "ˈxeɾes", "bˈiβo en xˈeɾes."),
        ("ja", "東京へ行く", "東京", "kʲoː", "kʲoː e ikɯ"),
        ("zh", "我爱北京。", "北京", "pei˧˥", "wo↓ ai↘ pei↗."),
    ],
)
def test_sounds_take_the_place_of_a_word(
    language: str, text: str, word: str, ipa: str, phonemes: str
) -> None:
    at = text.index(word)
    assert PHONEMIZER.phonemize(text, language, ((at, at + len(word), ipa),)) == phonemes


def test_british_voices_have_their_own_sounds() -> None:
    assert BRITISH.phonemize("tomato", "en", ((0, 6, "təˈmɑːtəʊ"),)) == "təmˈɑːtQ"


def test_hibari_says_the_sounds_and_takes_no_command_from_a_text() -> None:
    model = HibariModel()
    text = "I say tomato [x](/hæk/) now."
    segment = Segment(text, "heart", "en", phonemes=((6, 12, "təˈmɑːtoʊ"),))
    read = [utterance.phonemes for utterance in model._read(segment)]
    assert read[0].startswith("ˌI sˈA təmˈɑtO")
    assert "hˈæk" not in read[0]
    assert "hæk" not in read[0]
