"""What a plan assumes, each value from favourable to unfavourable, and where it comes from.

*Measured* ones come from this project's own benchmarks, by way of ``measured.json``; *quoted* ones from others, who
are named; the rest is *assumed*. Where only some of the three values are measured or quoted, the kind says *in
part*, and the source what is assumed. Nothing here was measured on Google Cloud.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources

import msgspec


class Kind(StrEnum):
    """How a value is known."""

    MEASURED = "measured"
    MEASURED_IN_PART = "measured in part"
    QUOTED = "quoted"
    QUOTED_IN_PART = "quoted in part"
    ASSUMED = "assumed"


class Case(StrEnum):
    """Which end of each value a simulation takes."""

    FAST = "fast"
    LIKELY = "likely"
    SLOW = "slow"


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the time depends on."""

    what: str
    fast: float
    likely: float
    slow: float
    unit: str
    kind: Kind
    source: str

    def of(self, case: Case) -> float:
        """Return the value in a case."""
        return {Case.FAST: self.fast, Case.LIKELY: self.likely, Case.SLOW: self.slow}[case]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``measured.json``, which ``python -m benchmarks.planning constants`` writes."""

    chunker_first_seconds: float
    chunker_seconds_an_hour: float
    assembler_finish_seconds: float
    assembler_seconds_a_chunk: float
    worker_overhead: float
    load_seconds_a_gigabyte: float
    padding_share: float
    speech_share: float
    window_seconds: float


GIGABYTES = 3.0
"""Of large-v3 in CTranslate2's format (sanchit-gandhi/whisper-jax, issue 186)."""

_MACHINE = "this project's benchmarks, two processor cores: "


@cache
def measured() -> Measured:
    """Return the measured values."""
    text = resources.files("longscribe.planning").joinpath("measured.json").read_bytes()
    return msgspec.json.decode(text, type=Measured)


def constants(gpu: str, *, spot: bool = False) -> Mapping[str, Constant]:
    """Return the values by name for workers with a ``gpu``, ``t4`` or ``l4``, and Whisper large-v3."""
    return {**_GPUS[gpu], **_common(measured()), "preemptions": _SPOT if spot else _KEPT}


def _common(known: Measured) -> dict[str, Constant]:
    load = known.load_seconds_a_gigabyte * GIGABYTES
    return {
        "load": Constant(
            what="loading the model, once a worker",
            fast=load,
            likely=load,
            slow=10 * load,
            unit="s",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}planning.json, processor seconds for Whisper base from a cached file;"
            " assumed: that they grow with the bytes, and in the slow case ten times that",
        ),
        "padding": Constant(
            what="share of a full window's time that an empty one would take too",
            fast=known.padding_share,
            likely=known.padding_share,
            slow=known.padding_share,
            unit="",
            kind=Kind.MEASURED,
            source=f"{_MACHINE}planning.json, Whisper base on a CPU",
        ),
        "overhead": Constant(
            what="what a worker takes beyond the bare engine",
            fast=0.0,
            likely=known.worker_overhead / 2,
            slow=known.worker_overhead,
            unit="of its time",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}cloud.json, on the emulators: the slow case;"
            " assumed: that half of it, and in the fast case all of it, is the emulators'",
        ),
        "chunker_rate": Constant(
            what="cutting an hour of recording",
            fast=known.chunker_seconds_an_hour,
            likely=known.chunker_seconds_an_hour,
            slow=2 * known.chunker_seconds_an_hour,
            unit="s",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}chunking.json, clean m4a; slow is assumed: twice that, about as in noise",
        ),
        "chunker_first": Constant(
            what="until the first chunk is cut",
            fast=known.chunker_first_seconds,
            likely=known.chunker_first_seconds,
            slow=2 * known.chunker_first_seconds,
            unit="s",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}chunking.json; slow is assumed: twice that",
        ),
        "finish": Constant(
            what="from the last result to the transcript",
            fast=known.assembler_finish_seconds,
            likely=known.assembler_finish_seconds,
            slow=10 * known.assembler_finish_seconds,
            unit="s",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}cloud.json, on the emulators; slow is assumed: ten times that",
        ),
        "finish_chunk": Constant(
            what="merging and writing, for each chunk",
            fast=known.assembler_seconds_a_chunk,
            likely=known.assembler_seconds_a_chunk,
            slow=2 * known.assembler_seconds_a_chunk,
            unit="s",
            kind=Kind.MEASURED_IN_PART,
            source=f"{_MACHINE}planning.json, processor seconds; slow is assumed: twice that",
        ),
        "function_start": Constant(
            what="start of a function that was not running",
            fast=0.0,
            likely=5.0,
            slow=15.0,
            unit="s",
            kind=Kind.ASSUMED,
            source="no figure is known",
        ),
        "scaler": Constant(
            what="from the first chunk to the order for all instances",
            fast=1.0,
            likely=30.0,
            slow=60.0,
            unit="s",
            kind=Kind.ASSUMED,
            source="the first chunk wakes one instance; the others are ordered by a timer, once a minute",
        ),
        "call": Constant(
            what="a call of a store",
            fast=0.02,
            likely=0.05,
            slow=0.2,
            unit="s",
            kind=Kind.ASSUMED,
            source="no figure is known",
        ),
    }


_KEPT = Constant(
    what="times that each instance is taken away",
    fast=0,
    likely=0,
    slow=0,
    unit="",
    kind=Kind.ASSUMED,
    source="they are not spot instances",
)
_SPOT = Constant(
    what="times that each instance is taken away",
    fast=0,
    likely=0,
    slow=1,
    unit="",
    kind=Kind.ASSUMED,
    source="no figure is known; slow: in its first minutes of work, one after the other",
)

_GPUS: dict[str, dict[str, Constant]] = {
    "t4": {
        "speed": Constant(
            what="Whisper large-v3 on a T4, unbatched",
            fast=15.6,
            likely=12.3,
            slow=9.0,
            unit="× real time",
            kind=Kind.QUOTED,
            source="published speeds, 9 to 15.6 (the latter sanchit-gandhi/whisper-jax, issue 186, 2024-03);"
            " likely: their middle. Batching comes on top and is not counted",
        ),
        "start": Constant(
            what="a GKE node with a T4, from the order to its driver",
            fast=240.0,
            likely=390.0,
            slow=540.0,
            unit="s",
            kind=Kind.QUOTED,
            source="4 minutes (kubernetes/autoscaler, issue 3464, 2020-08, on AWS) to 9"
            " (codalab/codalab-worksheets, issue 4042, 2022-03, on GKE); likely: their middle",
        ),
        "image": Constant(
            what="fetching the worker's image",
            fast=20.0,
            likely=20.0,
            slow=230.0,
            unit="s",
            kind=Kind.QUOTED,
            source="a deep-learning image on GKE, with image streaming and without (roastidio.us, topic 8750009)",
        ),
    },
    "l4": {
        "speed": Constant(
            what="Whisper large-v3 on an L4, unbatched",
            fast=31.2,
            likely=21.5,
            slow=13.5,
            unit="× real time",
            kind=Kind.QUOTED,
            source="1.5 to 2 times a T4 (meizhong986/WhisperJAV, issue 76, 2026-03); likely: 1.75 times its middle",
        ),
        "start": Constant(
            what="a Cloud Run instance with an L4, until the GPU is ready",
            fast=4.0,
            likely=5.0,
            slow=60.0,
            unit="s",
            kind=Kind.QUOTED_IN_PART,
            source="under 5 s announced, 4 s seen (jikkujose.in, 2025-06); slow is assumed",
        ),
        "image": Constant(
            what="fetching the worker's image",
            fast=0.0,
            likely=20.0,
            slow=230.0,
            unit="s",
            kind=Kind.ASSUMED,
            source="as on GKE; no figure of Cloud Run is known",
        ),
    },
}
