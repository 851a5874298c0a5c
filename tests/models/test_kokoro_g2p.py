"""Check Kokoro's phonemes of text in seven languages."""

import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.errors import Unsupported
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.g2p.alphabet import SYMBOLS
from vivavoce.models.kokoro.g2p.runs import MAX_RUN_CHARS, MAX_RUN_PARTS, break_runs

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
        ("it", "Gli gnocchi e la città.", "ʎɪ ɲɲˈokːɪ e la ʧitːˈa."),
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
        ("fr", "quatre-vingt-un, dix-neuf", "kˈatʁ vɛ\u0303 ˈœ\u0303, diz nˈœf"),
        ("fr", "trois cent vingt invités", "tʁwˈa sˈɑ\u0303 vˈɛ\u0303t ɛ\u0303vitˈe"),
        ("zh", "吃饭", "ꭧʰɨ→fa↘n"),
    ],
)
def test_words_sound_as_they_should(language: str, text: str, phonemes: str) -> None:
    assert PHONEMIZER.phonemize(text, language) == phonemes


# One line for each kind of French word: spelling, then sounds. Stress is compared elsewhere.
FRENCH_WORDS = """
    femme=fam monsieur=məsjø second=səɡɔ̃ secondaire=səɡɔ̃dɛʁ oignon=ɔɲɔ̃ album=albɔm albums=albɔm
    examen=ɛɡzamɛ̃ août=ut fils=fis yeux=jø pays=pɛi paysan=pɛizɑ̃ automne=otɔn condamner=kɔ̃dane
    vent=vɑ̃ vends=vɑ̃ vin=vɛ̃ vingt=vɛ̃ vont=vɔ̃ bientôt=bjɛ̃to bienvenue=bjɛ̃vny ennui=ɑ̃nyi
    bonheur=bɔnœʁ manœuvre=manœvʁ pollen=pɔlɛn gens=ʒɑ̃ européens=øʁopeɛ̃
    mangent=mɑ̃ʒ chantaient=ʃɑ̃tɛ viennent=vjɛn vient=vjɛ̃ patient=pasjɑ̃ récipient=ʁesipjɑ̃
    couvent=kuvɑ̃ aiment=ɛm moment=mɔmɑ̃ appartement=apaʁtəmɑ̃ vincent=vɛ̃sɑ̃
    fille=fij famille=famij coquille=kokij cheville=ʃəvij deauville=dovil tranquille=tʁɑ̃kil
    maquillage=makijaʒ aiguille=ɛɡyij travail=tʁavaj ail=aj œil=œj cueille=kœj grenouille=ɡʁənuj
    nation=nasjɔ̃ question=kɛstjɔ̃ démocratie=demɔkʁasi diplomatie=diplomasi partie=paʁti
    initier=inisje patience=pasjɑ̃s
    guerre=ɡɛʁ fatigue=fatiɡ fatiguait=fatiɡɛ mangeons=mɑ̃ʒɔ̃ suggère=syɡʒɛʁ aquatique=akwatik
    ambiguïté=ɑ̃biɡyite
    royal=ʁwajal essayer=esɛje appuyer=apyije crayon=kʁɛjɔ̃ mayonnaise=majɔnɛz
    cœur=kœʁ sœur=sœʁ œuf=œf œufs=ø oeuvre=œvʁ
    marchand=maʁʃɑ̃ chorale=koʁal psychologie=psikoloʒi technique=tɛknik
    doigts=dwa compte=kɔ̃t baptême=batɛm septembre=sɛptɑ̃bʁ septième=sɛtjɛm asthme=asm
    tournesol=tuʁnəsɔl maison=mɛzɔ̃ vraisemblable=vʁɛsɑ̃blabl faisait=fəzɛ
    bus=bys virus=viʁys refus=ʁəfy but=byt début=deby net=nɛt sud=syd gaz=ɡaz riz=ʁi index=ɛ̃dɛks
    prix=pʁi félix=feliks thorax=toʁaks
    hiver=ivɛʁ divers=divɛʁ chanter=ʃɑ̃te super=sypɛʁ
    hyperactif=ipɛʁaktif égyptienne=eʒipsjɛn médecin=medəsɛ̃
    remerciement=ʁəmɛʁsimɑ̃ dévouement=devumɑ̃ maintenant=mɛ̃tnɑ̃ samedi=samdi
    parking=paʁkiŋ week-end=wikɛnd sandwich=sɑ̃dwitʃ interview=ɛ̃tɛʁvju Ecole=ekɔl Etat=eta
"""


@pytest.mark.parametrize("pair", FRENCH_WORDS.split())
def test_french_words_are_read_as_they_are_said(pair: str) -> None:
    word, sounds = unicodedata.normalize("NFD", pair).split("=")
    assert PHONEMIZER.phonemize(word, "fr").replace("ˈ", "") == sounds


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("les yeux, les hôtels, les héros", "lez jˈø, lez otˈɛl, le eʁˈo"),
        ("les huîtres, les huit", "lez yˈitʁ, le yˈit"),
        ("On a mangé, on y va.", "ɔ̃n a mɑ̃ʒˈe, ɔ̃n i vˈa."),
        ("quand il vient", "kɑ̃t il vjˈɛ̃"),
        ("chez elle", "ʃez ˈɛl"),
        ("Est-il là ? Peut-on ? Allons-y.", "ɛ til lˈa? pˈø tˈɔ̃? alˈɔ̃ zˈi."),
        ("Comment allez-vous ?", "kɔmˈɑ̃t alˈe vˈu?"),
        ("un petit enfant, le petit a faim", "œ̃ pətˈit ɑ̃fˈɑ̃, lə pətˈi a fˈɛ̃"),
        ("un ancien ami, un premier étage", "œ̃n ɑ̃sjɛn amˈi, œ̃ pʁəmjɛʁ etˈaʒ"),
        ("le premier août, quelqu'un a ri", "lə pʁəmjˈe ˈut, kɛlkˈœ̃ a ʁˈi"),
        ("tout à fait, il est à Paris", "tut a fˈɛ, il ɛt a paʁˈi"),
        ("ils mangent un fruit", "il mˈɑ̃ʒt œ̃ fʁyˈi"),
        ("nous mangeons à midi", "nu mɑ̃ʒˈɔ̃z a midˈi"),
        ("ils sont arrivés en train", "il sˈɔ̃t aʁivˈez ɑ̃ tʁˈɛ̃"),
        ("tous les jours, ils sont tous là", "tu le ʒˈuʁ, il sˈɔ̃ tus lˈa"),
        ("de plus en plus", "də plyz ɑ̃ plˈys"),
        ("je sens le sens", "ʒə sˈɑ̃ lə sˈɑ̃s"),
        ("peut-être, c'est-à-dire", "pøtˈɛtʁ, sɛtadˈiʁ"),
        ("quatre-vingts ans, neuf heures", "katʁəvˈɛ̃z ˈɑ̃, nˈœv ˈœʁ"),
        ("les mêmes histoires, de longues années", "le mˈɛmz istwˈaʁ, də lˈɔ̃ɡz anˈe"),
        ("ils habitent une rue, ils partent", "ilz abˈitt yn ʁˈy, il pˈaʁt"),
        ("Est-ce que c’est vrai ? Qu'est-ce ?", "ˈɛs kə sɛ vʁˈɛ? kˈɛs?"),
    ],
)
def test_french_words_link_as_in_careful_reading(text: str, phonemes: str) -> None:
    assert PHONEMIZER.phonemize(text, "fr") == unicodedata.normalize("NFD", phonemes)


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("le chien et le chat", "lə ʃjˈɛ̃ ˌe lə ʃˈa"),
        ("vingt et un à midi, quatre-vingt-un à midi", "vɛ̃t e ˈœ̃ a midˈi, kˈatʁ vɛ̃ ˈœ̃ a midˈi"),
        ("presque personne, l'atelier, jeune", "pʁˈɛskə pɛʁsˈɔn, latəljˈe, ʒˈœn"),
        ("en 1975", "ɑ̃ mˈil nˈœf sˈɑ̃ swasˈɑ̃t kˈɛ̃z"),
        ("vingt et un ans et une heure", "vɛ̃t e œ̃n ˈɑ̃ ˌe yn ˈœʁ"),
        ("par carte ou en espèces", "paʁ kˈaʁt ˌu ɑ̃n ɛspˈɛs"),
        ("plusieurs routes avant midi", "plyzjˈœʁ ʁˈut avˈɑ̃ midˈi"),
        ("les bonnes fraises, un bon ami", "le bˈɔn fʁˈɛz, œ̃ bɔn amˈi"),
    ],
)
def test_french_words_that_carry_meaning_are_stressed(text: str, phonemes: str) -> None:
    assert PHONEMIZER.phonemize(text, "fr") == unicodedata.normalize("NFD", phonemes)


# Stress that the spelling does not show: words, endings, cut words, clitics, falling diphthongs.
ITALIAN_WORDS = """
    italiano=itˌaljˈano americano=amˌerikˈano mangiano=mˈanʤano partigiano=pˌartiʤˈano
    aspettano=aspˈɛtːano capitano=kˌapitˈano considerano=konsˈiderano
    qualcuno=kwalkˈuno spedito=spedˈito credito=krˈedito deciso=deʧˈizo decide=deʧˈide acido=ˈaʧido
    poter=potˈer signor=siɲɲˈɔr nessun=neSˈun andar=andˈar festival=fˈɛstival manager=manˈaʤer
    causa=kˈauza euro=ˈɛuro paura=paˈura idraulico=idrˈauliko mosaico=mozˈaiko
    spontaneo=spontˈaneo centesimo=ʧentˈezimo telefono=telˈɛfono sistemi=sistˈɛmɪ
    prendersi=prˈɛndersɪ diversi=divˈersɪ vedersi=vedˈersɪ portatelo=portˈatelo
    agenzia=aʤenʦˈia serie=sˈɛrje germania=ʤermˈanja zaino=ʣˈaino
    cielo=ʧˈelo scienza=ʃˈɛnʦa valigie=valˈiʤe farmacie=farmaʧˈie
    ventidue=ventidˈue settantasette=setːantasˈetːe ventisei=ventisˈeɪ casetta=kazˈetːa
    mia=mˈiːa suo=sˈuːo poi=pˈoɪ lunedì=lunedˈi
"""


@pytest.mark.parametrize("pair", ITALIAN_WORDS.split())
def test_italian_words_are_stressed_as_they_are_said(pair: str) -> None:
    word, sounds = pair.replace("ˌ", "").split("=")
    assert PHONEMIZER.phonemize(word, "it").replace("ˌ", "") == sounds


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


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "😀", "-h"])
def test_text_without_words_gives_no_words(text: str) -> None:
    assert not any(c.isalpha() for c in PHONEMIZER.phonemize(text, "es"))


def test_threads_that_load_at_the_same_time_agree() -> None:
    fresh = Phonemizer()
    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(lambda _: fresh.phonemize("Tokyo 2024", "ja"), range(16)))
    assert len(answers) == 1


@pytest.mark.parametrize("parts", ["a-b-c-", "T-X-", "1/2/", "foo+bar+"])
def test_long_english_runs_are_read_in_short_parts(parts: str) -> None:
    runs = break_runs(parts * 100).split()
    assert "".join(runs) == parts * 100
    assert max(len(run) for run in runs) <= MAX_RUN_CHARS
    assert max(len(re.findall(r"\w+", run)) for run in runs) <= MAX_RUN_PARTS


@pytest.mark.parametrize("word", ["state-of-the-art", "don't-you-dare-tell-me", "2024-01-02"])
def test_english_words_with_hyphens_stay_whole(word: str) -> None:
    assert break_runs(word) == word


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("It is ten A M now.", "ˌɪt ɪz tˈɛn ˈAˈɛm nˈW."),
        ("Take plan A.", "tˈAk plˈæn ˈA."),
        ("Ten P D F's.", "tˈɛn pˌidˈiˌɛfs."),
        ("Shh! Hmm.", "ʃː! hˈʌmː."),
        ("Gen Z met Ms Lee.", "ʤˈɛn zˈi mˈɛt mˈɪz lˈi."),
        ("Read A Tale of Two Cities.", "ɹˈid ɐ tˈAl ʌv tˈu sˈɪTiz."),
    ],
)
def test_english_letters_and_sounds_are_said_as_such(text: str, phonemes: str) -> None:
    assert PHONEMIZER.phonemize(text, "en") == phonemes
