"""Read one French word by a table of spelling rules and by its ending.

Stress, liaison and elision belong to `french`, words that no rule reads right to `french_words`. In
the table `V` stands for any vowel letter, `C` for any consonant letter, and `N` for the end of the
word or a letter that leaves the vowel before it nasal.
"""

import re

from vivavoce.models.kokoro.g2p.romance.french_words import (
    SILENT_MENT,
    SPOKEN_ENT,
    SPOKEN_ER,
    SPOKEN_LAST,
    WORDS,
)
from vivavoce.models.kokoro.g2p.romance.rules import RuleTable

VOWEL_LETTERS = "aeiouyàâäéèêëîïôöùûüœ"
_CONSONANT_LETTERS = "bcçdfghjklmnpqrstvwxz"
_NASAL = "(?=$|[^aeiouyàâéèêëîïôùûœhmn])"

_TABLE = (
    """
# a
aient$                          ɛ
aill|(?<![gu])ail(?=s?$)        aj
(?<=f)ai(?=s(?:ai|on|an|ab|i[eo])) ə
ai[nm]N                         ɛ̃
(?<=[rd])ai$                    e
aî|ai                           ɛ
ay(?=s)                         ɛi
(?<=[bm])ay(?=onn)|(?<=k)ay(?=ak) aj
ay(?=V)                         ɛj
ay                              ɛ
^au(?=r(?:a|ai|as|aient|ait|ais|ez|iez|ions|ons|ont)$) o
aults?$                         o
au(?=r)                         ɔ
aux?$|auds?$|auts?$|au          o
aï(?=V|$)                       aj
aï                              ai
a(?:m(?=[bp])|nN)               ɑ̃
am(?=m)|an(?=n)                 a
à|â|a|ä                         a
# e
eaux?$|eau                      o
ei[nm]N                         ɛ̃
eill|eil(?=s?$)                 ɛj
ei|eî|ey                        ɛ
euill|euil(?=s?$)               œj
(?<=[cg])ueill|(?<=[cg])ueil(?=s?$) œj
^eu(?=r[oé])|eu(?=reu)          ø
eu(?=r|l|f|il)|(?<=^j)eu(?=n)   œ
^eû                             y
eû|eux?$|euds?$|eu              ø
^en(?=n[uo])                    ɑ̃
^en(?=iv|or|am)                 ɑ̃n
^em(?=man)                      ɛ
^em(?=m)                        ɑ̃
(?<=[iyé])en(?=$|s$|t$|n?d)     ɛ̃
(?<=i)en(?=c[eé])               ɑ̃
(?<=C)ens$                      ɑ̃
(?<=C)en$                       ɛn
en$|ens$                        ɛ̃
e(?:m(?=[bp])|nN)               ɑ̃
^e(?=ff|ss)                     e
^e(?=[bcdfghjklmnprstvz]V|[bcdfgptv][rlh]V) e
e(?=mment)                      a
(?<=v)ers$                      ɛʁ
(?<=^int|^hyp|^sup)er(?=[auo])  ɛʁ
er(?=s?$)                       e
ez$                             e
et(?=s?$)                       ɛ
(?<=V)es?$|(?<=V)e(?=ment|ra|ri|ro) -
(?<=C)es?$                      -
(?<=g)e(?=[aouâôi])             -
e(?=oi)                         -
(?<=^d)e(?=ss[uo])|(?<=^r)e(?=ss[eo]) ə
^ex(?=V|h)                      ɛɡz
(?<=^in)ex(?=V|h)|(?<=^h)ex(?=a)|(?<=é)ex(?=a) ɛɡz
e(?=chn)                        ɛ
exc(?=[eiéèê])                  ɛks
ex                              ɛks
(?<=aint)e(?=n)|(?<=ang)e(?=r)  -
e(?=ll|tt|nn|mm|rr|ff|cc|pp|ss|sc[eiéèê]|gg|zz|dd|bb) ɛ
e(?=[rlsctpnmdbgxvfkz][^aeiouyàâéèêëîïôùûrlh]) ɛ
e(?=[rls][rlh])                 ɛ
e(?=[cflkbdgmnpqrt]$|rd$|rt$|rs$|ph$) ɛ
e(?=[lrnm]i[aeéèou])            ə
(?<=[aeiouyéèêàâôûî][bcdfgjklmnpqrstvzç])e(?=[bcdfgjklmnpqrstvzçh]V) -
(?<=[aeo]n[lvstcçdg])e(?=[bcdfgmntvl]V)|(?<=nch)e(?=ment) -
(?<=[aeiouyéèêàâôûî](?:ss|ch|ll|mm|nn|pp|tt|qu|gn|rr|ph|ff))e(?=[bcdfgjklmnpqrstvzç]V) -
e                               ə
é|ée?s?$                        e
è|ê|ë                           ɛ
# i
(?<=chev)ill                    ij
(?<=^v|^m|^l)ill                il
(?<=v)ill(?=es?$)               il
^ill                            il
(?<=nqu|ist|nst|osc)ill         il
(?<=[bcdfghjklmnprstvzç])ill    ij
(?<=u)ill(?!$)                  ij
(?<=^b)ien(?=C)|(?<=t)ien(?=té) jɛ̃
ien(?=$|s$|dr)                  jɛ̃
(?<=[bcdfgptv][lr])i(?=V)       i
(?<=pat|uot)ien(?=ts?$)         jɑ̃
(?<=[vt])ien(?=ts?$)            jɛ̃
ien(?=ts?$)                     jɑ̃
i(?=e(?:ments?$|r(?:a|ez|i|on))) i
i(?=erie)                       i
i(?=es?$|ent$)                  i
[iïî]nN|[iïî]m(?=[bp])          ɛ̃
(?<=[aeouéàôœ])ï(?=V)           j
i(?=[aeouéèêàâôœy])             j
i|î|ï                           i
# o
^oeil                           œj
oeu(?=[rfvl])                   œ
œil(?!l)|œill                   œj
oeux?$|oeu                      ø
oe(?=ll)                        wa
oinN                            wɛ̃
oêl                             wal
oi|oî|oix$                      wa
oy(?=V)                         waj
oy                              wa
ouill|ouil$                     uj
ou(?=e(?:ments?$|r(?:a|ez|i|on))) u
ou(?=[aeiéèêî](?!s?$|nt$))      w
oux?$|oup(?=s?$)|ou|où|oû       u
œu(?=[rfvl])                    œ
œux?$|œu                        ø
œ                               e
(?<=c)oo(?=[pr])|(?<=z)oo(?=l)  ɔɔ
(?<=c)oo(?=l.)                  ɔ
oo                              u
onN|om(?=[bp]|t[eé])|om$|oms$   ɔ̃
o(?=[éèë])                      ɔ
(?<=gr)o(?=ss)|(?<=z)o(?=nes?$)|o(?=mes?$) o
o(?=s?$|ts?$|s[ei]|sé|ps?$|tion|z) o
ô|ö                             o
o(?=(?:[bcdfgklmnpqrst][bcdfgjklmnpqrstvzçhx]|[bcdfgklmnpqrstv]e?s?$|rr|[klmnr]e)) ɔ
o                               o
# u
(?<=aig)u(?=ill)|(?<=g)u(?=ï)|(?<=ling)u(?=is) y
(?<=g)uë(?=s?$)                 y
(?<=^aq)u(?=a[rt])|(?<=éq)u(?=a[^in])|(?<=^q)u(?=adr|artz|atu) w
(?<=sq)u(?=are)|(?<=^g)u(?=a)|(?<=jag)u w
(?<=[gq])u(?=[eiéèêëîïyœ])      -
(?<=g)u(?=[aoâ])                -
(?<=q)u                         -
unN|um(?=[bp])                  œ̃
um(?=s?$)                       ɔm
u|û|ù|ü                         y
# y
y[nm](?=[^aeiouyàâéèêëîïôùûœhmn]) ɛ̃
(?<=u)y(?=V)                    ij
y(?=V)                          j
y                               i
# consonants
bb                              b
(?<=m)bs?$                      -
b                               b
cch|(?<=e)ch(?=n)|ch(?=[rlt])|(?<=psy)ch(?!iqu|é)|(?<=or)ch(?=[eié]s?t|id) k
(?<=^é)ch(?=os?$|og)|(?<=^ar)ch(?=éo|ang|aï)|^ch(?=aos|aot|or[aéi]|olé|aris|œu) k
sch|ch                          ʃ
cc(?=[eiéèêëîïy])               ks
cqu|cc|ck                       k
(?<=^se)c(?=ond)                ɡ
ç|c(?=[eiéèêëîïy]|œ[^u])        s
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
^gn|gn(?=os)|(?<=sta)gn|(?<=co)gn(?=it)|gn(?=um) ɡn
(?<=oi)gts?$                    -
gn                              ɲ
gg(?=[eéèêi])                   ɡʒ
gg                              ɡ
g(?=[eiéèêëîïy])                ʒ
(?<=[nr])gs?$                   -
(?<=n)g(?=t)                    -
g                               ɡ
h                               -
j                               ʒ
k                               k
ll|l                            l
(?<=da)m(?=n)|(?<=to)m(?=n)     -
mm|m                            m
nn|n                            n
ph                              f
pp                              p
(?<=com)p(?=t)|(?<=[dr]om)p(?=t)|(?<=^se)p(?=t(?:$|i))|(?<=^ba)p(?=t)|(?<=cul)p(?=t) -
(?<=[iec])p(?=ts?$)             p
ps?$                            -
p                               p
q                               k
rr|rh|r                         ʁ
sh                              ʃ
ss$|ss                          s
sc(?=[eiéèêîïy])                s
(?<=tran)s(?=V)                 z
(?<=urne|ntre|anti)s(?=V)|(?<=para)s(?=ol)|(?<=rai)s(?=em) s
(?<=^al)s(?=a)|s(?=b)|(?<=sub)s(?=is) z
(?<=V)s(?=V|h?V)                z
s$                              -
s                               s
(?<=s)th(?=m)                   -
tth|th                          t
tt                              t
(?<=[^sx])t(?=ion)              s
(?<=ini)t(?=i[aeé])|(?<=pa|yp)t(?=ien)|(?<=quo)t(?=ien)|(?<=iner)t(?=ie) s
(?<=[^sx])t(?=iair)             s
(?<=[aéou])t(?=ies?$)           s
(?<=[^sx])t(?=i(?:els?|elles?|ale?s?|aux|eux|euses?|ence|enc)) s
(?<=[^sx])t(?=iem?ment|iel|ial|ieu) s
(?<=[cs])ts?$|(?<=[iec]p)ts?$   t
ts?$                            -
t                               t
v                               v
w                               w
^x                              ɡz
(?<=soi)x                       s
(?<=^di|^si)x(?=i)|(?<=deu)x(?=i) z
(?<=Ci)x$|(?<=Ca)x$|(?<=n)x$    ks
x$                              -
x                               ks
zz|z(?!$)                       z
z$                              -
""".replace("V", f"[{VOWEL_LETTERS}]")
    .replace("C", f"[{_CONSONANT_LETTERS}]")
    .replace("N", _NASAL)
)

RULES = RuleTable.parse(_TABLE)


def read_word(word: str) -> str:
    """Return the phonemes of a lower-case word that stands alone, without stress."""
    if word in WORDS:
        return WORDS[word]
    if (singular := word.removesuffix("s")) in SPOKEN_ER:
        return _by_rule(singular)[:-1] + "ɛʁ"
    if is_plural_verb(word):  # parlent = parle, étaient = étais
        return _by_rule(word[:-3] + "s" if word.endswith("aient") else word[:-2])
    return _by_rule(word) + (_last_consonant(word) if word in SPOKEN_LAST else "")


def is_plural_verb(word: str) -> bool:
    """True if `word` ends in the silent -ent of the third person plural (ils parlent)."""
    if not word.endswith("ent") or word in WORDS:
        return False
    if word.endswith("ment"):
        return word in SILENT_MENT
    return word not in SPOKEN_ENT and not re.search(r"[vt]ient$", word)


def _by_rule(word: str) -> str:
    return "".join(sound.phonemes for sound in RULES.sounds(word))


def _last_consonant(word: str) -> str:
    """Return the consonant before a plural s (buts), or the last one (bus)."""
    return word[-2] if re.search(r"[tdp]s$", word) else word[-1]
