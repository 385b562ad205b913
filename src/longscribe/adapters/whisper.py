"""Whisper on CTranslate2, in batches: the `Recogniser` port.

One call of `WhisperRecogniser.recognise` takes this way::

    encode ─▶ detect the language ─▶ decode greedily, as one batch ─▶ guards ─▶ align the words
                                                                        └─▶ again, alone: beam, then temperatures

There are no timestamp tokens: in batches they make the model stop early and lose text. Times come from aligning the
text with the decoder's attention. On a CPU only the greedy decoding is a batch: encoding and aligning are as fast
window by window, and their results cannot depend on the company then.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import batched
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor

from longscribe.core.limits import SAMPLE_RATE, WINDOW
