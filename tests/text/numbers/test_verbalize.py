"""Digits and symbols are all spoken, in each language's own way."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.errors import Unsupported
from vivavoce.text.numbers.verbalize import LANGUAGES, verbalize

NUMBERISH = st.lists(
    st.sampled_from(
        [
            *string.digits,
            *".,:/-–+ %€$£¥°²³&@#=×½¾①Ⅳ٣３",
            "km",
            "h",
            "kg",
            "er",
            "º",
            "pm",
            "年",
            "月",
            "T",
            "x",
        ]
    ),
    max_size=24,
).map("".join)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None, max_examples=50)  # compiling the patterns comes first
@given(text=NUMBERISH)
def test_no_digit_survives(language: str, text: str) -> None:
    spoken = verbalize(text, language)
    assert not any(c.isdigit() for c in spoken), spoken


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None, max_examples=50)
@given(number=st.integers(min_value=0, max_value=10**12))
def test_different_numbers_are_spoken_differently(language: str, number: int) -> None:
    assert verbalize(str(number), language) != verbalize(str(number + 1), language)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None, max_examples=50)  # compiling the patterns comes first
@given(text=NUMBERISH)
def test_speaking_twice_changes_nothing_more(language: str, text: str) -> None:
    once = verbalize(text, language)
    assert verbalize(once, language) == once


@pytest.mark.parametrize("symbol", "&@+=#%×÷±€£§∞√≤")
@pytest.mark.parametrize("language", ["es", "fr", "it", "pt"])
def test_symbols_are_spoken(language: str, symbol: str) -> None:
    spoken = verbalize(f"a {symbol} e", language)
    assert symbol not in spoken
    assert len(spoken.split()) > 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_words_stay_as_they_are(language: str) -> None:
    text = {"ja": "今日は良い天気です。", "zh": "今天天气很好。"}.get(
        language, "Una casa, una mesa."
    )
    assert verbalize(text, language) == text


def test_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="'xx'") as refusal:
        verbalize("1", "xx")
    assert refusal.value.field == "language"


SPANISH = [
    ("1.250 metros", "mil doscientos cincuenta metros"),
    ("3,5 millones de euros", "tres coma cinco millones de euros"),
    ("1,250.50", "mil doscientos cincuenta coma cincuenta"),
    ("a las 20:30", "a las veinte y treinta"),
    ("a la 1:00", "a la una"),
    ("a las 3 pm", "a las tres de la tarde"),
    ("el 1 de mayo", "el primero de mayo"),
    ("2024-03-05", "cinco de marzo de dos mil veinticuatro"),
    ("5/3/2024", "cinco de marzo de dos mil veinticuatro"),
    ("21 °C", "veintiún grados Celsius"),
    ("-5 °C", "menos cinco grados Celsius"),
    ("100 km/h", "cien kilómetros por hora"),
    ("1 km y 21 horas", "un kilómetro y veintiuna horas"),
    ("21 libros y 31 días", "veintiún libros y treinta y un días"),
    ("21 grados", "veintiún grados"),
    ("5 m²", "cinco metros cuadrados"),
    ("10-20 kg", "diez a veinte kilos"),
    ("12,99 €", "doce euros con noventa y nueve"),
    ("$5", "cinco dólares"),
    ("5 M€", "cinco millones de euros"),
    ("1/2 litro", "medio litro"),
    ("2½ horas", "dos horas y media"),
    ("2ª planta, 3er piso", "segunda planta, tercer piso"),
    ("Luis XIV, siglo XXI", "Luis catorce, siglo veintiuno"),
    ("el Sr. Pérez", "el señor Pérez"),
    ("la ONU y el PDF", "la ONU y el pe de efe"),
    ("1 mesa, 1 libro", "una mesa, un libro"),
    ("ana@example.com", "ana arroba example punto com"),
    ("versión 3.11.2", "versión tres punto once punto dos"),
    ("007", "cero cero siete"),
]
FRENCH = [
    ("à 20h30", "à vingt heures trente"),
    ("21h", "vingt et une heures"),
    ("le 1er mai", "le premier mai"),
    ("la 1re fois, le 2e étage", "la première fois, le deuxième étage"),
    ("1 250 mètres", "mille deux cent cinquante mètres"),
    ("12,50 €", "douze euros cinquante"),
    ("3 M€", "trois millions d'euros"),
    ("21 %", "vingt et un pour cent"),
    ("M. Dupont et Mme Martin", "monsieur Dupont et madame Martin"),
    ("Louis XIV, XVIIIe siècle", "Louis quatorze, dix-huitième siècle"),
    ("la SNCF", "la esse enne cé effe"),
    ("a-t-il 3 ans", "a-t-il trois ans"),
    ("n° 5", "numéro cinq"),
]
ITALIAN = [
    ("alle 20:30", "alle venti e trenta"),
    ("alle ore 8.15", "alle ore otto e quindici"),
    ("1.250 metri", "milleduecentocinquanta metri"),
    ("il 1° maggio", "il primo maggio"),
    ("XX secolo", "ventesimo secolo"),
    ("1 kg", "un chilo"),
    ("la Dott.ssa Bianchi", "la dottoressa Bianchi"),
    ("€ 12,50", "dodici euro e cinquanta"),
    ("I bambini", "I bambini"),
]
PORTUGUESE = [
    ("às 20:30", "às vinte horas e trinta minutos"),
    ("às 2h", "às duas horas"),
    ("R$ 3,50", "três reais e cinquenta"),
    ("R$ 5 milhões", "cinco milhões de reais"),
    ("1º lugar, 2ª vez", "primeiro lugar, segunda vez"),
    ("16 km", "dezesseis quilômetros"),
    ("2 t", "duas toneladas"),
    ("D. Pedro II", "dom Pedro segundo"),
]
JAPANESE = [
    ("2025年3月14日", "二千二十五年三月十四日"),
    ("午後8:30", "午後八時三十分"),
    ("1,250メートル", "千二百五十メートル"),
    ("45%", "四十五パーセント"),
    ("0.5秒", "零点五秒"),
    ("-5℃", "マイナス五度"),
    ("¥1,200", "千二百円"),
    ("090-1234-5678", "ゼロ九ゼロ、一二三四、五六七八"),
    ("３０個", "三十個"),
]
CHINESE = [
    ("2025年3月14日", "二零二五年三月十四日"),
    ("晚上8:30", "晚上八点三十分"),
    ("8:05", "八点零五分"),
    ("1,250米", "一千二百五十米"),
    ("45%", "百分之四十五"),
    ("2个人，20年", "两个人，二十年"),
    ("¥1,200", "一千二百元"),
    ("1/2", "二分之一"),
    ("110", "一百一十"),
    ("-5℃", "负五摄氏度"),
    ("138-1234-5678", "一三八、一二三四、五六七八"),
]
ENGLISH = [
    ("2½ hours", "two and a half hours"),
    ("①②Ⅳ ٣٤", "one two four thirty-four"),
    ("3 m²", "three square meters"),
    ("£2bn", "two billion pounds"),
    ("192.168.1.1", "one nine two point one six eight point one point one"),
    ("100 000", "one hundred thousand"),
    ("agent 007", "agent zero zero seven"),
    ("https://example.com/a", "example dot com slash A"),
    ("It costs $3.50 at 8:30 pm.", "It costs three dollars and fifty cents at eight thirty P M."),
]


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        (language, *pair)
        for language, pairs in {
            "es": SPANISH, "fr": FRENCH, "it": ITALIAN, "pt": PORTUGUESE,
            "ja": JAPANESE, "zh": CHINESE, "en": ENGLISH,
        }.items()
        for pair in pairs
    ],
)  # fmt: skip
def test_it_is_said_as_people_say_it(language: str, written: str, spoken: str) -> None:
    assert verbalize(written, language) == spoken
