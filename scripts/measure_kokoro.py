"""Measure the voices of the published Kokoro model, and write the package's file of it.

    python scripts/measure_kokoro.py        some minutes; needs the pulled model

Run it again after a change to the rewriting of the graph that increases its `VERSION`.
"""

import numpy as np
from rich.progress import track

from vivavoce.models.kokoro.assets import MODEL, locate
from vivavoce.models.kokoro.measures import PACKAGED, pack
from vivavoce.models.kokoro.model import KokoroModel
from vivavoce.settings import Settings


def main() -> None:
    """Measure every voice and write the file."""
    folder = locate(Settings().cache_dir, Settings().kokoro_dir)
    model = KokoroModel(folder)
    measured = {
        name: model.measures.measure(styles)
        for name, styles in track(model.styles.items(), "voices")
    }
    np.savez_compressed(PACKAGED, **pack(folder / MODEL, measured, model.styles))
    print(f"{PACKAGED}: {PACKAGED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
