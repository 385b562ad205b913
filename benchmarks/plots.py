"""Draw the measured figures of ``docs/figures/*.json``, as PNG and SVG beside them.

python -m benchmarks.plots
"""

import json
from typing import Any

from benchmarks.drawing import FIGURES, pyplot, save

OURS, OTHERS = "tab:blue", "silver"


def _read(name: str) -> Any:
    return json.loads((FIGURES / f"{name}.json").read_text())


def speed() -> None:
    """Draw whole ways from file to text beside each other, with their word error rates."""
    plt = pyplot()
    figures = _read("speed")
    drawn, axes = plt.subplots(figsize=(8, 3.5))
    for number, row in enumerate(figures["rows"]):
        axes.barh(number, row["speed"], color=OTHERS if number else OURS)
        axes.text(row["speed"], number, f" {row['speed']:.1f} ×, WER {row['wer']:.1%}", va="center")
    axes.set_yticks(range(len(figures["rows"])), [row["name"] for row in figures["rows"]])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set(xlabel="× real time", title=f"{figures['recording']}, base, int8, {figures['cores']} cores")
    save(drawn, "speed")
    plt.close(drawn)


def chunking() -> None:
    """Draw the chunker's seconds and memory over the length of the recording."""
    plt = pyplot()
    rows = [row for row in _read("chunking")["rows"] if "noise" not in row["recording"]]
    drawn, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5))
    for ending, colour in (("m4a", OURS), ("mp3", "tab:orange")):
        own = [row for row in rows if row["recording"].endswith(ending)]
        hours = [row["hours"] for row in own]
        left.plot(hours, [row["seconds"] for row in own], "o-", color=colour, label=ending)
        right.plot(hours, [row["peak_memory_mb"] for row in own], "o-", color=colour, label=ending)
    right.legend(loc="lower right")
    left.set(xlabel="hours", ylabel="seconds", title="Chunking, 44.1 kHz, stereo", ylim=(0, None))
    right.set(xlabel="hours", ylabel="MB, all processes", title="Peak memory", ylim=(0, None))
    save(drawn, "chunking")
    plt.close(drawn)


def cutters() -> None:
    """Draw ways to find where to cut beside each other."""
    plt = pyplot()
    lengths = _read("cutters")["lengths"]
    sizes = [len(length["rows"]) for length in lengths]
    drawn, parts = plt.subplots(len(lengths), figsize=(8, 5), height_ratios=sizes, sharex=True)
    for axes, length in zip(parts, lengths, strict=True):
        for number, row in enumerate(length["rows"]):
            took = row["median_seconds"]
            axes.barh(number, took, color=OTHERS if number else OURS)
            axes.text(took, number, f" {took:.1f} s, {row['largest_process_mb']} MB", va="center")
        axes.set_yticks(range(len(length["rows"])), [row["name"] for row in length["rows"]])
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.set(xscale="log", title=f"{length['hours']:g} hours of m4a")
    parts[-1].set(xlabel="seconds")
    save(drawn, "cutters")
    plt.close(drawn)


if __name__ == "__main__":
    speed()
    chunking()
    cutters()
