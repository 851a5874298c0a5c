"""List the words of stage directions: *sighs*, [laughs softly], (coughs), <chuckle>.

A line is a language's. Add words there, in the form in which texts have them.
"""

from typing import Final

SOUNDS: Final = frozenset(
    """
    laugh laughs laughing laughter chuckle chuckles chuckling giggle giggles giggling sigh sighs
    sighing cough coughs coughing gasp gasps gasping groan groans groaning moan moans moaning yawn
    yawns yawning sniff sniffs sniffing sniffle sniffles sniffling snort snorts snorting sob sobs
    sobbing cry cries crying scream screams screaming shout shouts shouting whisper whispers
    whispering hum hums humming gulp gulps swallows inhales exhales breathes panting pants burps
    hiccups sneezes whistles clears cheers cheering applause claps clapping sings singing mumbles
    ríe suspira tose llora grita susurra rit soupire tousse pleure crie chuchote rires ride sospira
    tossisce piange grida sussurra ri tosse chora boceja
    lacht seufzt hustet flüstert 笑 笑い ため息 咳 笑声 叹气 咳嗽
    """.split()
)
GESTURES: Final = frozenset(
    """
    smiles smiling nods nodding shrugs shrugging winks winking grins grinning smirks smirking frowns
    frowning blushes blushing pauses
    sonríe asiente sourit hoche sorride annuisce sorri lächelt nickt
    """.split()
)
MOODS: Final = frozenset(
    """
    excited curious sarcastic mischievous mischievously happy happily sad sadly angry angrily nervous
    nervously calm calmly tired surprised annoyed serious cheerful cheerfully dramatic dramatically
    softly loudly quietly slowly quickly gently deadpan playfully hesitant hesitantly
    """.split()
)
MAX_WORDS: Final = 4  # "[laughs softly to himself]"


def is_direction(text: str, *, moods: bool = True) -> bool:
    """True if `text` is a stage direction by its words: a sound, a gesture or, if asked, a mood."""
    words = text.lower().replace(",", " ").split()
    if not 0 < len(words) <= MAX_WORDS:
        return False
    if words[0] in SOUNDS or words[-1] in SOUNDS or words[0] in GESTURES:
        return True
    return moods and all(word in MOODS for word in words)


def begins_action(text: str) -> bool:
    """True if `text` begins as actions do: "sighs", "She nods"."""
    words = [word.strip(".,!?…;:") for word in text.lower().split()[:2]]
    return any(word in SOUNDS or word in GESTURES for word in words)
