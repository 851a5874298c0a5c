"""All comparisons with the published `qwen-tts` 0.1.1, one after the other:
`python -m scripts.parity`.

Builds the published package's environment in the user's cache folder on first use. Exits with 1 if
anything differs.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPARISONS = {
    "vivavoce trace": "scripts.parity.trace",
    "codec and speaker encoder": "scripts.parity.codec",
}


def main() -> None:
    """Run every comparison, even after one has failed."""
    failed = []
    for name, module in COMPARISONS.items():
        print(f"{name}:", flush=True)
        done = subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=False)
        failed += [name] if done.returncode else []
    sys.exit(f"differs from the published package: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
