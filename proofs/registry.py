"""What longscribe promises, and the proofs of it. To add a proof is to add an entry.

A proof is a selection of tests. One whose work can be divided says into how many units; its tests ask
`tests.tiers.units` which of them are due, so that it can be stopped and go on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Promise:
    """What is promised, and the figure that a proof has to reach."""

    number: int
    text: str
    figure: str


PROMISES = (
    Promise(
        1, "No planned chunk is lost or doubled, whatever crashes", "all singles, all pairs: 0 lost, 0 doubled"
    ),
    Promise(
        2,
        "The same under duplicates, reordering, expired leases with late writers, dead-lettering twice",
        "10,000 seeds: the same transcript",
    ),
    Promise(
        3, "Every upload ends complete, partial (ranges) or failed (reason)", "10,000 seeds: all, within a bound"
    ),
    Promise(
        4, "It survives the death of real processes", "300 kills: 0 lost, 0 doubled, resumed within lease + 5 s"
    ),
    Promise(5, "The embedded queue behaves as Pub/Sub", "one contract suite on every adapter: all pass"),
    Promise(
        6,
        "A poison chunk harms only itself",
        "100 among 1,000: 900 finish, none of them dead-lettered; one dead-letter record each",
    ),
    Promise(7, "Plan and merge are exact", "10,000 examples of each property"),
    Promise(
        8, "Decoded time equals the source's, or the transcript says what is missing", "at least 60 damaged files"
    ),
    Promise(9, "Hostile media cannot hang, leak or exhaust", "at least 40 crafted and 2,000 mutated files"),
    Promise(10, "Limits come before work", "each bound one below, at and one above"),
    Promise(11, "Silence and music are results, nothing is an error", "a defined outcome each"),
    Promise(12, "Names are data, subtitles cannot be injected", "500 names, 2,000 texts: 0 escapes"),
    Promise(13, "Least privilege", "the exact table of rights"),
    Promise(14, "No deployment traps", "all asserted on the plan"),
    Promise(
        15,
        "The supply chain is pinned and checked",
        "hashes, tags, bills of materials, licences, no secrets, FFmpeg's version; no advisories could be reached",
    ),
    Promise(16, "Logs hold no content", "0 canary words in any log"),
    Promise(17, "The tests bite", "at least 24 of 25 bugs put in are caught"),
)


@dataclass(frozen=True)
class Proof:
    """Tests that prove promises."""

    name: str
    promises: tuple[int, ...]
    tests: tuple[str, ...]  #: arguments for pytest; ``{file}`` stands for one of ``files``
    unit: str = "run"  #: what its work is divided into
    goal: Callable[[], int] = lambda: 1  #: how many units
    step: int = 1  #: units that are tried in one go: a minute or a few
    files: Callable[[], list[str]] = list  #: a unit each


def _pairs() -> int:
    from tests.simulation.every import singles  # needs the development tools

    return sum(1 for _ in singles())


def suites() -> list[str]:
    """Return the folders of tests in which something is logged."""
    from tests.bugs.planting import SUITES

    return [f"tests/{suite}" for suite in SUITES]


def _bugs() -> int:
    from tests.bugs.bugs import BUGS

    return len(BUGS)


def property_tests() -> list[str]:
    """Return the files of unit tests that have properties."""
    found = (ROOT / "tests" / "unit").glob("test_*.py")
    return sorted(
        path.relative_to(ROOT).as_posix() for path in found if "from hypothesis" in path.read_text(encoding="utf-8")
    )


SIMULATION = "tests/simulation"
PROOFS = (
    Proof("every fault, singly", (1,), (f"{SIMULATION}/test_every_fault.py::test_every_single_fault",)),
    Proof(
        "every pair of faults",
        (1,),
        (f"{SIMULATION}/test_every_fault.py::test_pairs_of_faults",),
        unit="first faults",
        goal=_pairs,
        step=4,
    ),
    Proof(
        "random campaign",
        (2, 3),
        (f"{SIMULATION}/test_campaign.py::test_whatever_happens_all_comes_to_a_good_end",),
        unit="seeds",
        goal=lambda: 10_000,
        step=250,
    ),
    Proof(
        "poison campaign",
        (6,),
        (f"{SIMULATION}/test_poison.py::test_poison_harms_only_itself",),
        unit="campaigns",
        goal=lambda: 10,
    ),
    Proof(
        "kill -9, embedded",
        (4,),
        ("tests/e2e/test_resume.py::test_killed_at_random_moments",),
        unit="recordings",
        goal=lambda: 60,
    ),
    Proof(
        "kill -9, serve",
        (4,),
        ("tests/e2e/test_serve.py::test_killed_at_random_moments",),
        unit="folders",
        goal=lambda: 20,
        step=4,
    ),
    Proof(
        "kill -9, on the emulators",
        (4,),
        ("tests/cloud/test_kills.py",),
        unit="recordings",
        goal=lambda: 20,
    ),
    Proof(
        "contracts",
        (5,),
        (
            "tests/contract/test_local.py",
            "tests/contract/test_queue_model.py",
            "tests/contract/test_queue_models.py",
            f"{SIMULATION}/test_memory.py",
            "tests/cloud/test_contracts.py",
            "tests/cloud/test_queue_model.py",
        ),
    ),
    Proof(
        "every broken call of a store",
        (1,),
        ("tests/cloud/test_broken_calls.py",),
    ),
    Proof(
        "lost and refused calls of a store",
        (1,),
        ("tests/cloud/test_storage.py", "tests/cloud/test_firestore.py", "tests/cloud/test_pubsub.py"),
    ),
    Proof(
        "properties",
        (7,),
        ("--hypothesis-profile=long", "--timeout=0", "-m", "hypothesis", "{file}"),
        unit="files",
        goal=lambda: len(property_tests()),
        files=property_tests,
    ),
    Proof("damaged files", (8,), ("tests/hostile/test_damage.py",)),
    Proof(
        "crafted files",
        (9,),
        (
            "tests/hostile/test_files.py",
            "--deselect=tests/hostile/test_files.py::test_mutated_files",
            "tests/hostile/test_confinement.py",
            "tests/hostile/test_media_refusals.py",
        ),
    ),
    Proof(
        "mutated files",
        (9,),
        ("tests/hostile/test_files.py::test_mutated_files",),
        unit="files",
        goal=lambda: 2_000,
        step=100,
    ),
    Proof("hostile uploads", (9,), ("tests/cloud/test_hostile.py",)),
    Proof("limits", (10,), ("tests/unit/test_limits.py",)),
    Proof("silence and music", (11,), ("tests/e2e/test_silence.py", "tests/cloud/test_silence.py")),
    Proof(
        "names",
        (12,),
        ("tests/hostile/test_names.py",),
        unit="names",
        goal=lambda: 500,
        step=100,
    ),
    Proof(
        "texts",
        (12,),
        ("tests/hostile/test_texts.py::test_texts_are_read_back_as_they_were",),
        unit="texts",
        goal=lambda: 2_000,
        step=1_000,
    ),
    Proof("rights", (13,), ("tests/deploy/test_grants.py",)),
    Proof(
        "deployment traps",
        (14,),
        ("tests/deploy/test_traps.py", "tests/deploy/test_names.py", "tests/deploy/test_environment.py"),
    ),
    Proof("supply chain", (15,), ("tests/deploy/test_supply.py", "tests/deploy/test_audit.py")),
    Proof("logs of every suite", (16,), ("{file}",), unit="suites", goal=lambda: len(suites()), files=suites),
    Proof("bugs put in", (17,), ("tests/bugs/test_bugs.py::test_each_is_caught",), unit="bugs", goal=_bugs),
)
