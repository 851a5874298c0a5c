"""All comparisons with the published `qwen-tts` 0.1.1, one after the other: `python -m scripts.parity`.

Builds the published package's environment in the user's cache folder on first use. Exits with 1 if anything differs.
"""

import subprocess
import sys
from pathlib import Path

from scripts.parity.oracle import oracle_environment, oracle_python

HERE = Path(__file__).parent


def main() -> None:
    """Runs every comparison, also after one has failed."""
    oracle = oracle_python()
    comparisons = {
        "language model": ["-m", "scripts.parity.language_model"],
        "codec and speaker encoder": [str(HERE / "codec.py"), "--oracle-python", str(oracle)],
    }
    failed = []
    for name, arguments in comparisons.items():
        print(f"{name}:", flush=True)
        done = subprocess.run([sys.executable, *arguments], cwd=HERE.parents[1], env=oracle_environment(), check=False)
        failed += [name] if done.returncode else []
    sys.exit(f"differs from the published package: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
