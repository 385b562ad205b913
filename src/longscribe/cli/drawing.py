"""What the operator's commands show to people."""

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from longscribe.documents import JobState
from longscribe.operating.comparing import Comparison
from longscribe.operating.dead_letters import DeadLetter
from longscribe.operating.doctor import Finding, Verdict
from longscribe.operating.ports import Worker
from longscribe.operating.status import JobStatus, JobSummary, Overview
from longscribe.watching import printable

SHORT = 8
"""Characters of a job's id that are shown in tables: enough to name it by."""

_COLOURS = {
    JobState.COMPLETE: "green",
    JobState.PARTIAL: "yellow",
    JobState.FAILED: "red",
    JobState.CANCELLED: "red",
}
_VERDICTS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


def screen() -> Console:
    """Return stdout: coloured and folded to the width of a terminal, else plain and wide."""
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=160)


def text(value: object, style: str = "") -> Text:
    """Return a value fit to be shown, whatever it holds."""
    return Text(printable(str(value)), style=style)


def clock(seconds: float) -> str:
    """Return a time in a recording as hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def date(when: float) -> str:
    """Return a moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def dollars(low: float, high: float) -> str:
    """Return an amount, or a range, to the cent; below ten cents to a hundredth of one."""
    shown = [f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}" for amount in (low, high)]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def bytes_(count: float) -> str:
    """Return a number of bytes in the unit that fits."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1_000:
            return f"{count:.0f} {unit}"
        count /= 1_000
    return f"{count:.1f} GB"


def draw_rows(rows: Iterable[tuple[str, str]], console: Console) -> None:
    """Show named values, those without one left out."""
    table = _table(["", ""])
    table.show_header = False
    for name, value in rows:
        if value:
            table.add_row(Text(name, style="bold"), text(value))
    console.print(table)


def draw_overview(found: Overview, console: Console) -> None:
    """Show all jobs."""
    if not found.jobs:
        console.print("There are no jobs.")
    else:
        table = _table(
            ["job", "recording", "state", "done", "speed", "left", "missing"], right="done speed left missing"
        )
        for job in found.jobs:
            table.add_row(
                job.job_id[:SHORT],
                text(job.name),
                Text(job.state, style=_COLOURS.get(job.state, "")),
                done(job),
                "" if job.speed is None else f"{job.speed:.1f}×",
                left(job),
                clock(job.missing_seconds) if job.missing_seconds else "",
            )
        console.print(table)
    for job in found.jobs:
        if job.notice:
            console.print(text(f"{job.job_id[:SHORT]}: {job.notice}", "yellow"))
    console.print(_at_work(found.worker))


def _table(columns: Iterable[str], right: str = "") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right.split() else "left", overflow="fold")
    return table


def _at_work(worker: Worker | None) -> Text:
    if worker is None:
        return Text("Nobody is at work here.")
    model = f" with the model {worker.model}" if worker.model else ""
    return text(f"At work here: {worker.name}{model}, since {date(worker.since)}.")


def done(job: JobSummary) -> str:
    """Return how much is done, as far as it can be told."""
    if not job.cut and not job.state.ended:
        return f"{clock(job.done_seconds)} of {clock(job.known_seconds)} cut so far"
    return f"{job.done_seconds / job.known_seconds:.0%}" if job.known_seconds else ""


def left(job: JobSummary) -> str:
    """Return the time left, in words."""
    if job.seconds_left is None:
        return ""
    return f"{job.seconds_left / 60:.0f} min" if job.seconds_left > 90 else f"{job.seconds_left:.0f} s"


def draw_status(job: JobStatus, console: Console) -> None:
    """Show everything known of one job."""
    draw_rows(_rows(job), console)
    for part in job.missing:
        console.print(text(f"missing {clock(part.start)} to {clock(part.end)}: {part.reason}", "yellow"))
    if job.passages:
        console.print("Most worth a listen, the worst first:")
    for passage in job.passages:
        reasons = ", ".join(passage.reasons)
        console.print(text(f"{clock(passage.start)} to {clock(passage.end)}: {reasons}"))
    if job.notice:
        console.print(text(job.notice, "yellow"))


def _rows(job: JobStatus) -> list[tuple[str, str]]:
    given = job.settings
    return [
        ("job", job.job_id),
        ("recording", f"{job.name}, {job.size:,} bytes, in {job.bucket}"),
        ("state", f"{job.state} since {date(job.updated)}; begun {date(job.created)}"),
        ("reason", job.reason or ""),
        (
            "done",
            f"{done(job)} ({clock(job.done_seconds)} of {clock(job.known_seconds)})" if job.cut else done(job),
        ),
        ("speed", "" if job.speed is None else f"{job.speed:.1f} × real time over the last five minutes"),
        ("time left", left(job)),
        ("frontier", "" if job.state.ended else f"text is final up to {clock(job.frontier)}"),
        ("waits for", _blocker(job)),
        ("chunks", f"{job.chunks}, of which {job.chunks_waiting} wait" if job.chunks_waiting else str(job.chunks)),
        ("last result", "" if job.last_result is None else date(job.last_result)),
        ("language", job.language or ("" if job.state.ended else "to be detected")),
        (
            "settings",
            f"model {given.model}, compute type {given.compute_type}, chunks of {given.chunk_seconds:g} s",
        ),
        ("vocabulary", ", ".join(given.vocabulary)),
        ("results", _counts(job.results)),
        ("guards", _counts(job.guards)),
        ("transcripts", ", ".join(job.transcripts)),
        ("at work", "" if job.state.ended or job.worker is None else job.worker.name),
    ]


def _blocker(job: JobStatus) -> str:
    by = job.blocked_by
    if by is None:
        return ""
    if not by.cut or by.start is None or by.end is None or by.waits_seconds is None:
        return f"chunk {by.index}, which is not cut yet"
    where = f"{clock(by.start)} to {clock(by.end)}"
    return f"chunk {by.index} ({where}), run {by.run}, queued {by.waits_seconds:.0f} s ago"


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items(), key=lambda item: -item[1]))


def draw_letters(letters: Sequence[DeadLetter], console: Console) -> None:
    """Show the chunks that were given up."""
    if not letters:
        console.print("No chunk was given up.")
        return
    table = _table(
        ["job", "recording", "chunk", "from", "to", "run", "attempts", "when", "reason"], right="chunk run attempts"
    )
    for letter in letters:
        table.add_row(
            letter.job_id[:SHORT],
            text(letter.name),
            str(letter.chunk),
            clock(letter.start),
            clock(letter.end),
            str(letter.run),
            "" if letter.attempts is None else str(letter.attempts),
            date(letter.when),
            text(f"{letter.reason}{' (older text kept)' if letter.older_text else ''}"),
        )
    console.print(table)


def draw_comparison(found: Comparison, console: Console) -> None:
    """Show what a rerun changed, a hunk at a time."""
    for hunk in found.hunks:
        console.print(Text(f"@@ {clock(hunk.start)} to {clock(hunk.end)}", style="cyan"))
        for sign, words, style in (("-", hunk.before, "red"), ("+", hunk.after, "green")):
            if words:
                line = Text(f"{sign} ")
                for part, colour in ((hunk.lead, "dim"), (words, style), (hunk.trail, "dim")):
                    if part:
                        line.append(text(part, colour)).append(" ")
                line.rstrip()
                console.print(line, soft_wrap=True)
    models = f"{', '.join(found.models_before)} → {', '.join(found.models_after)}"
    console.print(
        text(
            f"{len(found.hunks)} changes: {found.removed} of {found.words_before} words left out,"
            f" {found.added} of {found.words_after} put in; model {models};"
            f" missing {found.missing_before:.1f} s → {found.missing_after:.1f} s"
        ),
        soft_wrap=True,
    )


def draw_findings(findings: Sequence[Finding], console: Console) -> None:
    """Show what the doctor found."""
    table = _table(["", "", ""])
    table.show_header = False
    for finding in findings:
        table.add_row(
            Text(finding.verdict, style=_VERDICTS[finding.verdict]),
            finding.check,
            text(f"{finding.found}; {finding.mend}" if finding.mend else finding.found),
        )
    console.print(table)
