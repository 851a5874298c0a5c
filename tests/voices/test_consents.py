"""Check that recorded consents are whole and private, and that voices end with theirs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.voices.test_library import ONE, OPERATOR, TWO, recording
from vivavoce.errors import ConsentEnded, UnknownConsent
from vivavoce.voices.archive import unpack
from vivavoce.voices.library import VoiceLibrary, draft
from vivavoce.voices.record import RecordedConsent, SavedVoice, Viewer
from vivavoce.voices.store import CONSENT, NAMES, RECORDING, REVOKED

KEEP_THEM = """
import sys
from pathlib import Path
from tests.voices.test_library import ONE, recording
from vivavoce.voices.library import VoiceLibrary

library, said = VoiceLibrary(Path(sys.argv[1])), recording()
while True:
    kept = library.consents.add("Anna", "en", said, ONE)
    print("kept", flush=True)
    library.revoke_consent(kept.id, ONE)
    print("ended", flush=True)
    library.consents.add("Anna", "en", said, ONE)
    print("kept", flush=True)
"""
KILLS = 8


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    return VoiceLibrary(tmp_path / "voices")


def consented(library: VoiceLibrary, viewer: Viewer = ONE) -> tuple[RecordedConsent, SavedVoice]:
    consent = library.consents.add("Anna", "en", recording(2), viewer)
    voice = draft("anna", "cloned", consent=consent.to_consent())
    return consent, library.add(voice, viewer, recording())


def test_consent_is_its_owners_and_the_managers(library: VoiceLibrary) -> None:
    consent, _ = consented(library)
    assert [c.id for c in library.consents.visible(ONE)] == [consent.id]
    assert library.consents.visible(TWO) == library.consents.visible(Viewer()) == []
    assert library.consents.get(consent.id, OPERATOR).name == "Anna"
    for refused in (
        lambda: library.consents.get(consent.id, TWO),
        lambda: library.consents.rename(consent.id, "Mine", TWO),
        lambda: library.revoke_consent(consent.id, TWO),
        lambda: library.consents.get("../voices", ONE),
    ):
        with pytest.raises(UnknownConsent):
            refused()
    assert library.consents.rename(consent.id, "Anna Lind", ONE).name == "Anna Lind"


def test_end_of_a_consent_is_seen_elsewhere_and_outlasts_its_voice(
    library: VoiceLibrary, tmp_path: Path
) -> None:
    consent, voice = consented(library)
    elsewhere = VoiceLibrary(tmp_path / "voices")
    assert elsewhere.reference(elsewhere.get("anna", ONE)).samples.size
    file = library.export("anna", ONE)
    library.revoke_consent(consent.id, ONE)
    with pytest.raises(ConsentEnded):
        elsewhere.reference(elsewhere.get("anna", ONE))
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [NAMES, "consent.json", "revoked.json", "voice.json"]
    library.remove("anna", ONE)
    back, sound = unpack(file)
    library.add(back, ONE, sound)
    with pytest.raises(ConsentEnded):
        library.reference(library.get(voice.id, ONE))


def test_end_that_was_cut_short_is_completed(library: VoiceLibrary, tmp_path: Path) -> None:
    consent, voice = consented(library)
    (tmp_path / "consents" / consent.id / REVOKED).write_text("{")  # killed right behind this
    with pytest.raises(ConsentEnded):
        library.usable(library.get("anna", ONE))
    assert not list(tmp_path.rglob(RECORDING))
    assert library.get(voice.id, ONE).ended()


def test_killed_process_leaves_whole_consents(tmp_path: Path) -> None:
    voices, kept = tmp_path / "voices", 0
    for kill in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", KEEP_THEM, str(voices)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(3 + kill)]  # in the midst of the next
            process.send_signal(signal.SIGKILL)
            kept += told.count("kept\n") - told.count("ended\n")
    library = VoiceLibrary(voices)
    seen = library.consents.visible(ONE)
    assert len(seen) >= kept - KILLS > KILLS // 2
    whole = [path for path in (tmp_path / "consents").iterdir() if not path.name.startswith(".")]
    for folder in whole:
        assert (folder / CONSENT).exists()
        assert (folder / RECORDING).exists() != (folder / REVOKED).exists()
    assert len([folder for folder in whole if (folder / RECORDING).exists()]) == len(seen)
