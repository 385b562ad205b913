"""Voice detection with Silero: a small recurrent network, some seven seconds of one core for an hour of audio.

Its model, an ONNX file under the MIT licence, lies in faster-whisper's wheel and is read there as data: neither
faster-whisper nor torch is imported.
"""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from longscribe.core.limits import FRAME
from longscribe.errors import BadInput
from longscribe.messages import Judged
from longscribe.ports import Heard, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL = "silero_vad_v6.onnx"
THRESHOLD = 0.2
"""The probability from which on a step is speech. Silero's own default is 0.5; but speech that is lost is lost for
good, and a lower bound costs no more than some silence (``benchmarks/missed_speech.py``)."""

STEP = 512
"""Samples in one probability, at 16 kHz; the model takes no other number."""

CONTEXT = 64
"""Samples before a step that the model is given with it."""

BATCH = 128
"""Steps in one call, four seconds. The state goes on from call to call, so this changes no verdict; anything from
64 to 1,024 takes the same time, and 512 take 14 MB more."""


class Silero:
    """The `SpeechDetector` that tells speech from noise. Thread-safe; each call works on one core.

    The model and its runtime are loaded when they are first needed: a clean recording never needs them, and they
    take 30 MB and a tenth of a second.
    """

    name = "silero-v6"

    def __init__(self, model: Path) -> None:
        """Take the ONNX file ``model``. Raises `BadInput` if it is not there."""
        if not model.is_file():
            raise BadInput(f"Silero's model is not at {model}; run make demo in the clone, which installs it.")
        self._model = model

    @cached_property
    def _session(self) -> "InferenceSession":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # 7 MB, and no faster with it
        # Its threads make it slower: each layer is too small to share (docs/traps.md).
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no other root
            raise BadInput(f"{self._model} is no ONNX model: {error}; give Silero's {MODEL}.") from error
        if {one.name for one in session.get_inputs()} != {"input", "h", "c"}:
            raise BadInput(f"{self._model} is another model than Silero's {MODEL}; give that one.")
        return session

    def detect(self, samples: Samples, lead: int) -> Heard:
        """Return a verdict for each whole 10 ms frame after the first ``lead`` samples.

        A frame that lies in two steps is speech if either is. Raises `BadInput` for a file that is not Silero's.
        """
        starts = lead + np.arange((len(samples) - lead) // FRAME) * FRAME
        speech = self._probabilities(samples) >= THRESHOLD
        heard = speech[starts // STEP] | speech[(starts + FRAME - 1) // STEP]
        return Heard(heard, (Judged(0, len(samples) - lead, self.name),))

    def _probabilities(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Return the probability of speech in each step, the last one filled up with zeros."""
        count = -(-len(samples) // STEP)
        audio = np.zeros(CONTEXT + count * STEP, np.int16)
        audio[CONTEXT : CONTEXT + len(samples)] = samples
        probabilities = np.empty(count, np.float32)
        state = {"h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}
        for first in range(0, count, BATCH):
            last = min(first + BATCH, count)
            part = audio[first * STEP : last * STEP + CONTEXT]
            steps = np.lib.stride_tricks.sliding_window_view(part, CONTEXT + STEP)[::STEP].astype(np.float32)
            steps /= 32_768
            found, state["h"], state["c"] = self._session.run(None, {"input": steps, **state})
            probabilities[first:last] = found.reshape(-1)
        return probabilities


def locate() -> Path:
    """Return where the model is: beside this module, as in a function's bundle, or in faster-whisper's wheel.

    That package is not imported. Raises `BadInput`.
    """
    beside = Path(__file__).with_name(MODEL)
    if beside.is_file():
        return beside
    found = find_spec("faster_whisper")
    if found is None or found.origin is None:
        raise BadInput("Silero's model comes with faster-whisper, which is missing; run make demo in the clone.")
    return Path(found.origin).parent / "assets" / MODEL
