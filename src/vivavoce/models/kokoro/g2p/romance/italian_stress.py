"""Find the stress of Italian words whose spelling does not show it.

- Whole words are looked up first, then endings, the longest first.
- Some endings have the stress on the vowel before them: *poss-i-bile*.
- The other endings, and the words, are listed with the accent they are spoken with.
- è and ò are open vowels, é and ó closed ones.
- This module knows no phonemes.
"""

import re

from vivavoce.models.kokoro.g2p.romance.rules import word_set

_STRESS_BEFORE = """
bil{e,i} ssim{o,a,i,e} tic{o,a,i,he,hi} fic{o,a,i,he,hi} nic{o,a,i,he} ric{o,a,i,he} lic{o,a,i,he}
dic{o,a,i,he} sic{o,a,i,he} mic{o,a,i,he} gic{o,a,i,he} pic{o,a,i,he} vic{o,a,i,he} bic{o,a,i,he}
cere vere dere gere tere mere pere bere guere vol{e,i} col{o,a,i,e} gol{o,a,i,e} tol{o,a,i,e}
bol{o,a,i,e} pol{o,i} vol{o,i} ner{e,i} ber{o,a,i,e} ter{a,e} mer{o,a,i,e} per{a,o} cono gono dono
vono tono scono ngono guono mono pono ssero bbero ttero nnero sero dero rono vano nano gano cano
dano ciano giano gliano chiano tano bano pano mano ssano zzano rlano rano bbiano ppiano gin{e,i,a}
min{e,i,a} din{e,i} tim{o,a,i,e} nim{o,a,i,e} pid{o,a,i,e} mid{o,a,i,e} cid{o,a,i,e} lid{o,a,i,e}
vid{o,a,i,e} gid{o,a,i,e} quid{o,a,i,e} bit{o,i} sit{o,a,i,e} cit{o,a,i,e} log{o,hi,a,he}
graf{o,i,a} sof{o,i} fon{o,i} metr{o,i} mil{e,i} cil{e,i} til{e,i} tesi lisi ndol{o,a,i,e} gam{o,a}
vide tide ndosi ndomi ndoti ndovi ndoci dersi tersi gersi dermi termi germi derti dergli tergli
derci terci derlo terlo gerlo derla terla gerla derli terli derle terle vervi vermi ndil{o,a}
ttil{o,a}
"""

_ENDINGS = """
ménte étt{o,a,i,e} ézz{a,e} és{e,i} ón{e,i} ós{o,a,i,e} ór{e,i} év{a,o,i,ano} ént{o,a,i} ìn{o,a,i,e}
àn{o,a,i,e} ènt{e,i} ènz{a,e} èll{o,a,i,e} ièr{e,i,o,a} uòl{a,e,o,i} ònn{o,a,i,e} èndo èst{o,a,i,e}
òlt{o,a,i,e} erì{a,e} logì{a,e} grafì{a,e} nomì{a,e} sofì{a,e} crazì{a,e} patì{a,e} metrì{a,e}
archì{a,e} scopì{a,e} manì{a,e} fobì{a,e} àne{o,a,i,e} ésim{o,a,i,e} àmo{lo,la,li,le,ci,gli}
ìac{o,a,i,he} àiono òiono ìfer{o,a,i,e} àic{o,a,i,he} òid{e,i} àte{mi,ci,vi,gli,lo,la,li,le}
ìte{mi,ci,vi,gli,lo,la,li,le} éte{mi,ci,vi,gli,lo,la,li,le} ibìt{o,a,i,e} uisìt{o,a,i,e} tidùe tadùe
ecìd{o,a,i,e} ccìd{o,a,i,e} icìd{a,e} oincìd{e,a} divìd{o,a,i,e}
"""

_EARLY_WORDS = """
matèri{a,e} misèri{a,e} artèri{a,e} pòlvere piòvere mùsic{a,he} nùmer{o,i} pòver{o,a,i,e} càmer{a,e}
òper{a,e} lètter{a,e} sùbito gióvan{e,i} tàvol{o,a,i,e} màcchin{a,e} làcrim{a,e} zùccher{o,i}
tèner{o,a,i,e} àlber{o,i} lìber{o,a,i,e} gèner{e,i,a,o} cénere venerdì sàbat{o,i} doménic{a,he}
ànim{a,e,o,i} ìsol{a,e} penìsol{a,e} àngel{o,i,a} mèdic{o,i,a,he} sìndac{o,i} stòmac{o,hi}
crédit{o,i} mèrit{o,i,a,ano} spìrit{o,i} sòlit{o,a,i,e} órdin{e,i,a,o,ano} màrgin{e,i} fàscino
àsin{o,i} càrcer{e,i} lìmit{e,i,a,ano} fràgol{a,e} càpit{a,ano} àbit{a,o,i,ano} fémmin{a,e}
telèfon{o,i,a,ano} cìnema èsser{e,si,ci,lo,mi,ti,ne,i} benèssere èrano rappresèntano dòllar{o,i}
èsit{o,i} màscher{a,e} ùmid{o,a,i,e} pèrdit{a,e} véndit{a,e} vìsit{a,e,o,i,ano} nàscit{a,e}
créscit{a,e} àttim{o,i} règol{a,e} sìngol{o,a,i,e} àngol{o,i} scégliere tògliere cògliere accògliere
raccògliere sciògliere còmpiere cón{o,i} unànime nòbil{e,i} mòbil{e,i} fàcil{e,i} diffìcil{e,i}
pròssim{o,a,i,e} màssim{o,a,i,e} ùltim{o,a,i,e} sèdici dódici ùndici trédici quattórdici quìndici
tràffic{o,i} càric{o,a,hi,he} incàric{o,hi} ùnic{o,a,i,he} nàpoli gènova bèrgamo mòdena pàdova
càgliari tàranto rìmini ùdine pèsaro àfrica amèrica dèbit{o,i} òspit{e,i,a,o} tràmite
chìmic{o,a,i,he} fìsic{o,a,i,he} clàssic{o,a,i,he} pàgin{a,e} immàgin{e,i,o,a} pìccol{o,a,i,e}
sècol{o,i} artìcol{o,i} perìcol{o,i} spettàcol{o,i} rispòndere uccìdere succèdere prèmere conòscere
vìncere crèscere nàscere riconòscere règgere fàvol{a,e} nùvol{a,e} rìdere pòrtico vògliono pòssono
dévono perìod{o,i} mètod{o,i} còdic{e,i} sémplic{e,i} cómplic{e,i} dùplic{e,i} àre{a,e}
aère{o,a,i,e} èur{o,i} vìde{o} làure{a,e} nùcle{o,i} idòne{o,a,i,e} nàuse{a,e} sottolìne{a,o}
esèrcit{o,i} fenòmen{o,i} giùdic{e,i} prìncip{e,i} vènet{o,a,i,e} svìzzer{o,a,i,e} òrgan{o,i}
stèfano véscov{o,i} arcivéscov{o,i} córrere ricórrere percórrere scórrere trascórrere occórrere
dibàttit{o,i} indivìdu{o,i} crònac{a,he} prèstit{o,i} contìnu{o,a,i,e,ano} fórmul{a,e} séguono
èster{o,i,a} cèsare ìndic{e,i,ano} còmod{o,a,i,e} caràtter{e,i} olimpìadi vénnero antìcip{o,i,a}
desìder{a,o,i} consìder{a,o,i} cèlebr{e,i,a} èlena giàcomo cèllul{a,e} fàrmac{o,i} mònac{o,i,a,he}
scàndal{o,i} partécip{a,o,i,e} sìntom{o,i} splèndid{o,a,i,e} àugur{o,a} bàrbara àrab{o,a,i,e}
pròfug{o,hi} àquil{a,e} diàgnosi gènesi fécero fégat{o,i} màntova ìncub{o,i} òccup{a,o,i}
preòccup{a,o,i} mòdul{o,i} vìgil{e,i} distìnguere autònom{o,a,i,e} cànon{e,i} sìndrom{e,i}
òbblig{o,a,hi} chiàcchier{e,a,o} brìndisi védov{a,o,e,i} ossìgeno idrògeno rèddit{o,i} vèrtic{e,i}
diòcesi pròvoc{a,o,ano} sàtir{a,e} càlibr{o,i} tràppol{a,e} dìsput{a,e} èttar{o,i} èttore giròlamo
dècim{o,a,i,e} intèrpret{e,i,a} tèsser{a,e} fràgil{e,i} prèsid{e,i} àdige àrbitr{o,i}
indìgen{o,a,i,e} lìgur{e,i} mìssil{e,i} cadàver{e,i} càttedr{a,e} metàfor{a,e} màrtir{e,i}
pàrroc{o,i} ocèan{o,i} tràpani tèramo vòmito èvit{a,o,i,ano} sàssari stereòtip{o,i} protòtip{o,i}
clàusol{a,e} cùpol{a,e} lìbano elicòtter{o,i} òbbliga pècor{a,e} pìllol{a,e} làmpad{a,e}
pontéfic{e,i} bùfal{o,a,i,e} cùcciol{o,a,i,e} mìser{o,a,i,e} collàbor{a,o,ano} fòssil{e,i}
rèvoc{a,o} ricòver{o,i} stìmol{o,i,a} jàcopo pròrog{a,he} ipòcrit{a,i} plàtino catàstrof{e,i}
pòllic{e,i} recìproc{o,a,i,he} còniug{e,i} dèleg{a,o,he} fùnebr{e,i} sciòper{o,i,a,ano} àpic{e,i}
càlic{e,i} càndid{o,a,i,e} mórbid{o,a,i,e} pìzzic{o,hi,a} tènebr{e,a} nòmad{e,i} tèssil{e,i}
òrfan{o,a,i,e} vàlvol{a,e} bàrbar{o,a,i,e} òrbit{a,e} supèrstit{e,i} bàttit{o,i} càpsul{a,e}
zìngar{o,a,i,e} confratèrnit{a,e} cristòforo gómit{o,i} psicòlogi biòlogi inèdit{o,a,i,e}
rènder{e,si,lo,la} ìdol{o,i} stèril{e,i} suòcer{o,a,i,e} còller{a,e} èpoc{a,he} ìntegr{a,o,i,e}
ùlcer{a,e} bìbit{a,e} màndorl{a,e} ànatr{a,e} basìlico sèdan{o,i} zénzero prezzémolo pòrpora èdera
àlgebra fòsforo màmmol{a,e} còccol{a,e} pèttin{e,i} lùcciol{a,e} lèpr{e,i} crédimi créderci scùsami
scùsi ricòrdati figùrati perdónami aspèttami ascóltami guàrdami fìdati èccomi èccoci éccol{o,a,i,e}
fàrcela fàrsela andàrsene andàrmene vàttene gratùit{o,a,i,e} circùit{o,i} intùit{o,i} flùid{o,a,i,e}
sèri{a,e,o} fèri{a,e} nigèria algèria valèria sibèria ibèria macèri{a,e} germània spècie àustria
inìziano ringràziano òdiano stùdiano testimòniano càmbiano scàmbiano vàriano ùsano pènsano àlzano
àmano vólano rivèlano regàlano contròllano créano mùtu{o,i} resìdu{o,i} sacrìficano divèntano
òperano sùperano consìderano desìderano àpplicano pùbblicano verìficano comùnicano dimènticano
signìficano fàbbricano òccupano preòccupano partécipano rèndit{a,e} pòlizz{a,e} démon{e,i} muòversi
iscrìversi esprìmersi àutobus cómpit{o,i} fèstival tèrminal ìtalo còsimo dàvide sàtana cùneo
pàol{o,a} cànada pòker zàin{o,i} dàin{o,i} bàit{a,e} scoiàttol{o,i}
"""

_LATE_WORDS = """
periferì{a,e} polizì{a,e} pulizì{a,e} fantasì{a,e} poesì{a,e} cortesì{a,e} follì{a,e} bugì{a,e}
magì{a,e} farmacì{a,e} compagnì{a,e} energì{a,e} allergì{a,e} strategì{a,e} nostalgì{a,e} teorì{a,e}
categorì{a,e} armonì{a,e} ironì{a,e} malattì{a,e} garanzì{a,e} regì{a,e} vì{a,e} zì{a,e,o} mì{a,e,o}
dìo ìo sì{a,ano} pì{a,o} trìo addìo rìo avvìo invìo leggìo epidemì{a,e} anatomì{a,e} sinfonì{a,e}
spì{a,e} scì{a,e} tuttavìa agenzì{a,e} terapì{a,e} pavìa lombardìa turchìa marìa bulgarìa tunisìa
ferrovì{a,e} fattorì{a,e} parodì{a,e} gelosì{a,e} ipocrisì{a,e} pazzì{a,e} etnì{a,e} dinastì{a,e}
signorì{a,e} allegrì{a,e} borghesì{a,e} prigionì{a,e} giurì{a,e} scrivanì{a,e} mattìa badìa elìa
corsì{a,e} telefonì{a,e} profezì{a,e} utopì{a,e} melodì{a,e} diplomazì{a,e} anomalì{a,e} eutanasìa
rinvìo invì{a,i} avvì{a,i} paùr{a,e} baùl{e,i} amìc{o,a,i,he} nemìc{o,a,i,he} antìc{o,a,hi,he}
fatìc{a,he} formìc{a,he} vescìca rubrìc{a,he} federìc{o,a} enrìc{o,a} ludovìc{o,a} radìc{e,i}
felìc{e,i} infelìc{e,i} vernìc{e,i} cornìc{e,i} cicatrìc{e,i} attrìc{e,i} scrittrìc{e,i}
lavatrìc{e,i} vedére rivedére prevedére avére dovére potére sapére volére piacére dispiacére tacére
godére cadére accadére sedére possedére tenére ottenére mantenére sostenére rimanére parére ritenére
contenére appartenére trattenére temére dovéri potéri piacéri persuadére valére dolére giacére
provvedére bére vedér{si,lo,la,li,le,ci,mi,ti,vi} sedérsi godér{si,lo} cadérci potér{lo,la,si,ci}
sér{a,e} vér{o,a,i,e} davvéro ovvéro intér{o,a,i,e} sincèr{o,a,i,e} impèro sevèr{o,a,i,e}
ministèr{o,i} mistèr{o,i} cimitèr{o,i} monastèr{o,i} bandièr{a,e} primavèr{a,e} straniér{o,a,i,e}
bufèr{a,e} ingegnèr{e,i} paròl{a,e} nicòla spagnòl{o,a,i,e} gól{a,e} sól{o,a,i,e} vól{o,i} pòl{o,i}
mòl{o,i} pistòl{a,e} dìt{o,a} vìt{a,e} sìt{o,i} rìt{o,i} quesìt{o,i} parassìt{a,i} smarrìt{o,a,i,e}
uscìt{o,a,i,e} riuscìt{o,a,i,e} cucìt{o,a,i,e} regìn{a,e} cucìn{a,e} mattìn{a,o,e} rovìn{a,e}
vicìn{o,a,i,e} bambìn{o,a,i,e} giardìn{o,i} cittadìn{o,a,i,e} concittadìn{o,a,i,e} contadìn{o,a,i,e}
mulìn{o,i} cugìn{o,a,i,e} destìn{o,i} ragazzìn{o,a,i,e} vagìn{a,e} cammìn{o,a,i} ucraìn{o,a,i,e}
spìn{a,e} lìne{a,e} màn{o,i} perdóno abbandóno dón{o,i} suòn{o,i} tuòn{o,i} trón{o,i} sóno
gentìl{e,i} sottìl{e,i} aprìle cortìl{e,i} fucìl{e,i} civìl{e,i} maschìl{e,i} femminìl{e,i}
infantìl{e,i} ostìl{e,i} prìm{o,a,i,e} cìm{a,e} rìm{a,e} clìm{a,i} stìm{a,e} autostìma nìd{o,i}
fìd{o,a} lìd{o,i} grìd{o,a} guìd{a,e,o} sfìd{a,e} grìgi{o,a,e} edifìci uffìci benefìci sacrifìci
artifìci superfìci superfìcie nuòv{o,a,i,e} uòv{o,a} buòn{o,a,i,e} uòmo fuòco luògo giuòco cuòre
fuòri vuòl{e,i} vuòto può tuòi suòi temporàl{e,i} aeropòrt{o,i} evidènt{e,i} divìno bottìno vìno
fìn{o,e,a,i} sovràn{o,i} lontàn{o,i} tempèst{a,e} fórse quést{o,a,i,e} quéll{o,a,i,e} tréno sógno
légno ségno dégno régno bisógno vergógna montàgna pésc{e,i} pàsta ubriàc{o,a,hi,he} americàno
africàno messicàno repubblicàno vaticàno domenicàno anglicàno sudamericàno toscàno vulcàno pellicàno
capitàno napoletàno metropolitàno puritàno urbàno cubàno umàno disumàno romàno ottomàno germàno
talismàno coràno muràno giordàno lugàno divàno invàno parmigiàno artigiàno partigiàno luciàno
tutèl{a,e} sistèm{a,i} esàm{e,i} legàm{e,i} sultàno metàno musulmàno gaetàno napolitàno
avér{lo,la,li,le,ci,mi,ti,vi} sapér{lo,la,ne} volér{lo,la,ci,ne} avér potér dovér volér sapér vedér
tenér godér sedér piacér rimanér ottenér mantenér cadér quartièr seppùr hotèl castèl
"""

# Words that end in a consonant as foreign ones do, with the stress not on the last syllable.
_FOREIGN = word_set(
    """
    festival monitor editor sponsor social musical radar tutor junior senior dollar personal digital
    national international motor nectar
    """
)


def accented(word: str) -> str:
    """Return `word` with an accent on its stressed vowel, if that is known."""
    if re.search(r"[àèéìòóù]", word):
        return word
    if word in _WORDS:
        return _WORDS[word]
    if _CUT.search(word) and _LAST_VOWEL.search(word[:-2]) and word not in _FOREIGN:
        return word[:-2] + _ACCENT[word[-2]] + word[-1]
    if _HIATUS.search(word):
        return word[:-2] + _ACCENT[word[-2]] + word[-1]
    for start in range(1, len(word) - 1):
        ending = word[start:]
        if ending in _ENDINGS_WRITTEN:
            return word[:start] + _ENDINGS_WRITTEN[ending]
        if ending in _EARLY_ENDINGS and (vowel := _LAST_VOWEL.search(word[:start])):
            at = vowel.start() - (word[vowel.start() - 1 : vowel.start() + 1] in ("au", "eu"))
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
# andar, signor, nessun: a word without its last vowel keeps its stress.
_CUT = re.compile(r"(?:[aio]r|al|un)$")
# mio, tua, sia: no other vowel can be stressed.
_HIATUS = re.compile(r"^(?![^aeiou]*[qcg]u?[iu])[^aeiou]*[iu][aeo]$")
_EARLY_ENDINGS = frozenset(_expand(_STRESS_BEFORE))
_ENDINGS_WRITTEN = {form.translate(_BARE): form for form in _expand(_ENDINGS)}
_WORDS = {form.translate(_BARE): form for form in _expand(_EARLY_WORDS) + _expand(_LATE_WORDS)}
