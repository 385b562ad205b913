"""Word errors against reference texts, with an interval."""

import re
from dataclasses import dataclass

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

_RESAMPLES = 1_000
_BLOCK = 100  # reference words resampled together: errors come in clusters


@dataclass(frozen=True)
class Score:
    """Word error rate and its 95 % interval, all as fractions of the reference's words."""

    rate: float
    low: float
    high: float
    substitutions: int
    deletions: int
    insertions: int
    words: int

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.rate:.1%} ({self.low:.1%} to {self.high:.1%})"


def normalised(text: str) -> str:
    """Return ``text`` as Whisper's English normaliser leaves it; it would delete what stands in brackets."""
    clean: str = EnglishTextNormalizer()(re.sub(r"[\[\](){}<>]", " ", text))
    return clean


def score(reference: str, hypothesis: str, seed: int = 0) -> Score:
    """Count the errors of ``hypothesis``; the interval is a bootstrap over stretches of 100 reference words."""
    result = jiwer.process_words(normalised(reference), normalised(hypothesis))
    total = sum(len(words) for words in result.references)
    errors = _errors_by_block(result, total)
    sizes = np.full(len(errors), _BLOCK)
    sizes[-1] = total - _BLOCK * (len(errors) - 1)
    drawn = np.random.default_rng(seed).integers(len(errors), size=(_RESAMPLES, len(errors)))
    rates = errors[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return Score(
        result.wer, float(low), float(high), result.substitutions, result.deletions, result.insertions, total
    )


def _errors_by_block(result: jiwer.WordOutput, total: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    errors = np.zeros(-(-total // _BLOCK), dtype=np.int64)
    for chunks in result.alignments:
        for chunk in chunks:
            if chunk.type == "insert":
                place = min(chunk.ref_start_idx, total - 1)
                errors[place // _BLOCK] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                for place in range(chunk.ref_start_idx, chunk.ref_end_idx):
                    errors[place // _BLOCK] += 1
    return errors
