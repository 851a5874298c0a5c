"""List the words for numbers, dates, units and symbols in Spanish, French, Italian, Portuguese.

Tables only. `romance` uses them. A space inside an entry is written `_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberWords:
    """One language's words.

    `units` and `currencies` map a symbol to (singular, plural).
    """

    numerals: str  # the language's name in num2words
    thousands: str  # characters that may group digits by three
    decimal: str  # "coma" in "tres coma cinco"
    point: str  # a dot that is neither decimal nor the end of a sentence
    minus: str
    to: str  # between the ends of a range
    months: tuple[str, ...]
    date: str  # with {day}, {month} and {year}
    month_link: str  # what may stand between day and month in writing
    first: str  # the first day of a month
    of_money: str  # between "million" and the currency: "de "
    units: Mapping[str, tuple[str, str]]
    currencies: Mapping[str, tuple[str, str]]
    magnitudes: tuple[str, ...]  # words that stand between an amount and its currency
    feminine: frozenset[str]  # units and currencies whose numeral is feminine
    fractions: Mapping[tuple[int, int], str]
    over: str  # "3/7" outside `fractions`
    symbols: Mapping[str, str]
    letters: Mapping[str, str]  # names of the letters
    one_letter_words: str
    abbreviations: Mapping[str, str]


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


def _in_order(text: str) -> tuple[str, ...]:
    """Return the words of `text`, in order."""
    return tuple(text.split())


def _pairs(table: str) -> dict[str, tuple[str, str]]:
    rows = (entry.split(":") for entry in table.split())
    return {symbol: (one.replace("_", " "), many.replace("_", " ")) for symbol, one, many in rows}


def _words(table: str) -> dict[str, str]:
    """Parse `key=spoken form` entries. A key of one character, such as `=` or `_`, is literal."""
    words = {}
    for entry in table.split():
        at = entry.index("=", 1)
        key = entry[:at] if at == 1 else entry[:at].replace("_", " ")
        words[key] = entry[at + 1 :].replace("_", " ")
    return words


def _letters(names: str) -> dict[str, str]:
    return dict(
        zip(
            "abcdefghijklmnopqrstuvwxyz",
            (name.replace("_", " ") for name in names.split()),
            strict=True,
        )
    )


SPANISH = NumberWords(
    numerals="es",
    thousands=". \u00a0\u202f’",
    decimal="coma",
    point="punto",
    minus="menos",
    to="a",
    months=_in_order(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
    ),
    date="{day} de {month} de {year}",
    month_link="de ",
    first="primero",
    of_money="de ",
    units=_pairs(
        """km:kilómetro:kilómetros m:metro:metros cm:centímetro:centímetros
        mm:milímetro:milímetros kg:kilo:kilos g:gramo:gramos mg:miligramo:miligramos
        t:tonelada:toneladas l:litro:litros L:litro:litros ml:mililitro:mililitros
        mL:mililitro:mililitros cl:centilitro:centilitros h:hora:horas min:minuto:minutos
        s:segundo:segundos ms:milisegundo:milisegundos ha:hectárea:hectáreas
        m²:metro_cuadrado:metros_cuadrados m2:metro_cuadrado:metros_cuadrados
        km²:kilómetro_cuadrado:kilómetros_cuadrados
        km2:kilómetro_cuadrado:kilómetros_cuadrados m³:metro_cúbico:metros_cúbicos
        m3:metro_cúbico:metros_cúbicos km/h:kilómetro_por_hora:kilómetros_por_hora
        m/s:metro_por_segundo:metros_por_segundo °C:grado_Celsius:grados_Celsius
        ºC:grado_Celsius:grados_Celsius °F:grado_Fahrenheit:grados_Fahrenheit °:grado:grados
        %:por_ciento:por_ciento ‰:por_mil:por_mil kB:kilobyte:kilobytes KB:kilobyte:kilobytes
        MB:megabyte:megabytes GB:gigabyte:gigabytes TB:terabyte:terabytes Hz:hercio:hercios
        kHz:kilohercio:kilohercios MHz:megahercio:megahercios GHz:gigahercio:gigahercios
        W:vatio:vatios kW:kilovatio:kilovatios kWh:kilovatio_hora:kilovatios_hora
        MW:megavatio:megavatios V:voltio:voltios dB:decibelio:decibelios"""
    ),
    currencies=_pairs(
        """€:euro:euros EUR:euro:euros $:dólar:dólares US$:dólar:dólares USD:dólar:dólares
        £:libra:libras GBP:libra:libras ¥:yen:yenes JPY:yen:yenes CHF:franco:francos
        R$:real:reales MXN:peso:pesos ₹:rupia:rupias"""
    ),
    magnitudes=("mil millones", "millones", "millón", "billones", "mil"),
    feminine=word_set("hora horas tonelada toneladas hectárea hectáreas libra libras rupia rupias"),
    fractions={
        (1, 2): "medio",
        (1, 3): "un tercio",
        (2, 3): "dos tercios",
        (1, 4): "un cuarto",
        (3, 4): "tres cuartos",
    },
    over="partido por",
    symbols=_words(
        """&=y @=arroba +=más ==igual_a #=almohadilla %=por_ciento ×=por ÷=entre ±=más_menos
        <=menor_que >=mayor_que §=párrafo ©=copyright ®=marca_registrada ™=marca_registrada
        €=euros $=dólares £=libras ¥=yenes °=grados º=grados ª=a µ=micro ‰=por_mil
        ≈=aproximadamente ≤=menor_o_igual_que ≥=mayor_o_igual_que ≠=distinto_de √=raíz_de π=pi
        ∞=infinito _=guion_bajo /=barra -=guion"""
    ),
    letters=_letters(
        "a be ce de e efe ge hache i jota ka ele eme ene o pe cu erre "
        "ese te u uve uve_doble equis i_griega zeta"
    ),
    one_letter_words="aeiouyáéíóú",
    abbreviations=_words(
        """Sr.=señor Sra.=señora Srta.=señorita Sres.=señores Dr.=doctor Dra.=doctora D.=don
        Dña.=doña Prof.=profesor Ud.=usted Uds.=ustedes Vd.=usted Vds.=ustedes etc.=etcétera
        p.ej.=por_ejemplo p._ej.=por_ejemplo pág.=página págs.=páginas núm.=número n.º=número
        nº=número N.º=número Nº=número aprox.=aproximadamente Avda.=avenida Av.=avenida
        C/=calle tel.=teléfono Tel.=teléfono EE._UU.=Estados_Unidos EE.UU.=Estados_Unidos
        a._C.=antes_de_Cristo d._C.=después_de_Cristo vs.=contra Cía.=compañía izq.=izquierda
        dcha.=derecha"""
    ),
)

FRENCH = NumberWords(
    numerals="fr",
    thousands=". \u00a0\u202f’",
    decimal="virgule",
    point="point",
    minus="moins",
    to="à",
    months=_in_order(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
    ),
    date="{day} {month} {year}",
    month_link="",
    first="premier",
    of_money="d'",
    units=_pairs(
        """km:kilomètre:kilomètres m:mètre:mètres cm:centimètre:centimètres
        mm:millimètre:millimètres kg:kilo:kilos g:gramme:grammes mg:milligramme:milligrammes
        t:tonne:tonnes l:litre:litres L:litre:litres ml:millilitre:millilitres
        mL:millilitre:millilitres cl:centilitre:centilitres h:heure:heures min:minute:minutes
        mn:minute:minutes s:seconde:secondes ms:milliseconde:millisecondes ha:hectare:hectares
        m²:mètre_carré:mètres_carrés m2:mètre_carré:mètres_carrés
        km²:kilomètre_carré:kilomètres_carrés km2:kilomètre_carré:kilomètres_carrés
        m³:mètre_cube:mètres_cubes m3:mètre_cube:mètres_cubes
        km/h:kilomètre_heure:kilomètres_heure m/s:mètre_par_seconde:mètres_par_seconde
        °C:degré_Celsius:degrés_Celsius °F:degré_Fahrenheit:degrés_Fahrenheit °:degré:degrés
        %:pour_cent:pour_cent ‰:pour_mille:pour_mille ko:kilooctet:kilooctets
        Ko:kilooctet:kilooctets Mo:mégaoctet:mégaoctets Go:gigaoctet:gigaoctets
        To:téraoctet:téraoctets MB:mégaoctet:mégaoctets GB:gigaoctet:gigaoctets
        TB:téraoctet:téraoctets Hz:hertz:hertz kHz:kilohertz:kilohertz MHz:mégahertz:mégahertz
        GHz:gigahertz:gigahertz W:watt:watts kW:kilowatt:kilowatts
        kWh:kilowatt_heure:kilowatts_heure MW:mégawatt:mégawatts V:volt:volts
        dB:décibel:décibels"""
    ),
    currencies=_pairs(
        """€:euro:euros EUR:euro:euros $:dollar:dollars US$:dollar:dollars USD:dollar:dollars
        £:livre:livres GBP:livre:livres ¥:yen:yens JPY:yen:yens CHF:franc:francs R$:réal:réaux
        ₹:roupie:roupies"""
    ),
    magnitudes=("millions", "million", "milliards", "milliard", "mille"),
    feminine=word_set(
        """
        heure heures tonne tonnes minute minutes seconde secondes milliseconde millisecondes
        livre livres roupie roupies
        """
    ),
    fractions={
        (1, 2): "un demi",
        (1, 3): "un tiers",
        (2, 3): "deux tiers",
        (1, 4): "un quart",
        (3, 4): "trois quarts",
    },
    over="sur",
    symbols=_words(
        """&=et @=arobase +=plus ==égale #=dièse %=pour_cent ×=fois ÷=divisé_par ±=plus_ou_moins
        <=inférieur_à >=supérieur_à §=paragraphe ©=copyright ®=marque_déposée ™=marque_déposée
        €=euros $=dollars £=livres ¥=yens °=degrés º=degrés ª=a µ=micro ‰=pour_mille ≈=environ
        ≤=inférieur_ou_égal_à ≥=supérieur_ou_égal_à ≠=différent_de √=racine_de π=pi ∞=infini
        _=tiret_bas /=barre_oblique -=tiret"""
    ),
    letters=_letters(
        "a bé cé dé eu effe gé hache i ji ka elle emme enne o pé ku erre "
        "esse té u vé double_vé ixe i_grec zède"
    ),
    one_letter_words="aeiouyàâéèô",
    abbreviations=_words(
        """M.=monsieur MM.=messieurs Mme=madame Mmes=mesdames Mlle=mademoiselle
        Mlles=mesdemoiselles Dr=docteur Dr.=docteur Pr=professeur Me=maître St=saint
        Ste=sainte etc.=et_cétéra p.=page pp.=pages n°=numéro N°=numéro nº=numéro env.=environ
        av.=avenue bd=boulevard tél.=téléphone Tél.=téléphone c.-à-d.=c'est-à-dire
        p._ex.=par_exemple av._J.-C.=avant_Jésus-Christ apr._J.-C.=après_Jésus-Christ
        vs=contre Cie=compagnie"""
    ),
)

ITALIAN = NumberWords(
    numerals="it",
    thousands=".\u00a0\u202f’",
    decimal="virgola",
    point="punto",
    minus="meno",
    to="a",
    months=_in_order(
        "gennaio febbraio marzo aprile maggio giugno "
        "luglio agosto settembre ottobre novembre dicembre"
    ),
    date="{day} {month} {year}",
    month_link="",
    first="primo",
    of_money="di ",
    units=_pairs(
        """km:chilometro:chilometri m:metro:metri cm:centimetro:centimetri
        mm:millimetro:millimetri kg:chilo:chili g:grammo:grammi mg:milligrammo:milligrammi
        t:tonnellata:tonnellate l:litro:litri L:litro:litri ml:millilitro:millilitri
        mL:millilitro:millilitri cl:centilitro:centilitri h:ora:ore min:minuto:minuti
        s:secondo:secondi ms:millisecondo:millisecondi ha:ettaro:ettari
        m²:metro_quadrato:metri_quadrati m2:metro_quadrato:metri_quadrati
        mq:metro_quadrato:metri_quadrati km²:chilometro_quadrato:chilometri_quadrati
        km2:chilometro_quadrato:chilometri_quadrati m³:metro_cubo:metri_cubi
        m3:metro_cubo:metri_cubi km/h:chilometro_orario:chilometri_orari
        m/s:metro_al_secondo:metri_al_secondo °C:grado_Celsius:gradi_Celsius
        °F:grado_Fahrenheit:gradi_Fahrenheit °:grado:gradi %:per_cento:per_cento
        ‰:per_mille:per_mille kB:kilobyte:kilobyte KB:kilobyte:kilobyte MB:megabyte:megabyte
        GB:gigabyte:gigabyte TB:terabyte:terabyte Hz:hertz:hertz kHz:kilohertz:kilohertz
        MHz:megahertz:megahertz GHz:gigahertz:gigahertz W:watt:watt kW:chilowatt:chilowatt
        kWh:chilowattora:chilowattora MW:megawatt:megawatt V:volt:volt dB:decibel:decibel"""
    ),
    currencies=_pairs(
        """€:euro:euro EUR:euro:euro $:dollaro:dollari US$:dollaro:dollari USD:dollaro:dollari
        £:sterlina:sterline GBP:sterlina:sterline ¥:yen:yen JPY:yen:yen CHF:franco:franchi
        R$:real:real ₹:rupia:rupie"""
    ),
    magnitudes=("milioni", "milione", "miliardi", "miliardo", "mila"),
    feminine=word_set("ora ore tonnellata tonnellate sterlina sterline rupia rupie"),
    fractions={
        (1, 2): "mezzo",
        (1, 3): "un terzo",
        (2, 3): "due terzi",
        (1, 4): "un quarto",
        (3, 4): "tre quarti",
    },
    over="fratto",
    symbols=_words(
        """&=e @=chiocciola +=più ==uguale_a #=cancelletto %=per_cento ×=per ÷=diviso
        ±=più_o_meno <=minore_di >=maggiore_di §=paragrafo ©=copyright ®=marchio_registrato
        ™=marchio_registrato €=euro $=dollari £=sterline ¥=yen °=gradi º=gradi ª=a µ=micro
        ‰=per_mille ≈=circa ≤=minore_o_uguale_a ≥=maggiore_o_uguale_a ≠=diverso_da √=radice_di
        π=pi ∞=infinito _=trattino_basso /=barra -=trattino"""
    ),
    letters=_letters(
        "a bi ci di e effe gi acca i i_lunga cappa elle emme enne o pi "
        "cu erre esse ti u vu doppia_vu ics ipsilon zeta"
    ),
    one_letter_words="aeioàèéìòù",
    abbreviations=_words(
        """Sig.=signor sig.=signor Sig.ra=signora sig.ra=signora Sigg.=signori Dott.=dottor
        dott.=dottor Dott.ssa=dottoressa dott.ssa=dottoressa Prof.=professor prof.=professor
        Prof.ssa=professoressa Avv.=avvocato Ing.=ingegner ecc.=eccetera ecc=eccetera
        pag.=pagina pagg.=pagine n.=numero N.=numero nr.=numero ca.=circa tel.=telefono
        Tel.=telefono es.=esempio a.C.=avanti_Cristo d.C.=dopo_Cristo vs=contro
        S.p.A.=esse_pi_a S.r.l.=esse_erre_elle"""
    ),
)

PORTUGUESE = NumberWords(
    numerals="pt_BR",
    thousands=".\u00a0\u202f’",
    decimal="vírgula",
    point="ponto",
    minus="menos",
    to="a",
    months=_in_order(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
    ),
    date="{day} de {month} de {year}",
    month_link="de ",
    first="primeiro",
    of_money="de ",
    units=_pairs(
        """km:quilômetro:quilômetros m:metro:metros cm:centímetro:centímetros
        mm:milímetro:milímetros kg:quilo:quilos g:grama:gramas mg:miligrama:miligramas
        t:tonelada:toneladas l:litro:litros L:litro:litros ml:mililitro:mililitros
        mL:mililitro:mililitros cl:centilitro:centilitros h:hora:horas min:minuto:minutos
        s:segundo:segundos ms:milissegundo:milissegundos ha:hectare:hectares
        m²:metro_quadrado:metros_quadrados m2:metro_quadrado:metros_quadrados
        km²:quilômetro_quadrado:quilômetros_quadrados
        km2:quilômetro_quadrado:quilômetros_quadrados m³:metro_cúbico:metros_cúbicos
        m3:metro_cúbico:metros_cúbicos km/h:quilômetro_por_hora:quilômetros_por_hora
        m/s:metro_por_segundo:metros_por_segundo °C:grau_Célsius:graus_Célsius
        ºC:grau_Célsius:graus_Célsius °F:grau_Fahrenheit:graus_Fahrenheit °:grau:graus
        %:por_cento:por_cento ‰:por_mil:por_mil kB:kilobyte:kilobytes KB:kilobyte:kilobytes
        MB:megabyte:megabytes GB:gigabyte:gigabytes TB:terabyte:terabytes Hz:hertz:hertz
        kHz:quilohertz:quilohertz MHz:megahertz:megahertz GHz:gigahertz:gigahertz W:watt:watts
        kW:quilowatt:quilowatts kWh:quilowatt_hora:quilowatts_hora MW:megawatt:megawatts
        V:volt:volts dB:decibel:decibéis"""
    ),
    currencies=_pairs(
        """R$:real:reais BRL:real:reais €:euro:euros EUR:euro:euros $:dólar:dólares
        US$:dólar:dólares USD:dólar:dólares £:libra:libras GBP:libra:libras ¥:iene:ienes
        JPY:iene:ienes CHF:franco:francos ₹:rupia:rupias"""
    ),
    magnitudes=("milhões", "milhão", "bilhões", "bilhão", "mil"),
    feminine=word_set("hora horas tonelada toneladas libra libras rupia rupias"),
    fractions={
        (1, 2): "meio",
        (1, 3): "um terço",
        (2, 3): "dois terços",
        (1, 4): "um quarto",
        (3, 4): "três quartos",
    },
    over="sobre",
    symbols=_words(
        """&=e @=arroba +=mais ==igual_a #=cerquilha %=por_cento ×=vezes ÷=dividido_por
        ±=mais_ou_menos <=menor_que >=maior_que §=parágrafo ©=copyright ®=marca_registrada
        ™=marca_registrada €=euros $=dólares £=libras ¥=ienes °=graus º=graus ª=a µ=micro
        ‰=por_mil ≈=aproximadamente ≤=menor_ou_igual_a ≥=maior_ou_igual_a ≠=diferente_de
        √=raiz_de π=pi ∞=infinito _=sublinhado /=barra -=hífen"""
    ),
    letters=_letters(
        "a bê cê dê é efe gê agá i jota cá ele eme ene ó pê quê erre esse "
        "tê u vê dáblio xis ípsilon zê"
    ),
    one_letter_words="aeoáàéêóô",
    abbreviations=_words(
        """Sr.=senhor Sra.=senhora Srta.=senhorita Srs.=senhores Dr.=doutor Dra.=doutora
        Prof.=professor Profa.=professora D.=dom etc.=et_cetera p.ex.=por_exemplo
        p._ex.=por_exemplo pág.=página págs.=páginas n.º=número nº=número Nº=número
        aprox.=aproximadamente Av.=avenida tel.=telefone Tel.=telefone EUA=Estados_Unidos
        a.C.=antes_de_Cristo d.C.=depois_de_Cristo vs.=contra Cia.=companhia Ltda.=limitada"""
    ),
)

NUMBER_WORDS = {"es": SPANISH, "fr": FRENCH, "it": ITALIAN, "pt": PORTUGUESE}
