"""The plan: its prices and constants, what it makes of them, and that pages and figures agree."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import planning, scaling, scaling_page
from longscribe import prices
from longscribe.adapters.hardware import GPU_BATCH, GPU_LANES
from longscribe.core.costing import CostLine, hour
from longscribe.core.scaling import IDLE_SECONDS
from longscribe.core.settings import Settings
from longscribe.planning.constants import Case, Kind, constants, measured
from longscribe.planning.estimate import BATCH, LANES, Plan, deployment, estimate
from longscribe.planning.simulation import Recording, Work, simulate
from longscribe.planning.survey import survey, typical
from tests.standins import LevelDetector, PcmMedia, spoken

ROOT = Path(__file__).parents[2]


def planned(hours: float = 1.0, gpu: str = "t4", instances: int = 2, *, spot: bool = False) -> Plan:
    recording = typical(hours * 3600, 0.8, 28.0, Settings())
    return estimate(
        dict.fromkeys(Case, recording),
        hours * 2880,
        57_600_000,
        name=None,
        gpu=gpu,
        spot=spot,
        instances=instances,
        prices=prices.load(),
    )


def test_every_price_has_a_date_and_a_source_and_is_no_less_than_nothing() -> None:
    known = prices.load()
    for price in known.prices.values():
        assert 0 < price.low <= price.high
        assert re.match(r"20\d\d", price.date)
        assert len(price.source) > 10
    assert len(known.peers) == 10
    for peer in known.peers:
        assert 0 < peer.low <= peer.high
        assert re.fullmatch(r"2026-\d\d", peer.date)
        assert re.search(r"list of prices|/pricing: |/docs/models/", peer.source)


def test_every_machine_has_prices() -> None:
    known = prices.load()
    assert set(known.machines) == {"t4", "t4-spot", "l4"}
    assert hour("t4-spot", known).high < hour("t4", known).low < hour("l4", known).low


@pytest.mark.parametrize("gpu", ["t4", "l4"])
def test_constants_go_from_favourable_to_unfavourable(gpu: str) -> None:
    for name, one in constants(gpu).items():
        values = [one.fast, one.likely, one.slow]
        assert values == sorted(values, reverse=name == "speed"), name
        assert one.source


def test_a_constant_s_kind_is_that_of_all_its_values() -> None:
    everything = [one for gpu in ("t4", "l4") for one in constants(gpu).values()]
    assert {one.kind for one in everything} == set(Kind)
    for one in everything:
        if one.kind in (Kind.MEASURED_IN_PART, Kind.QUOTED_IN_PART):
            assert "assumed" in one.source, one.what
        elif one.kind is Kind.MEASURED:  # a range would be an assumption: each was measured once
            assert one.fast == one.likely == one.slow, one.what


def test_the_measured_constants_are_those_of_the_figures() -> None:
    stored = json.loads(planning.MEASURED.read_text())
    assert stored == planning.constants(), "python -m benchmarks.planning constants"


def test_a_full_window_takes_what_the_speed_says() -> None:
    values = constants("t4")
    worker = deployment(values, Case.FAST, 1, cold=False).worker
    assert worker.window + 30 * worker.audio == pytest.approx(30 / 15.6)
    assert worker.window == pytest.approx(measured().padding_share * 30 / 15.6)
    slow = deployment(values, Case.SLOW, 1, cold=False).worker
    assert slow.window + 30 * slow.audio == pytest.approx(30 / 9 * (1 + measured().worker_overhead))
    assert worker.start == 0.0
    assert (worker.lanes, worker.at_once, worker.batch) == (LANES, 1, BATCH) == (GPU_LANES, 1, GPU_BATCH)


def test_cold_instances_are_there_when_all_their_steps_are_done() -> None:
    values = constants("l4")
    start = deployment(values, Case.LIKELY, 1, cold=True).worker.start
    steps = ("function_start", "scaler", "start", "image", "load")
    assert start == pytest.approx(sum(values[name].likely for name in steps))


def test_a_plan_is_simulated_and_priced() -> None:
    made = planned()
    recording = typical(3600, 0.8, 28.0, Settings())
    fast, slow = (
        simulate(deployment(constants("t4"), case, 2, cold=True), [recording]) for case in (Case.FAST, Case.SLOW)
    )
    assert (made.cold_minutes.fast, made.cold_minutes.slow) == (
        round(fast.seconds / 60, 1),
        round(slow.seconds / 60, 1),
    )
    assert made.warm_minutes.likely < made.cold_minutes.likely
    # two instances at 0.54 an hour, until ten minutes after the end
    (held,) = (line for line in made.cost.lines if line.what == "GPU instances")
    low, high = (2 * (one.seconds + IDLE_SECONDS) / 3600 * 0.54 for one in (fast, slow))
    assert held == CostLine("GPU instances", pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert {"t4", "n1-standard-4", "document-read"} <= {price.name for price in made.prices}
    assert "l4" not in {price.name for price in made.prices}
    assert made.scaled_to == 1
    assert made.simulated == ("cold_minutes", "warm_minutes", "cost")
    assert all(hasattr(made, name) for name in made.simulated)


def test_more_instances_are_faster() -> None:
    assert planned(6.8, instances=6).warm_minutes.likely < planned(6.8, instances=3).warm_minutes.likely


def test_spot_is_cheaper_and_may_be_taken_away() -> None:
    kept, spot = planned(), planned(spot=True)
    assert spot.machine == "t4-spot"
    assert spot.cost.low < kept.cost.low
    assert spot.cold_minutes.likely == kept.cold_minutes.likely
    assert spot.cold_minutes.slow > kept.cold_minutes.slow


def test_a_usual_recording_is_evenly_full() -> None:
    made = typical(1_000.0, 0.5, 25.0, Settings(chunk_seconds=110.0))
    assert [len(chunk.windows) for chunk in made.chunks] == [4, 4, 4, 4, 4]
    assert {window for chunk in made.chunks for window in chunk.windows} == {25.0}
    assert made.chunks[-1].end == made.seconds
    assert typical(5.0, 0.5, 25.0, Settings()) == Recording(5.0, (Work(5.0, (2.5,)),))


def test_a_survey_finds_what_the_chunker_cuts(tmp_path: Path) -> None:
    samples = spoken(200)
    path = tmp_path / "talk.pcm"
    path.write_bytes(samples.tobytes())
    found = survey(path, PcmMedia(), LevelDetector(), Settings(chunk_seconds=30.0))
    assert found.recording.seconds == len(samples) / 16_000
    assert found.size == 2 * len(samples)
    # 200 words of 0.4 s, and the short pauses between them
    assert 80 < found.speech < found.recording.seconds
    audio = sum(sum(chunk.windows) for chunk in found.recording.chunks)
    assert audio == pytest.approx(found.speech, abs=2 * len(found.recording.chunks))
    assert list(tmp_path.iterdir()) == [path]


def test_a_fit_finds_the_costs_it_was_made_from() -> None:
    rows = [
        {"windows": count, "audio_seconds": audio, "seconds": 0.2 + 0.5 * count + 0.03 * audio}
        for count, audio in ((1, 28.0), (2, 56.0), (4, 112.0), (8, 224.0), (8, 112.0))
    ]
    assert planning.fitted(rows) == {"call": 0.2, "window": 0.5, "audio": 0.03}
    for row in rows:
        row["seconds"] = 2.0 * row["windows"] + 0.1  # audio that costs nothing, and no less
    assert planning.fitted(rows)["audio"] == pytest.approx(0.0, abs=1e-3)


def test_predictions_are_within_15_percent_of_what_was_measured() -> None:
    figures = json.loads((planning.FIGURES / "planning.json").read_text())
    assert len(figures["checks"]) >= 2
    assert planning.missed(figures) == []
    figures["checks"][0]["error_percent"] = -15.1
    figures["checks"][1]["processor_error_percent"] = 15.1
    assert [sentence.split(": ")[1] for sentence in planning.missed(figures)] == [
        "error percent -15.1, over 15.",
        "processor error percent +15.1, over 15.",
    ]


def test_the_figures_to_reach_are_reached_where_all_is_likely_and_else_named() -> None:
    found = json.loads((scaling_page.FIGURES / "scaling.json").read_text())
    row = next(row for row in found["designs"] if row["name"] == scaling_page.OURS)
    assert (row["workers"], found["seconds"], found["recordings"]) == (6, 24_348, 1_000)
    assert row["likely"]["warm_minutes"] <= 10
    assert row["likely"]["cold_minutes"] <= 15
    assert row["likely"]["dollars"][1] <= 2
    assert found["hundred"]["likely"] == found["many"][0]["busy_percent"] >= 90
    assert found["many"][0]["gpus"] == 100
    row["slow"]["cold_minutes"] = 17.5
    assert cold(found).endswith("| yes, but 17.5 sim if slow |")
    row["likely"]["cold_minutes"] = 15.5
    assert cold(found).endswith("| no: 15.5 sim if likely, 17.5 sim if slow |")


def cold(found: dict[str, Any]) -> str:
    """The row of the cold start."""
    return next(line for line in scaling_page.TABLES["reached"](found) if "T4s, cold" in line)


def test_the_operators_page_has_an_hours_cost_as_the_plan_reckons_it() -> None:
    text = " ".join((ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split())
    for machine, name in (("t4", "on a T4"), ("t4-spot", "on a spot T4"), ("l4", "on an L4")):
        speed = constants(machine.removesuffix("-spot"))["speed"]
        price = hour(machine, prices.load())
        low, high = 100 * price.low / speed.fast, 100 * price.high / speed.slow
        assert f"{low:.1f} to {high:.1f} cents {name}" in text


def test_the_page_of_scaling_is_what_was_simulated() -> None:
    text = scaling_page.PAGE.read_text(encoding="utf-8")
    found = json.loads((scaling_page.FIGURES / "scaling.json").read_text())
    assert scaling_page.page(text, found) == text, "python -m benchmarks.scaling --tables"


def test_the_figures_of_scaling_are_what_the_simulation_makes() -> None:
    found = json.loads((scaling_page.FIGURES / "scaling.json").read_text())
    assert json.loads(json.dumps(scaling.designs())) == found["designs"], "python -m benchmarks.scaling"
    assert scaling.one_recording() == found["one"], "python -m benchmarks.scaling"
    # Of the thousand recordings the row with a figure to reach: each takes seconds.
    assert scaling.many_recordings(*scaling.MANY[0]) == found["many"][0], "python -m benchmarks.scaling"
    assert [tuple(row.values())[:3] for row in found["many"]] == list(scaling.MANY)


def test_the_plots_are_there() -> None:
    shown = re.findall(r"\]\(figures/(\S+)\.svg\)", scaling_page.PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == ["scaling-designs", "scaling-gpus"]
    for name in shown:
        assert (scaling_page.FIGURES / f"{name}.svg").stat().st_size > 1_000
        assert (scaling_page.FIGURES / f"{name}.png").stat().st_size > 1_000
