"""Write the measured figures from ``docs/figures/*.json`` into the README, between its two marks.

    python -m benchmarks.report

No figure is typed by hand: a test compares the README with what this makes.
"""

import json
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"
START, END = "<!-- figures -->\n", "<!-- /figures -->"


def report() -> str:
    """Return the section as Markdown."""
    speed, accuracy, chunking, missed, machine = map(
        _read, ("speed", "accuracy", "chunking", "missed_speech", "machine")
    )
    return "\n".join(
        [
            f"Taken on {machine['cores']} cores ({machine['processor']}), a shared and noisy machine: trust ratios,"
            " not seconds. Whisper base, int8, on a CPU. Each says on which day; `make bench` takes them again.",
            "",
            f"{_head('Speed', speed)}, {speed['recording']}: ours is the whole process from file to files, word"
            " times included, as is whisper-ctranslate2's; the others begin with decoded samples and a loaded"
            f" model. Run in turn, medians; rounds: {len(speed['rows'][0]['seconds'])}.",
            "",
            *_speed(speed["rows"]),
            "",
            "![Speed](docs/figures/speed.png)",
            "",
            *_steps(),
            "",
            f"{_head('Accuracy', accuracy)} by chunk length, the same recording, clean and with pink noise 10 dB"
            f" below its speech; speech found by {accuracy['detector']}:",
            "",
            "| | word error rate | 95 % interval |",
            "|---|---|---|",
            *(f"| {row['name']} | {row['wer']:.1%} | {_interval(row)} |" for row in accuracy["rows"]),
            "",
            f"{_head('Speech missed', missed)} by the detector and the planner (10 ms frames of reference speech in"
            " no window):",
            "",
            "| | missed | silence kept | judged by Silero | windows | seconds in a window | cuts through speech |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {row['recording']} | {row['missed_percent']:.3f} % | {row['silence_kept_percent']:.0f} %"
                f" | {row['judged_by_silero_percent']:.0f} % | {row['windows']}"
                f" | {row['mean_fill_seconds']:.1f} | {row['cuts_through_speech']} |"
                for row in missed["rows"]
            ),
            "",
            f"{_head('Chunking', chunking)}, 44.1 kHz, stereo: decode, detect, cut, encode, store and queue. What"
            " grows with an m4a is its own index, which names every packet and is FFmpeg's to hold.",
            "",
            "| | seconds | peak memory, all processes | first chunk after |",
            "|---|---|---|---|",
            *(
                f"| {Path(row['recording']).suffix[1:]}, {Path(row['recording']).stem}"
                f" | {row['seconds']:.0f} | {row['peak_memory_mb']} MB"
                f" | {row['first_chunk_seconds']:.1f} s |"
                for row in chunking["rows"]
            ),
            "",
            "![Chunking](docs/figures/chunking.png)",
            "",
            *_cutters(),
            "",
            "![Ways to find where to cut](docs/figures/cutters.png)",
            "",
            *_loading(),
            "",
            *_word_times(),
            "",
            *_languages(),
            "",
            *_vocabulary(),
            "",
            *_cloud(),
            "",
            *_gpu(),
            "",
        ]
    )


def _speed(rows: list[dict[str, Any]]) -> list[str]:
    ours = rows[0]["speed"]
    return [
        "| | × real time | ours is | word error rate |",
        "|---|---|---|---|",
        *(
            f"| {row['name']} | {row['speed']:.1f} | {ours / row['speed']:.2f} × as fast | {row['wer']:.1%} |"
            for row in rows
        ),
    ]


def _steps() -> list[str]:
    measured = _read("steps")
    return [
        f"{_head('Where the time goes', measured)}, {measured['model']}, {measured['compute_type']}: processor"
        " seconds a window, by the width of the beam, and what that gets wrong. Ours is 5; 1 is greedy decoding."
        " The windows, and so the errors, are others than above: speech is sought in the whole recording at once.",
        "",
        "| | beam | encoder | decoding | word times | rest | together | word error rate |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['recording']} | {row['beam']} | "
            + " | ".join(f"{seconds:.2f}" for seconds in (*row["seconds_a_window"].values(), _together(row)))
            + f" | {row['wer']:.1%} |"
            for row in measured["rows"]
        ),
    ]


def _together(row: dict[str, Any]) -> float:
    return float(sum(row["seconds_a_window"].values()))


def _cutters() -> list[str]:
    measured = _read("cutters")
    rounds = len(measured["lengths"][0]["rows"][0]["seconds"])
    lines = [
        f"{_head('Finding where to cut', measured)}, the same kind of recording: ours decodes, detects, cuts,"
        f" encodes and stores; the others only decode or look. Medians of {rounds}.",
        "",
        "| hours | | seconds | ours is | largest process |",
        "|---|---|---|---|---|",
    ]
    for length in measured["lengths"]:
        ours = length["rows"][0]["median_seconds"]
        lines += [
            f"| {length['hours']:g} | {row['name']} | {row['median_seconds']:.1f}"
            f" | {row['median_seconds'] / ours:.2f} × as fast | {row['largest_process_mb']} MB |"
            for row in length["rows"]
        ]
    return lines


def _loading() -> list[str]:
    measured = _read("loading")
    return [
        f"{_head('Loading', measured)}, {measured['model']}, {measured['megabytes']} MB, in a fresh process;"
        " *cold*: no file of it in memory."
        " [What a shared cache buys](docs/operations.md#load-the-model-from-memory).",
        "",
        "| from | copied in | loaded in | first use |",
        "|---|---|---|---|",
        *(
            f"| {row['name']} | {row['copy']:.2f} s | {row['load']:.2f} s | {row['warm_up']:.2f} s |"
            for row in measured["rows"]
        ),
    ]


def _word_times() -> list[str]:
    measured = _read("word_times")
    return [
        f"{_head('Word times', measured)}: a clip's first word begins, and its last ends, within"
        f" {measured['near_seconds']} s of the speech they stand for (10 ms frames above -45 dBFS).",
        "",
        "| | clips | starts | median | ends | median |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['recording']} | {row['clips']} | {row['starts']['within_percent']:.0f} %"
            f" | {row['starts']['median_late']:+.2f} s | {row['ends']['within_percent']:.0f} %"
            f" | {row['ends']['median_late']:+.2f} s |"
            for row in measured["rows"]
        ),
    ]


def _languages() -> list[str]:
    measured = _read("languages")
    alone = measured["clips"]
    clips, right, sure = (sum(row[name] for row in alone) for name in ("clips", "right", "wrong_certain"))
    return [
        f"{_head('Languages', measured)}, left to the model: telephone prompts read by one person a language,"
        " joined to recordings; clips in the right language before the vote and after. Numbers in words count as"
        " errors, so word error rates are upper bounds.",
        "",
        "| | clips | before | after | voted | word error rate |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['recording']} | {row['clips']} | {row['right_before']} | {row['right_after']}"
            f" | {row['language']} | {row['wer']:.1%} |"
            for row in measured["recordings"]
        ),
        "",
        f"Each alone in a window, {right} of the {clips} clips are heard in their language. The model is certain"
        f" (0.8) of {sure} of the wrong ones; the highest probability of a wrong language is"
        f" {max(row['highest_wrong'] for row in alone):.2f}.",
    ]


def _vocabulary() -> list[str]:
    measured = _read("vocabulary")
    people = measured["people"]
    return [
        f"{_head('Vocabulary', measured)}: {measured['seconds'] / 60:.0f} minutes of synthetic speech with 30"
        " unusual names and terms, each said twice; the 100 hold 70 more that nobody says. An echo is a term where"
        " nobody speaks; leaks are names and terms beyond those said.",
        "",
        *_terms(measured["rows"]),
        "",
        f"The same in {people['recording']}, read by people. Its {people['rows'][1]['terms']} names are the words"
        " with a capital inside a sentence that its reference never writes without one: none is given, all, and"
        " those that were missed when none was.",
        "",
        *_terms(people["rows"]),
    ]


def _terms(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "| vocabulary | no room for | names right | of those given | word error rate | words where nobody speaks"
        " | echoes | leaks |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['terms']} terms | {row['unused']} | {row['names_right']} of {row['names']}"
            f" | {row['given_right']} of {row['given']} | {row['wer']:.1%} | {row['words_where_nobody_speaks']}"
            f" | {row['echoes']} | {row['leaks']} |"
            for row in rows
        ),
    ]


def _cloud() -> list[str]:
    measured = _read("cloud")
    first, last = (median(measured[name]) for name in ("first_text_seconds", "last_step_seconds"))
    return [
        f"{_head('The cloud path on the emulators', measured)}, {measured['recording']}, medians of"
        f" {measured['rounds']} rounds: from the upload to the first ordered text {first:.1f} s and from the last"
        f" chunk's result to the transcript {last:.2f} s, the model's own time apart; a worker takes"
        f" {measured['overhead_percent']:.1f} % longer than the bare engine on the same windows, and"
        f" {measured['overhead_processor_percent']:.0f} % more processor time.",
    ]


def _gpu() -> list[str]:
    measured = _read("gpu")
    return [
        f"{_head('On a GPU', measured)}, one {measured['gpu']} with {measured['cores']} cores:"
        f" {measured['recording']}, {measured['model']}, {measured['compute_type']}, CTranslate2"
        f" {measured['versions']['ctranslate2']}, driver {measured['driver']}. Ours is the median of three on one"
        " such machine, the others ran once on another, so not in turn; they find the speech, too. Our whole"
        f" process, started afresh, takes {min(measured['whole_process_seconds']):.0f} s. No T4 and no L4 was at"
        " hand.",
        "",
        *_speed(measured["rows"]),
    ]


def _read(name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((FIGURES / f"{name}.json").read_text())
    return figures


def _head(title: str, figures: dict[str, Any]) -> str:
    return f"**{title}** ({figures['date']})"


def _interval(row: dict[str, Any]) -> str:
    low, high = row["wer_interval"]
    return f"{low:.1%} to {high:.1%}"


def main() -> None:
    """Rewrite the README's section."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{START}{report()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
