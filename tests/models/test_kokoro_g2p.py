"""Text in seven languages becomes Kokoro's phonemes, and nothing that can be said is left out."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.errors import Unsupported
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.g2p.alphabet import SYMBOLS

LANGUAGES = ("en", "es", "fr", "it", "pt", "ja", "zh")
PHONEMIZER = Phonemizer()  # loads nothing before it is used
LETTERS = {
    "en": "abcdefghijklmnopqrstuvwxyz' ",
    "es": "abcdefghijklmnñopqrstuvwxyzáéíóúü' -",
    "fr": "abcdefghijklmnopqrstuvwxyzàâçéèêëîïôùûüœ' -",
    "it": "abcdefghijklmnopqrstuvwxyzàèéìòù' -",
    "pt": "abcdefghijklmnopqrstuvwxyzáâãàçéêíóôõú' -",
    "ja": "あいうえおかがきぎゃゅょっんーアィンヴファッ日本語東京",
    "zh": "我你他是的一不了在人有这个上来们到时大地中国",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_there(language: str) -> None:
    assert language in PHONEMIZER.languages


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None, max_examples=40)  # the first example loads the front end
@given(data=st.data())
def test_any_word_gives_only_symbols_kokoro_knows(language: str, data: st.DataObject) -> None:
    text = data.draw(st.text(LETTERS[language], max_size=20))
    assert set(PHONEMIZER.phonemize(text, language)) <= SYMBOLS


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None, max_examples=20)
@given(number=st.integers(min_value=0, max_value=10**7))
def test_numbers_are_never_silent(language: str, number: int) -> None:
    assert PHONEMIZER.phonemize(str(number), language)


@pytest.mark.parametrize(
    ("language", "text", "phonemes"),
    [
        ("en", "Hello there.", "həlˈO ðˈɛɹ."),
        ("es", "La guitarra, el pingüino y la niña.", "la ɣitˈara, el piŋɡwˈino i la nˈiɲa."),
        ("es", "¿Dónde está la ciudad?", "dˈonde estˈa la θjuðˈad?"),
        ("es", "rápidamente", "rˌapiðamˈɛnte"),
        ("it", "Gli gnocchi e la città.", "ʎi ɲɲˈokːi e la ʧitːˈa."),
        ("it", "La musica è bellissima.", "la mˈuzika ɛ bellˈiSima."),
        ("it", "all'amico, la famiglia", "allamˈiko, la famˈiʎʎa"),
        ("it", "C'è l'acqua.", "ʧɛ lˈakːwa."),
        ("pt", "O coração da cidade.", "ʊ kˌoɾasˈɐ\u0303ʊ\u0303 dæ sidˈaʤy."),
        ("pt", "A história e a avó.", "æ istˈɔɾjæ i æ avˈɔ."),
        ("fr", "Les enfants parlent.", "lez ɑ\u0303fˈɑ\u0303 pˈaʁl."),
        ("fr", "les héros", "le eʁˈo"),
        ("fr", "un bon ami", "œ\u0303 bɔn amˈi"),
        ("fr", "six amis, six livres, six", "sˈiz amˈi, sˈi lˈivʁ, sˈis"),
        ("ja", "コーヒーを飲みました。", "koːçiː o nomʲimaɕita."),
        ("ja", "三本と新聞", "sambon to ɕimbɯɴ"),
        ("zh", "你好，音乐。", "ni↗xau↓, i→nɥe↘."),
        ("zh", "一个，一起，第一", "i↗kɤ↘, i↘ʨʰi↓, ti↘i→"),
        ("zh", "不是，不好", "pu↗ʂɨ↘, pu↘xau↓"),
        ("zh", "十一点，等一等", "ʂɨ↗i→tjɛ↓n, tə↓ŋitə↓ŋ"),
        ("zh", "在盒子里，奶奶", "ʦai↘ xɤ↗ʦɨ li↓, nai↓nai"),
        ("fr", "vingt et un, vingt-deux", "vɛ\u0303t e ˈœ\u0303, vɛ\u0303t dˈø"),
        ("fr", "quatre-vingt-un, dix-neuf", "katʁ vɛ\u0303 ˈœ\u0303, diz nˈœf"),
        ("fr", "trois cent vingt invités", "tʁwa sɑ\u0303 vˈɛ\u0303t ɛ\u0303vitˈe"),
        ("zh", "吃饭", "ꭧʰɨ→fa↘n"),
    ],
)
def test_words_sound_as_they_should(language: str, text: str, phonemes: str) -> None:
    assert PHONEMIZER.phonemize(text, language) == phonemes


def test_british_english_has_its_own_sounds() -> None:
    assert PHONEMIZER.phonemize("The car in the bath.", "en") == "ðə kˈɑɹ ɪn ðə bˈæθ."
    assert (
        Phonemizer(british=True).phonemize("The car in the bath.", "en") == "ðə kˈɑː ɪn ðə bˈɑːθ."
    )


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_latin_words_inside_other_scripts_are_read_as_english(language: str) -> None:
    text = {"ja": "Googleで検索", "zh": "我用Google搜索"}[language]
    assert PHONEMIZER.phonemize("Google", "en") in PHONEMIZER.phonemize(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Москва"),
        ("es", "γεια"),
        ("fr", "東京"),
        ("it", "שלום"),
        ("zh", "ひらがな"),
        ("ja", "한국어"),
    ],
)
def test_letters_of_a_script_it_cannot_read_are_refused(language: str, text: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        PHONEMIZER.phonemize(text, language)
    assert refusal.value.field == "text"
    assert repr(text[0]) in refusal.value.message


def test_foreign_accents_do_not_lose_the_letter() -> None:
    assert PHONEMIZER.phonemize("Škoda", "es") == PHONEMIZER.phonemize("Skoda", "es")


def test_a_language_without_front_end_is_refused() -> None:
    with pytest.raises(Unsupported, match="'ko'"):
        PHONEMIZER.phonemize("안녕", "ko")


def test_a_text_cannot_give_phonemes_in_a_link() -> None:
    assert "q" not in PHONEMIZER.phonemize("[hello](/qqqq/)", "en").lower()


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "😀"])
def test_text_without_words_gives_no_words(text: str) -> None:
    assert not any(c.isalpha() for c in PHONEMIZER.phonemize(text, "es"))


def test_threads_that_load_at_the_same_time_agree() -> None:
    fresh = Phonemizer()
    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(lambda _: fresh.phonemize("Tokyo 2024", "ja"), range(16)))
    assert len(answers) == 1
