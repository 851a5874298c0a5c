"""French spelling → phonemes for one word: the rule table, and the words that no rule reads right.

In the table `V` stands for any vowel letter and `C` for any consonant letter. Stress, liaison and elision belong to
`french`.
"""

from collections.abc import Mapping

from vivavoce.models.kokoro.g2p.romance.rules import RuleTable, word_pairs, word_set

VOWEL_LETTERS = "aeiouyàâäéèêëîïôöùûüœ"
_CONSONANT_LETTERS = "bcçdfghjklmnpqrstvwxz"

_TABLE = """
# a
aient$                          ɛ
aill|(?<=[^gu])ail(?=s?$)       aj
ai[nm](?=$|[^aeiouyàâéèêëîïôùûhmn]|s$)  ɛ̃
(?<=[rd])ai$                    e
aî|ai                           ɛ
ay(?=V)                         ɛj
ay                              ɛ
au(?=r)                         ɔ
aux?$|auds?$|auts?$|au          o
aï                              ai
a(?:m(?=[bp])|n(?=$|[^aeiouyàâéèêëîïôùûhmn]))  ɑ̃
am(?=m)|an(?=n)                 a
à|â|a|ä                         a
# e
eaux?$|eau                      o
ei[nm](?=$|[^aeiouyàâéèêëîïôùûhmn]) ɛ̃
eill|eil(?=s?$)                 ɛj
ei|eî|ey                        ɛ
euill|euil(?=s?$)               œj
(?<=[cg])ueill|(?<=[cg])ueil(?=s?$) œj
^eu(?=r[oé])|eu(?=reu)          ø
eu(?=r|l|f|v|n(?!t)|p|bl|gl|il) œ
eû|eux?$|euds?$|eu              ø
(?<=^)en(?=n[ui]|iv|or)         ɑ̃n
^em(?=m)                        ɑ̃
(?<=[iyé])en(?=$|s$|t$|n?d)     ɛ̃
(?<=i)en(?=c[eé])               ɑ̃
en$|ens$                        ɛ̃
e(?:m(?=[bp])|n(?=$|[^aeiouyàâéèêëîïôùûhmn])) ɑ̃
e(?=mment)                      a
er(?=s?$)                       e
ez$                             e
et(?=s?$)                       ɛ
(?<=V)es?$|(?<=V)e(?=ment|ra|ri|ro) -
(?<=C)es?$                      -
(?<=g)e(?=[aouâôi])             -
e(?=oi)                         -
(?<=^d)e(?=ss[uo])|(?<=^r)e(?=ss[eo]) ə
^ex(?=V|h)                      ɛɡz
e(?=chn)                        ɛ
exc(?=[eiéèê])                  ɛks
ex                              ɛks
e(?=ll|tt|nn|mm|rr|ff|cc|pp|ss|sc[eiéèê]|gg|zz|dd|bb) ɛ
e(?=[rlsctpnmdbgxvfkz][^aeiouyàâéèêëîïôùûrlh]) ɛ
e(?=[rls][rlh])                 ɛ
e(?=[cflkbdgmnpqrt]$|rd$|rt$|rs$) ɛ
(?<=[aeiouyéèêàâôûî][bcdfgjklmnpqrstvzç])e(?=[bcdfgjklmnpqrstvzçh]V) -
(?<=[aeo]n[lvstçdg])e(?=[bcdfgmntvl]V)|(?<=nch)e(?=ment) -
(?<=[aeiouyéèêàâôûî](?:ss|ch|ll|mm|nn|pp|tt|qu|gn|rr|ph|ff))e(?=[bcdfgjklmnpqrstvzç]V) -
e                               ə
é|ée?s?$                        e
è|ê|ë                           ɛ
# i
(?<=^v|^m|^l)ill                il
^ill                            il
(?<=qu|st|sc)ill                il
(?<=[bcdfghjklmnprstvzç])ill    ij
(?<=u)ill(?!$)                  ij
ien(?=$|s$|dr)                  jɛ̃
(?<=[bcdfgptv][lr])i(?=V)       i
(?<=[vt])ien(?=ts?$)            jɛ̃
(?<=[cd])ien(?=ts?$)            jɑ̃
i(?=es?$|ent$)                  i
[iïî]n(?=$|[^aeiouyàâéèêëîïôùûhmn])|[iïî]m(?=[bp]) ɛ̃
(?<=[aeouéàôœ])ï(?=V)           j
i(?=[aeouéèêàâôœy])             j
i|î|ï                           i
# o
oin(?=$|[^aeiouyàâéèêëîïôùûhmn]) wɛ̃
oêl                             wal
oi|oî|oix$                      wa
oy(?=V)                         waj
ouill|ouil$                     uj
ou(?=[aeiéèêî](?!s?$|nt$))      w
oux?$|oup(?=s?$)|ou|où|oû       u
œu(?=[rfvl])                    œ
œux?$|œu                        ø
œ(?=il)                         œ
œ                               e
oo                              u
on(?=$|[^aeiouyàâéèêëîïôùûhmn])|om(?=[bp]|te)|om$|oms$ ɔ̃
o(?=s?$|ts?$|s[ei]|sé|ps?$|tion|z) o
ô|ö                             o
o(?=(?:[bcdfgklmnpqrst][bcdfgjklmnpqrstvzçhx]|[bcdfgklmnpqrstv]e?s?$|rr|[klmnr]e)) ɔ
o                               o
# u
(?<=[gq])u(?=[eiéèêëîïyœ])      -
(?<=q)u                         -
un(?=$|[^aeiouyàâéèêëîïôùûhmn])|um(?=[bp]) œ̃
um$                             ɔm
u|û|ù|ü                         y
# y
y[nm](?=[^aeiouyàâéèêëîïôùûhmn]) ɛ̃
y(?=V)                          j
y                               i
# consonants
bb                              b
(?<=m)bs?$                      -
b(?=[st])                       p
b                               b
cch|(?<=e)ch(?=n)|ch(?=[rl])|(?<=psy)ch|(?<=or)ch(?=[eiéi]s?t|id)|(?<=é)ch(?=o)|(?<=ar)ch(?=éo|a) k
sch|ch                          ʃ
cc(?=[eiéèêëîïy])               ks
cqu|cc|ck                       k
ç|c(?=[eiéèêëîïyœ])             s
(?<=n)cs?$                      -
(?<=inc|spe)ts?$                -
(?<=n)ct(?=s?$)                 -
(?<=spe)ct(?=s?$)               -
c                               k
dd                              d
ds?$                            -
d                               d
ff                              f
f                               f
gn                              ɲ
gg(?=[eéi])                     ɡʒ
gg                              ɡ
g(?=[eiéèêëîïy])                ʒ
(?<=[nr])gs?$                   -
(?<=n)g(?=t)                    -
g                               ɡ
h                               -
j                               ʒ
k                               k
ll|l                            l
mm|m                            m
nn|n                            n
ph                              f
pp                              p
(?<=om)p(?=t)|(?<=^se)p(?=t)|(?<=^ba)p(?=t)|(?<=cul)p(?=t) -
(?<=[iec])p(?=ts?$)             p
ps?$                            -
p                               p
q                               k
rr|rh|r                         ʁ
sh                              ʃ
ss$|ss                          s
sc(?=[eiéèêîïy])                s
(?<=tran)s(?=V)                 z
(?<=V)s(?=V|h?V)                z
s$                              -
s                               s
tth|th                          t
tt                              t
(?<=[^sx])t(?=ion)              s
(?<=ini)t(?=ia)                 s
(?<=[^sx])t(?=i(?:els?|elles?|ale?s?|aux|eux|euses?|ence|enc)) s
(?<=[^sx])t(?=iem?ment|iel|ial|ieu) s
(?<=cra)t(?=ie)                 s
(?<=[cs])ts?$|(?<=[iec]p)ts?$   t
ts?$                            -
t                               t
v                               v
w                               w
^x                              ɡz
(?<=soi)x                       s
(?<=^di|^si)x(?=i)|(?<=deu)x(?=i) z
x$                              -
x                               ks
zz|z(?!$)                       z
z$                              -
""".replace("V", f"[{VOWEL_LETTERS}]").replace("C", f"[{_CONSONANT_LETTERS}]")

RULES = RuleTable.parse(_TABLE)

# Words read otherwise than the rules say, without their stress.
WORDS: Mapping[str, str] = word_pairs(
    """
    a=a à=a as=a y=i en=ɑ̃ et=e est=ɛ es=ɛ ai=e eu=y eus=y eut=y eue=y eues=y eurent=yʁ un=œ̃ les=le des=de
    mes=me tes=te ses=se ces=se le=lə de=də je=ʒə me=mə te=tə se=sə ce=sə ne=nə que=kə monsieur=məsjø
    messieurs=mesjø femme=fam femmes=fam solennel=solanɛl second=səɡɔ̃ seconde=səɡɔ̃d secondes=səɡɔ̃d
    secondaire=səɡɔ̃dɛʁ ville=vil villes=vil village=vilaʒ villages=vilaʒ mille=mil tranquille=tʁɑ̃kil
    pupille=pypil million=miljɔ̃ millions=miljɔ̃ milliard=miljaʁ milliards=miljaʁ millier=milje
    milliers=milje aiguille=eɡyij aiguilles=eɡyij examen=ɛɡzamɛ̃ pays=pei paysage=peizaʒ paysages=peizaʒ
    paysan=peizɑ̃ abbaye=abei oignon=ɔɲɔ̃ oignons=ɔɲɔ̃ automne=otɔn condamner=kɔ̃dane condamné=kɔ̃dane
    sept=sɛt septième=sɛtjɛm temps=tɑ̃ longtemps=lɔ̃tɑ̃ printemps=pʁɛ̃tɑ̃ corps=kɔʁ huit=yit cinq=sɛ̃k
    neuf=nœf plus=ply os=ɔs fils=fis mars=maʁs ours=uʁs hier=jɛʁ mer=mɛʁ mers=mɛʁ cher=ʃɛʁ chers=ʃɛʁ
    hiver=ivɛʁ hivers=ivɛʁ fer=fɛʁ fers=fɛʁ enfer=ɑ̃fɛʁ ver=vɛʁ vers=vɛʁ amer=amɛʁ divers=divɛʁ
    univers=ynivɛʁ travers=tʁavɛʁ envers=ɑ̃vɛʁ cancer=kɑ̃sɛʁ super=sypɛʁ clef=kle clefs=kle nerf=nɛʁ
    cerf=sɛʁ donc=dɔ̃k tabac=taba estomac=estoma porc=pɔʁ net=nɛt but=byt buts=byt août=ut sud=syd nord=nɔʁ
    ouest=wɛst test=tɛst tests=tɛst fait=fɛ faisait=fəzɛ faisaient=fəzɛ faisons=fəzɔ̃ faisant=fəzɑ̃
    chaos=kao chœur=kœʁ écho=eko initial=inisjal patience=pasjɑ̃s question=kɛstjɔ̃ œufs=ø bœufs=bø haïr=aiʁ
    sens=sɑ̃s hélas=elas maïs=mais virus=viʁys bus=bys autobus=otobys campus=kɑ̃pys atlas=atlas bonus=bonys
    tennis=tenis jadis=ʒadis oasis=oazis iris=iʁis tous=tu gaz=ɡaz jazz=dʒaz quiz=kwiz gentil=ʒɑ̃ti
    fusil=fyzi outil=uti outils=uti sourcil=suʁsi parfum=paʁfœ̃ parfums=paʁfœ̃ index=ɛ̃dɛks
    aquarium=akwaʁjɔm équateur=ekwatœʁ quatuor=kwatyɔʁ aujourd'hui=oʒuʁdyi wagon=vaɡɔ̃ wagons=vaɡɔ̃ yeux=jø
    vingt=vɛ̃ cent=sɑ̃ cents=sɑ̃ quatre-vingts=katʁəvɛ̃ ennemi=ɛnmi ennemis=ɛnmi client=kliɑ̃ clients=kliɑ̃
    chrétien=kʁetjɛ̃ bien=bjɛ̃ rien=ʁjɛ̃ club=klœb clubs=klœb week=wik end=ɛnd weekend=wikɛnd leader=lidœʁ
    football=futbol email=imɛl mail=mɛl mails=mɛl web=wɛb internet=ɛ̃tɛʁnɛt euro=øʁo euros=øʁo dessus=dəsy
    dessous=dəsu dehors=dəɔʁ gens=ʒɑ̃ ils=il elles=ɛl elle=ɛl jus=ʒy abus=aby refus=ʁəfy respect=ʁɛspɛ
    aspect=aspɛ aspects=aspɛ suspect=syspɛ zinc=zɛ̃ɡ cap=kap stop=stop handicap=ɑ̃dikap slip=slip clip=klip
    top=tɔp basket=baskɛt ticket=tikɛ tickets=tikɛ granit=ɡʁanit brut=bʁyt dot=dɔt mœurs=mœʁs lis=lis
    alcool=alkɔl zoo=zo moyen=mwajɛ̃ moyens=mwajɛ̃ citoyen=sitwajɛ̃ européen=øʁopeɛ̃ européens=øʁopeɛ̃
    lycéen=liseɛ̃ noël=noɛl israël=isʁaɛl poêle=pwal bruxelles=bʁysɛl paris=paʁi londres=lɔ̃dʁ
    espagnol=espaɲɔl ciel=sjɛl hôtel=otɛl appel=apɛl sel=sɛl patient=pasjɑ̃ patients=pasjɑ̃
    impatient=ɛ̃pasjɑ̃ pied=pje pieds=pje jean=ʒɑ̃ jeans=dʒin eh=e hyper=ipɛʁ lesquels=lekɛl
    lesquelles=lekɛl desquels=dekɛl desquelles=dekɛl auxquels=okɛl auxquelles=okɛl conscient=kɔ̃sjɑ̃
    express=ɛkspʁɛs inconscient=ɛ̃kɔ̃sjɑ̃ foot=fut celsius=sɛlsjys design=dizajn the=zə
    """
)

# Nouns and adjectives in -ent; every other word in -ent (but -ment) is a verb of the third person plural: silent.
SPOKEN_ENT = word_set(
    """
    vent auvent argent agent agents dent dents accident accidents content contents mécontent souvent lent lents
    client parent parents présent présents absent absents récent récents innocent innocents accent accents
    adolescent adolescents décent cent cents pour-cent talent talents excellent excellents violent violents
    insolent équivalent polyvalent permanent permanents éminent imminent continent continents pertinent
    différent différents concurrent concurrents apparent transparent transparents cohérent évident évidents
    président présidents prudent prudents incident incidents précédent précédents résident résidents occident
    urgent urgents intelligent intelligents fréquent fréquents éloquent conséquent compétent compétents patient
    patients impatient orient ingrédient ingrédients inconvénient inconvénients quotient récipient
    récipients expédient efficient coefficient conscient inconscient escient couvent torrent torrents serpent
    serpents détergent contingent négligent exigent exigents arpent indécent récurrent sous-jacent
    adjacent sergent gent client clients
    """
)
SILENT_MENT = word_set(
    """
    aiment dorment forment ferment nomment consomment estiment expriment affirment confirment animent arment
    fument résument assument consument informent transforment déforment programment réclament proclament
    déclament enflamment impriment suppriment dépriment rythment allument blâment entament filment calment
    """
)

ASPIRATED_H = word_set(
    """
    haut haute hauts hautes hauteur hasard hasards héros honte huit huitième haricot haricots hibou hall halte
    hamac hanche handicap hareng harpe hausse hors houle hurler hache haie haine hangar hanter harnais hérisson
    hernie hêtre heurter homard hoquet housse hublot hutte hollande hongrie hollandais hongrois hip halle halles
    hockey hamster hamburger hobby holding hisser haïr harceler harcèlement hiérarchie hauteurs onze onzième oui
    yaourt yacht yoga ouistiti un-demi uhlan
    """
)
