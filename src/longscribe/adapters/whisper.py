"""Whisper on CTranslate2, in batches: the `Recogniser` port.

One call of `Whisper.recognise` takes this way::

    encode ─▶ detect the language ─▶ decode with a beam, as one batch ─▶ guards ─▶ align the words
                                                        again, alone: beam, then temperatures ◀─┘

A vocabulary goes before the text of the first two; whether anyone speaks is asked without it.

There are no timestamp tokens: in batches they make the model stop early and lose text. Times come from aligning the
text with the decoder's attention. On a CPU only the first decoding is a batch: encoding and aligning are faster
window by window, and their results cannot depend on the company then.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
import tokenizers

from longscribe.adapters.hardware import choose
from longscribe.adapters.spectrogram import HOP, Spectrogram
from longscribe.adapters.words import Speller, Voice
from longscribe.core import guards
from longscribe.core.guards import Attempt
from longscribe.core.limits import SAMPLE_RATE
from longscribe.errors import BadInput, Transient
from longscribe.messages import Guard, WindowResult, Word
from longscribe.ports import Samples, WindowAudio

Encoded = npt.NDArray[np.float32]
"""The encoder's output, shape (windows, 1500, width of the model)."""

CONTEXT = 448
"""Tokens the decoder can hold, prompt included (Whisper's ``n_text_ctx``)."""

USUAL_TOKENS = CONTEXT // 2
"""What Whisper decodes at most (openai/whisper: ``sample_len``). The beam may use all there is: speech as dense as
that exists in languages with several tokens a character."""

PROMPT_BUDGET = CONTEXT // 2 - 1
"""Tokens of vocabulary (Whisper bounds its ``initial_prompt`` the same way)."""

BEST_OF = 5
"""Samples drawn at each temperature, the most probable kept (openai/whisper, ``--best_of``)."""

EXHAUSTED = ("out of memory", "ALLOC_FAILED", "invalid device ordinal")
"""What CTranslate2's errors hold when a device's memory is full. The last was seen on an H200 that had worked until
then; others saw it in turn with the first, on the same call."""

_STEP = 2 * HOP  # samples in one frame of the encoder's output
_LEAST = -100.0  # stands for a logarithm of minus infinity, which JSON cannot hold

_SEEDING = threading.Lock()
"""CTranslate2's seed is one for the whole process: held while a window is decoded with temperatures."""


@dataclass(frozen=True)
class _Language:
    code: str
    probability: float


class Whisper:
    """A Whisper model, loaded; see `Recogniser`. Thread-safe."""

    def __init__(self, path: Path, model: str, compute_type: str = "auto", device: str = "auto") -> None:
        """Load the CTranslate2 model in directory ``path``; ``model`` is the name it goes by in provenance.

        Raises `BadInput` for what this machine cannot do.
        """
        hardware = choose(compute_type, device)
        self.model = model
        self.device = hardware.device
        self.lanes = hardware.lanes
        self.at_once = hardware.at_once
        self.batch = hardware.batch
        self._path = path
        self._hardware = hardware
        self._whisper = self._load(hardware.at_once, hardware.threads)
        self.compute_type: str = self._whisper.compute_type
        self._stride = 1 if self.device == "cpu" else hardware.batch
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        # A term such as <|endoftext|> is what it looks like, not what it would tell the model.
        self._tokenizer.encode_special_tokens = True
        self._speller = Speller(self._tokenizer)
        self._spectrogram = Spectrogram(self._whisper.n_mels)
        # On a GPU, CTranslate2's time for suppressing tokens grows with the square of their number, at every step.
        self._suppressed: list[int] = json.loads((path / "config.json").read_text())["suppress_ids"]
        self._end_of_text = self._id("<|endoftext|>")

    def warm_up(self) -> None:
        """Hear a second of silence on every lane: what a device sets up at its first use no chunk waits for."""
        with ThreadPoolExecutor(self.lanes) as lanes:
            silence = WindowAudio(np.zeros(SAMPLE_RATE, np.int16), None, (), 0)
            list(lanes.map(self.recognise, [[silence]] * self.lanes))

    def recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        """Return what each window says; see `Recogniser.recognise`.

        Raises `Transient` when the memory does not suffice for one window alone, `BadInput` for a language that
        the model does not know.
        """
        results: list[WindowResult] = []
        while len(results) < len(windows):
            some = windows[len(results) : len(results) + self.batch]
            try:
                results += self._recognise(some)
            except (RuntimeError, MemoryError) as error:
                self._shrink(len(some), error)
        return results

    def _shrink(self, failed: int, error: Exception) -> None:
        """Halve the batch for good after ``failed`` windows were too many for the memory."""
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in EXHAUSTED):
            raise error
        if failed == 1:
            raise Transient("One window alone does not fit into the memory; choose a smaller model.") from error
        self.batch = min(self.batch, failed // 2)

    def _recognise(self, windows: Sequence[WindowAudio]) -> list[WindowResult]:
        encoded = self._encode([window.samples for window in windows])
        languages = self._languages(windows, encoded)
        firsts = self._firsts(windows, encoded, languages)
        results = []
        for row, (window, language, first) in enumerate(zip(windows, languages, firsts, strict=True)):
            kept, faults = self._settle(window, encoded[row : row + 1], language.code, first)
            results.append((kept, faults))
        words = self._words(windows, encoded, languages, [kept.tokens for kept, _ in results])
        return [
            WindowResult(
                words=spoken,
                language=language.code,
                language_probability=language.probability,
                log_probability=kept.log_probability,
                temperature=kept.temperature,
                guards=faults,
                unused_terms=self._vocabulary(window.vocabulary)[1],
            )
            for window, spoken, language, (kept, faults) in zip(windows, words, languages, results, strict=True)
        ]

    # Encoding

    def _encode(self, windows: Sequence[Samples]) -> Encoded:
        """Return the encoder's output on the host, whatever the device: rows of it go their own ways later."""
        features = [self._spectrogram(samples) for samples in windows]
        parts = []
        for start in range(0, len(features), self._stride):
            batch = ctranslate2.StorageView.from_array(np.stack(features[start : start + self._stride]))
            output = self._whisper.encode(batch, to_cpu=True).to(ctranslate2.DataType.float32)
            parts.append(np.array(output))
        return np.concatenate(parts)

    # Languages

    def _languages(self, windows: Sequence[WindowAudio], encoded: Encoded) -> list[_Language]:
        """Return each window's language: the pinned one, or what the model hears."""
        heard: dict[int, _Language] = {}
        unknown = [row for row, window in enumerate(windows) if window.language is None]
        if self._whisper.is_multilingual:
            for rows in _slices(unknown, self._stride):
                ranked = self._whisper.detect_language(_view(encoded, rows))
                for row, ((token, probability), *_) in zip(rows, ranked, strict=True):
                    heard[row] = _Language(token.strip("<|>"), probability)
        else:
            heard = {row: _Language("en", 1.0) for row in unknown}
        return [
            heard[row] if window.language is None else _Language(self._checked(window.language), 1.0)
            for row, window in enumerate(windows)
        ]

    def knows(self, language: str) -> bool:
        """Return whether the model can be told to hear this language."""
        if self._whisper.is_multilingual:
            return self._tokenizer.token_to_id(f"<|{language}|>") is not None
        return language == "en"

    def _checked(self, language: str) -> str:
        if not self.knows(language):
            raise BadInput(
                f"The model {self.model} does not know the language {language!r}; choose another model or language."
            )
        return language

    # Decoding

    def _firsts(
        self, windows: Sequence[WindowAudio], encoded: Encoded, languages: Sequence[_Language]
    ) -> list[Attempt]:
        """Decode all windows with a beam: one batch for all whose prompts are equally long."""
        prompts = [
            self._prompt(language.code, window.vocabulary)
            for window, language in zip(windows, languages, strict=True)
        ]
        alike: dict[int, list[int]] = defaultdict(list)
        for row, prompt in enumerate(prompts):
            alike[len(prompt)].append(row)
        attempts: dict[int, Attempt] = {}
        for rows in alike.values():
            some = [prompts[row] for row in rows]
            decoded = self._generate(self._whisper, encoded[rows], some, beam_size=guards.BEAM)
            attempts.update(zip(rows, decoded, strict=True))
        doubts = self._doubts(encoded, languages, [row for row in attempts if windows[row].vocabulary])
        return [
            replace(attempts[row], no_speech=doubts.get(row, attempts[row].no_speech))
            for row in range(len(windows))
        ]

    def _doubts(self, encoded: Encoded, languages: Sequence[_Language], rows: Sequence[int]) -> dict[int, float]:
        """Return how much the model doubts that anyone speaks in ``rows``, asked without the vocabulary.

        With it, the model doubts too little: the terms are text to go on with. One token is decoded for it.
        """
        if not rows:
            return {}
        prompts = [self._prompt(languages[row].code, ()) for row in rows]
        asked = self._generate(self._whisper, encoded[list(rows)], prompts, most=1, beam_size=1)
        return {row: attempt.no_speech for row, attempt in zip(rows, asked, strict=True)}

    def _settle(
        self, window: WindowAudio, encoded: Encoded, language: str, first: Attempt
    ) -> tuple[Attempt, tuple[Guard, ...]]:
        """Return the attempt to keep and what is wrong with it, decoding again, alone, if ``first`` fails."""
        if guards.speechless(first, window.samples):
            return _silent(first)
        tried = [(first, guards.verdict(first, window.vocabulary))]
        if tried[0][1]:
            # The vocabulary came back, so the proof is a decoding that was never told it.
            vocabulary = () if Guard.PROMPT_ECHO in tried[0][1] else window.vocabulary
            prompt = self._prompt(language, vocabulary)
            beam = self._generate(self._whisper, encoded, [prompt], most=CONTEXT, beam_size=guards.BEAM)[0]
            tried.append((beam, guards.verdict(beam, vocabulary)))
            if tried[-1][1]:
                tried += self._sample(encoded, self._prompt(language, ()), window.seed)
        kept, faults = guards.best(tried)
        kept = replace(kept, no_speech=first.no_speech)
        return _silent(kept) if guards.speechless(kept, window.samples) else (kept, faults)

    def _sample(self, encoded: Encoded, prompt: list[int], seed: int) -> list[tuple[Attempt, tuple[Guard, ...]]]:
        """Decode one window, without a vocabulary, with rising temperatures until an attempt passes.

        CTranslate2 seeds a thread's random numbers once, when the thread first needs them: only a model loaded for
        the occasion starts from ``seed``, whatever was decoded before.
        """
        tried = []
        with _SEEDING:
            ctranslate2.set_random_seed(seed)
            whisper = self._load(at_once=1, threads=1)
            for temperature in guards.TEMPERATURES:
                attempt = self._generate(
                    whisper, encoded, [prompt], temperature, beam_size=1, num_hypotheses=BEST_OF, sampling_topk=0
                )[0]
                tried.append((attempt, guards.verdict(attempt, ())))
                if not tried[-1][1]:
                    break
        return tried

    def _generate(
        self,
        whisper: ctranslate2.models.Whisper,
        encoded: Encoded,
        prompts: list[list[int]],
        temperature: float = 0.0,
        most: int = USUAL_TOKENS,
        **options: int,
    ) -> list[Attempt]:
        """Decode windows whose prompts are equally long to at most ``most`` tokens."""
        length = len(prompts[0])
        # One place is left for the end of the text: the alignment needs it.
        room = min(most, CONTEXT - length - 1)
        results = whisper.generate(
            ctranslate2.StorageView.from_array(encoded),
            prompts,
            # CTranslate2 stops at half of this, and at all of it counting the prompt's tokens but for the last.
            max_length=max(2 * room, room + length - 1),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            sampling_temperature=temperature,
            **options,
        )
        return [self._attempt(result, temperature, room) for result in results]

    def _attempt(self, result: Any, temperature: float, room: int) -> Attempt:
        decoded = result.sequences_ids[0]
        tokens = tuple(token for token in decoded if token < self._end_of_text)  # no languages, no timestamps
        # The score is the mean over the tokens without the end of text, which is in the sum.
        probability = result.scores[0] * len(decoded) / (len(decoded) + 1)
        return Attempt(
            text=self._tokenizer.decode(list(tokens)),
            tokens=tokens,
            log_probability=max(_LEAST, probability),
            no_speech=result.no_speech_prob,
            temperature=temperature,
            cut=len(decoded) >= room,
        )

    # Prompts

    def _prompt(self, language: str, vocabulary: Sequence[str]) -> list[int]:
        terms, _ = self._vocabulary(vocabulary)
        before = [self._id("<|startofprev|>"), *terms] if terms else []
        return [*before, *self._start(language), self._id("<|notimestamps|>")]

    def _start(self, language: str) -> list[int]:
        start = [self._id("<|startoftranscript|>")]
        if self._whisper.is_multilingual:
            start += [self._id(f"<|{language}|>"), self._id("<|transcribe|>")]
        return start

    def _vocabulary(self, terms: Sequence[str]) -> tuple[list[int], int]:
        """Return as many whole terms as the budget holds, as text that came before, and how many are left out."""
        tokens: list[int] = []
        for number, term in enumerate(terms):
            text = f", {term}" if tokens else f" {term}"
            more = self._tokenizer.encode(text, add_special_tokens=False).ids
            if len(tokens) + len(more) > PROMPT_BUDGET:
                return tokens, len(terms) - number
            tokens += more
        return tokens, 0

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        assert found is not None  # noqa: S101 -- every Whisper tokenizer has it, languages are checked before
        return found

    # Word times

    def _words(
        self,
        windows: Sequence[WindowAudio],
        encoded: Encoded,
        languages: Sequence[_Language],
        tokens: Sequence[tuple[int, ...]],
    ) -> list[tuple[Word, ...]]:
        """Return each window's words with their times, in samples from the window's start."""
        words: list[tuple[Word, ...]] = [()] * len(windows)
        alike: dict[str, list[int]] = defaultdict(list)
        for row, language in enumerate(languages):
            if tokens[row]:
                alike[language.code].append(row)
        for code, all_rows in alike.items():
            for rows in _slices(all_rows, self._stride):
                aligned = self._whisper.align(
                    _view(encoded, rows),
                    self._start(code),
                    [list(tokens[row]) for row in rows],
                    [max(2, -(-len(windows[row].samples) // HOP)) for row in rows],
                )
                for row, alignment in zip(rows, aligned, strict=True):
                    words[row] = self._timed(tokens[row], code, alignment, windows[row].samples)
        return words

    def _timed(self, tokens: Sequence[int], language: str, alignment: Any, samples: Samples) -> tuple[Word, ...]:
        # For each text token, and the end of the text, the encoder's frame where the path enters it.
        entries: dict[int, int] = {}
        for token, frame in alignment.alignments:
            entries.setdefault(token, frame)
        voice = Voice(samples)
        words = []
        for text, first, last in self._speller.words(tokens, language):
            bounds = (min(len(samples), entries[edge] * _STEP) for edge in (first, last))
            start, end = voice.trim(text, *bounds)
            probability = float(np.mean(alignment.text_token_probs[first:last]))
            words.append(Word(start, end, text, probability))
        return tuple(words)

    def _load(self, at_once: int, threads: int) -> ctranslate2.models.Whisper:
        return ctranslate2.models.Whisper(
            str(self._path),
            device=self.device,
            compute_type=self._hardware.compute_type,
            inter_threads=at_once,
            intra_threads=threads,
        )


def _silent(attempt: Attempt) -> tuple[Attempt, tuple[Guard, ...]]:
    """Return ``attempt`` without its text, which the model made up."""
    return Attempt("", (), attempt.log_probability, attempt.no_speech, attempt.temperature), (Guard.NO_SPEECH,)


def _slices(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _view(encoded: Encoded, rows: Sequence[int]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(encoded[list(rows)])
