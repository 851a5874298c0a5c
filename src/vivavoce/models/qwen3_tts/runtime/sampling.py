"""Combine the sampling options of a request with the defaults of its checkpoint."""

from vivavoce.models.qwen3_tts.checkpoint.config import Config, SamplingDefaults
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.types import Segment


def segment_sampling(config: Config, segment: Segment, seed: int, min_frames: int) -> Sampling:
    """Return the sampling of `segment`, with the checkpoint's defaults."""
    wanted, own = segment.sampling, config.generation
    talker = _combined(own.talker, wanted.do_sample, wanted.temperature, wanted.top_k, wanted.top_p)
    predictor = _combined(
        own.predictor,
        wanted.subtalker_dosample,
        wanted.subtalker_temperature,
        wanted.subtalker_top_k,
        wanted.subtalker_top_p,
    )
    penalty = (
        own.repetition_penalty if wanted.repetition_penalty is None else wanted.repetition_penalty
    )
    return Sampling(talker, predictor, penalty, seed, min_frames)


def _combined(
    own: SamplingDefaults,
    do_sample: bool | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
) -> SamplingDefaults:
    """Return `own` with the given values in its place.

    A temperature of 0 is the limit of low ones, no sampling at all.
    """
    return SamplingDefaults(
        temperature=temperature or own.temperature,
        top_k=own.top_k if top_k is None else top_k,
        top_p=own.top_p if top_p is None else top_p,
        greedy=temperature == 0 or (own.greedy if do_sample is None else not do_sample),
    )
