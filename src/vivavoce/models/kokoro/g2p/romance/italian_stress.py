"""Find the stress of Italian words whose spelling does not show it.

- Whole words are looked up first, then endings, the longest first.
- Some endings have the stress on the vowel before them: *poss-i-bile*.
- The other endings, and the words, are listed with the accent they are spoken with.
- è and ò are open vowels, é and ó closed ones.
- This module knows no phonemes.
"""

import re

_STRESS_BEFORE = """
bil{e,i} ssim{o,a,i,e} tic{o,a,i,he} fic{o,a,i,he} nic{o,a,i,he} ric{o,a,i,he} lic{o,a,i,he}
dic{o,a,i,he} sic{o,a,i,he} mic{o,a,i,he} gic{o,a,i,he} pic{o,a,i,he} vic{o,a,i,he} cere vere dere
gere tere mere pere bere vol{e,i} col{o,a,i,e} gol{o,a,i,e} tol{o,a,i,e} bol{o,a,i,e} pol{o,i}
vol{o,i} ner{e,i} ber{o,a,i,e} ter{a,e} mer{o,a,i,e} per{a,o} cono gono dono vono tono scono ngono
ssero bbero rono vano nano gano cano dano ciano giano liano gin{e,i,a} min{e,i,a} din{e,i}
tim{o,a,i,e} nim{o,a,i,e} pid{o,a,i,e} mid{o,a,i,e} cid{o,a,i,e} lid{o,a,i,e} vid{o,a,i,e} bit{o,i}
dit{a,e,o} sit{o,a,i,e} cit{a,e} pit{o,i,e} log{o,hi,a,he} graf{o,i,a} fon{o,i} metr{o,i} mil{e,i}
cil{e,i} til{e,i} tesi lisi cun{o,a} ndol{o,a,i,e} gam{o,a} vide tide ndosi ndomi ndoti ndovi ndoci
tevi teci temi tegli telo tela teli tele
"""

_ENDINGS = """
ménte étt{o,a,i,e} ézz{a,e} és{e,i} ón{e,i} ós{o,a,i,e} ór{e,i} év{a,o,i,ano} ént{o,a,i} ìn{o,a,i,e}
àn{o,a,i,e} ènt{e,i} ènz{a,e} èll{o,a,i,e} ièr{e,i,o,a} uòl{a,e,o,i} ònn{o,a,i,e} èndo èst{o,a,i,e}
òlt{o,a,i,e} erì{a,e} logì{a,e} grafì{a,e} nomì{a,e} sofì{a,e} crazì{a,e} patì{a,e} metrì{a,e}
archì{a,e} scopì{a,e} manì{a,e}
"""

_EARLY_WORDS = """
matèri{a,e} misèri{a,e} artèri{a,e} pòlvere piòvere mùsic{a,he} nùmer{o,i} pòver{o,a,i,e} càmer{a,e}
òper{a,e} lètter{a,e} sùbito gióvan{e,i} tàvol{o,a,i,e} màcchin{a,e} làcrim{a,e} zùccher{o,i}
tèner{o,a,i,e} àlber{o,i} lìber{o,a,i,e} gèner{e,i} cénere venerdì sàbat{o,i} doménic{a,he} època
ànim{a,e,o,i} ìsol{a,e} penìsol{a,e} àngel{o,i} mèdic{o,i,a,he} sìndac{o,i} stòmac{o,hi} crédit{o,i}
mèrit{o,i} spìrit{o,i} sòlit{o,a,i,e} órdin{e,i} màrgin{e,i} fàscino àsin{o,i} càrcer{e,i}
lìmit{e,i} fràgol{a,e} càpit{a,ano} àbit{a,o,i,ano} fémmin{a,e} telèfon{o,i} cìnema èsser{e,si}
benèssere èrano pòrtano tròvano pàrlano sémbrano rèstano divèntano chiàmano làsciano cércano pàssano
pènsano màncano giòcano pàgano àmano mòstrano éntrano lavórano rappresèntano presèntano pòssano
ùsano dòllar{o,i} èsit{o,i} màscher{a,e} ùmid{o,a,i,e} pèrdit{a,e} véndit{a,e} vìsit{a,e,o,i}
nàscit{a,e} créscit{a,e} àttim{o,i} règol{a,e} sìngol{o,a,i,e} àngol{o,i} scégliere tògliere
cògliere accògliere raccògliere sciògliere còmpiere cón{o,i} unànime nòbil{e,i} mòbil{e,i}
fàcil{e,i} diffìcil{e,i} pròssim{o,a,i,e} màssim{o,a,i,e} ùltim{o,a,i,e} sèdici dódici ùndici
trédici quattórdici quìndici tràffic{o,i} càric{o,a,hi,he} incàric{o,hi} ùnic{o,a,i,he} nàpoli
gènova bèrgamo mòdena pàdova càgliari tàranto rìmini ùdine pèsaro àfrica amèrica dèbit{o,i} sòliti
òspit{e,i} tràmite chìmic{o,a,i,he} fìsic{o,a,i,he} clàssic{o,a,i,he} pàgin{a,e} immàgin{e,i}
pìccol{o,a,i,e} sècol{o,i} artìcol{o,i} perìcol{o,i} spettàcol{o,i} rispòndere uccìdere succèdere
prèmere conòscere vìncere crèscere nàscere riconòscere règgere fàvol{a,e} nùvol{a,e} rìdere pòrtico
vògliono pòssono dévono
"""

_LATE_WORDS = """
periferì{a,e} polizì{a,e} pulizì{a,e} fantasì{a,e} poesì{a,e} cortesì{a,e} follì{a,e} bugì{a,e}
magì{a,e} farmacì{a,e} compagnì{a,e} energì{a,e} allergì{a,e} strategì{a,e} nostalgì{a,e} teorì{a,e}
categorì{a,e} armonì{a,e} ironì{a,e} malattì{a,e} garanzì{a,e} regì{a,e} vì{a,e} zì{a,e,o} mì{a,e,o}
dìo ìo sì{a,ano} pì{a,o} trìo addìo rìo avvìo invìo leggìo epidemì{a,e} anatomì{a,e} sinfonì{a,e}
spì{a,e} scì{a,e} tuttavìa paùr{a,e} amìc{o,a,i,he} nemìc{o,a,i,he} antìc{o,a,hi,he} fatìc{a,he}
formìc{a,he} vescìca rubrìc{a,he} federìco enrìco radìc{e,i} felìc{e,i} infelìc{e,i} vernìc{e,i}
cornìc{e,i} vedére rivedére prevedére avére dovére potére sapére volére piacére dispiacére tacére
godére cadére accadére sedére possedére tenére ottenére mantenére sostenére rimanére parére ritenére
contenére appartenére trattenére temére dovéri potéri piacéri persuadére valére dolére giacére
provvedére bére sér{a,e} vér{o,a,i,e} davvéro ovvéro intér{o,a,i,e} sincèr{o,a,i,e} impèro
sevèr{o,a,i,e} ministèr{o,i} mistèr{o,i} cimitèr{o,i} monastèr{o,i} bandièr{a,e} primavèr{a,e}
straniér{o,a,i,e} nicòla paròl{a,e} spagnòl{o,a,i,e} gól{a,e} sól{o,a,i,e} vól{o,i} pòl{o,i}
mòl{o,i} dìt{o,a} vìt{a,e} sìt{o,i} rìt{o,i} gradìt{o,a,i,e} capìt{o,a,i,e} uscìt{o,a,i,e}
salìt{o,a,i,e} partìt{o,a,i,e} ferìt{o,a,i,e} riuscìt{o,a,i,e} pulìt{o,a,i,e} colpìt{o,a,i,e}
vestìt{o,a,i,e} sentìt{o,a,i,e} finìt{o,a,i,e} seguìt{o,a,i,e} stupìt{o,a,i,e} marìt{o,i} regìn{a,e}
cucìn{a,e} mattìn{a,o,e} rovìn{a,e} vicìn{o,a,i,e} bambìn{o,a,i,e} giardìn{o,i} cittadìn{o,a,i,e}
contadìn{o,a,i,e} mulìn{o,i} cugìn{o,a,i,e} destìn{o,i} ragazzìn{o,a,i,e} spìn{a,e} lìne{a,e}
màn{o,i} perdóno abbandóno dón{o,i} suòn{o,i} tuòn{o,i} trón{o,i} sóno gentìl{e,i} sottìl{e,i}
aprìle cortìl{e,i} fucìl{e,i} civìl{e,i} maschìl{e,i} femminìl{e,i} prìm{o,a,i,e} cìm{a,e} rìm{a,e}
clìm{a,i} stìm{a,e} nìd{o,i} fìd{o,a} lìd{o,i} grìd{o,a} guìd{a,e,o} sfìd{a,e} grìgi{o,a,e} edifìci
uffìci benefìci nuòv{o,a,i,e} uòv{o,a} buòn{o,a,i,e} uòmo fuòco luògo giuòco cuòre fuòri vuòl{e,i}
vuòto può tuòi suòi temporàl{e,i} aeropòrt{o,i} evidènt{e,i} divìno bottìno cammìno vìno
fìn{o,e,a,i} sovràn{o,a,i,e} lontàn{o,a,i,e} tempèst{a,e} fórse quést{o,a,i,e} quéll{o,a,i,e} tréno
sógno légno ségno dégno régno bisógno vergógna montàgna pésc{e,i} pàsta
"""


def accented(word: str) -> str:
    """Return `word` with an accent on its stressed vowel, if that is known."""
    if re.search(r"[àèéìòóù]", word):
        return word
    if word in _WORDS:
        return _WORDS[word]
    if _HIATUS.search(word):
        return word[:-2] + _ACCENT[word[-2]] + word[-1]
    for start in range(1, len(word) - 1):
        ending = word[start:]
        if ending in _ENDINGS_WRITTEN:
            return word[:start] + _ENDINGS_WRITTEN[ending]
        if ending in _EARLY_ENDINGS and (vowel := _LAST_VOWEL.search(word[:start])):
            at = vowel.start()
            return word[:at] + _ACCENT[word[at]] + word[at + 1 :]
    return word


def _expand(table: str) -> list[str]:
    forms = []
    for entry in table.split():
        stem, brace, tails = entry.partition("{")
        forms += [stem + tail for tail in tails.rstrip("}").split(",")] if brace else [stem]
    return forms


_BARE = str.maketrans("àèéìòóù", "aeeioou")
_ACCENT = dict(zip("aeiou", "àèìòù", strict=True))
_LAST_VOWEL = re.compile(r"[aeiou](?=[^aeiou]*$)")
# mio, tua, sia: no other vowel can be stressed.
_HIATUS = re.compile(r"^(?![^aeiou]*[qcg]u?[iu])[^aeiou]*[iu][aeo]$")
_EARLY_ENDINGS = frozenset(_expand(_STRESS_BEFORE))
_ENDINGS_WRITTEN = {form.translate(_BARE): form for form in _expand(_ENDINGS)}
_WORDS = {form.translate(_BARE): form for form in _expand(_EARLY_WORDS) + _expand(_LATE_WORDS)}
