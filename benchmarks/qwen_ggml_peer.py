"""qwentts.cpp as a contender of benchmarks/qwen_vs_peers.py, by its wheel.

It makes as many frames as each line asks for and answers like benchmarks/qwen_peer.py. It runs in
the environment of the wheel `realtimetts-qwen-native-cpu`, which has no torch. The files come from
qwentts.cpp's own converter. It always decodes to audio, so the language model's time is read from
its log.
"""

import argparse
import json
import re
import sys
from pathlib import Path

TEXT = (
    "The quick brown fox jumps over the lazy dog, "
    "and then it runs home before the rain begins to fall."
)
PARTS = ("Prefill", "TalkerDecode", "CodePredictor", "HostCompose")


def part_ms(lines: list[str], part: str) -> float:
    """Return the milliseconds that the log gives to one part of the last request."""
    found = re.findall(rf"\[Perf\] {part} ([\d.]+) ms", "\n".join(lines))
    return float(found[-1])


def main() -> None:
    """Answer every line on stdin, a number of frames, with a line on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("talker", type=Path)
    parser.add_argument("codec", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    import qwentts_cpp_cpu

    out, sys.stdout = sys.stdout, sys.stderr
    model = qwentts_cpp_cpu.QwenTTS(given.talker, given.codec, cpu_threads=given.threads)
    lines: list[str] = []
    model.set_log_callback(lambda _level, line: lines.append(str(line)))

    def speak(frames: int) -> dict[str, float]:
        lines.clear()
        samples, rate = model.synthesize(
            text=TEXT, lang="english", speaker="ryan", seed=1, max_new_tokens=frames
        )
        made = round(len(samples) / rate / 0.08)
        seconds = sum(part_ms(lines, part) for part in PARTS) / 1000
        codec = part_ms(lines, "CodecDecode") / 1000
        return {"frames": made, "seconds": seconds, "codec_seconds": codec}

    speak(4)  # the first call warms up
    print(json.dumps({"qwentts_cpp_cpu": qwentts_cpp_cpu.__version__}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(speak(int(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
