"""Define `vivavoce trace`, which writes the tensors of a request to compare with others."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.options import option


def trace(
    checkpoint: Annotated[Path, option("Folder of a Qwen3-TTS checkpoint.", metavar="DIR")],
    request: Annotated[Path, option("JSON file with the request.", metavar="FILE")],
    out: Annotated[Path, option("Safetensors file to write.", metavar="FILE")],
) -> None:
    """Write the prompt, codes, logits and waveform of a request to Qwen3-TTS.

    Computed in float32 on the CPU. The request has `text` and, if
    needed, `task`, `speaker`, `language`, `instruct`, `ref_audio` (a WAV
    file), `ref_text`, `x_vector_only`, `non_streaming`, `greedy`, `seed`,
    `max_frames`, and sampling fields as in generation_config.json.

    Examples:
      vivavoce trace --checkpoint DIR --request request.json --out trace.safetensors
    """
    from vivavoce.models.qwen3_tts.checkpoint.packages import require_packages

    require_packages()
    from vivavoce.models.qwen3_tts.tools.recorder import write_trace

    for name, shape in write_trace(checkpoint, request, out).items():
        typer.echo(f"{name:18} {' × '.join(map(str, shape))}")
