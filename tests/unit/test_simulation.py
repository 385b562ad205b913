"""The simulation against runs worked by hand."""

from dataclasses import replace

import pytest

from longscribe.core.limits import LEASE_SECONDS
from longscribe.planning.simulation import Assembler, Chunker, Deployment, Recording, Work, Worker, simulate


def recording(chunks: int, windows: int = 1, seconds: float = 10.0, arrives: float = 0.0) -> Recording:
    """``chunks`` of ``seconds``, each of full windows of 10 s of audio."""
    work = tuple(Work(seconds * (number + 1), (10.0,) * windows) for number in range(chunks))
    return Recording(seconds * chunks, work, arrives)


AT_ONCE = Deployment(
    chunker=Chunker(start=0.0, first=0.0, rate=0.0),
    worker=Worker(start=0.0, call=1.0, window=2.0, audio=0.5, batch=2),
    assembler=Assembler(result=0.0, finish=0.0, finish_chunk=0.0),
    workers=1,
)
"""A call takes 1 s, and 2 + 0.5 × 10 = 7 s for each window."""

QUEUED = replace(AT_ONCE, worker=replace(AT_ONCE.worker, start=1.0))
"""The same, all chunks queued before the worker is there."""


def test_a_call_pays_for_itself_its_windows_and_their_audio() -> None:
    made = simulate(AT_ONCE, [recording(1)])
    assert (made.seconds, made.busy, made.calls, made.deliveries) == (8.0, 8.0, 1, 1)
    assert made.ends == [8.0]


def test_windows_of_several_chunks_share_a_call() -> None:
    made = simulate(QUEUED, [recording(4)])
    assert (made.calls, made.seconds) == (2, 31.0)  # two calls of two windows


def test_near_the_end_windows_are_spread_over_the_lanes() -> None:
    made = simulate(replace(AT_ONCE, worker=replace(AT_ONCE.worker, lanes=2, at_once=2)), [recording(2)])
    assert (made.calls, made.seconds, made.busy) == (2, 8.0, 16.0)
    assert made.busy_share(2) == 1.0


def test_lanes_of_one_device_compute_one_after_the_other() -> None:
    worker = replace(AT_ONCE.worker, lanes=2, batch=1, leases=2, fetch=3.0)
    made = simulate(replace(AT_ONCE, worker=worker), [recording(4)])
    # The second call waits from 3 s to 11 s; the chunks leased then are fetched while it computes.
    assert (made.calls, made.seconds, made.busy) == (4, 3 + 4 * 8, 32.0)
    both = simulate(replace(AT_ONCE, worker=replace(worker, at_once=2)), [recording(4)])
    assert (both.seconds, both.busy) == (2 * (3 + 8), 32.0)


def test_a_batch_that_waited_for_a_dead_worker_s_device_is_not_computed() -> None:
    worker = replace(AT_ONCE.worker, lanes=2, start=1.0)
    made = simulate(replace(AT_ONCE, worker=worker, preempted=(3.0,)), [recording(2)])
    assert (made.lost, made.busy, made.calls) == (2.0, 2 + 16, 3)


def test_no_more_is_leased_than_may_be_held() -> None:
    worker = replace(AT_ONCE.worker, leases=1)
    made = simulate(replace(AT_ONCE, worker=worker), [recording(3)])
    assert (made.calls, made.seconds) == (3, 24.0)


def test_fetching_goes_on_while_the_model_works() -> None:
    one = simulate(replace(AT_ONCE, worker=replace(AT_ONCE.worker, leases=1, fetch=3.0)), [recording(3)])
    assert one.seconds == 3 * (3 + 8)
    more = simulate(replace(AT_ONCE, worker=replace(AT_ONCE.worker, batch=1, fetch=3.0)), [recording(3)])
    assert more.seconds == 3 + 3 * 8


def test_a_lease_is_held_until_the_answer_is_out() -> None:
    worker = replace(AT_ONCE.worker, leases=1, answer=2.0)
    made = simulate(replace(AT_ONCE, worker=worker), [recording(2)])
    assert made.seconds == 2 * (8 + 2)


def test_chunks_come_as_they_are_cut() -> None:
    chunker = Chunker(start=5.0, first=1.0, rate=0.5)
    made = simulate(replace(AT_ONCE, chunker=chunker), [recording(2, seconds=40.0)])
    # cut at 5 + 20 and 5 + 40 s
    assert (made.first_text, made.seconds, made.cut) == (33.0, 53.0, 40.0)


def test_only_so_many_recordings_are_cut_at_once() -> None:
    chunker = Chunker(start=0.0, first=0.0, rate=1.0)
    one = replace(AT_ONCE, chunker=chunker, worker=replace(AT_ONCE.worker, leases=1), workers=2)
    made = simulate(one, [recording(1), recording(1)])
    assert made.ends == [18.0, 28.0]
    both = simulate(replace(one, chunker=replace(chunker, slots=2)), [recording(1), recording(1)])
    assert both.ends == [18.0, 18.0]


def test_a_recording_may_come_later() -> None:
    made = simulate(AT_ONCE, [recording(1), recording(1, arrives=100.0)])
    assert (made.ends, made.seconds) == ([8.0, 8.0], 108.0)


def test_workers_start_cold() -> None:
    made = simulate(replace(AT_ONCE, worker=replace(AT_ONCE.worker, start=60.0)), [recording(1)])
    assert (made.ready, made.seconds) == (60.0, 68.0)


def test_a_model_may_be_loaded_for_each_call() -> None:
    made = simulate(replace(QUEUED, worker=replace(QUEUED.worker, reload=10.0)), [recording(4)])
    assert made.seconds == 1 + 2 * (10 + 15)


def test_the_assembler_stores_in_turn_and_writes_at_the_end() -> None:
    assembler = Assembler(result=4.0, finish=3.0, finish_chunk=0.5)
    made = simulate(replace(QUEUED, assembler=assembler), [recording(2)])
    # one call of both, 15 s; two results, one after the other; 3 s and half a second for each chunk
    assert made.seconds == 1 + 15 + 8 + 4


def test_a_sealed_recording_without_chunks_ends() -> None:
    made = simulate(AT_ONCE, [Recording(50.0, ())])
    assert made.ends == [0.0]


def test_one_machine_shares_its_processors_with_the_chunker() -> None:
    chunker = Chunker(start=0.0, first=0.0, rate=0.1)
    deployment = replace(AT_ONCE, chunker=chunker, shared=0.5)
    # Cutting 20 s takes 2 s alone and 4 s beside the model. The first chunk is there after 2 s; for the next 2 s
    # the lane does half: 8 s of work take 9. The other chunk came meanwhile.
    made = simulate(deployment, [recording(2)])
    assert made.cut == 4.0
    assert made.seconds == 2 + 9 + 8


def test_work_that_ends_before_the_chunker_does_is_slow_throughout() -> None:
    deployment = replace(AT_ONCE, chunker=Chunker(start=0.0, first=0.0, rate=1.0), shared=0.5)
    quick = replace(deployment, worker=Worker(start=0.0, call=1.0, window=0.0, audio=0.0))
    made = simulate(quick, [recording(2, seconds=10.0)])
    assert made.first_text == 20 + 2


def test_a_preempted_worker_loses_its_call_and_its_chunks_come_again() -> None:
    deployment = replace(AT_ONCE, worker=replace(AT_ONCE.worker, start=10.0), preempted=(15.0,))
    made = simulate(deployment, [recording(2)])
    # It dies at 15 s, 5 s into its call; another is ready at 25 s. The leases end at 75 s; each chunk runs alone.
    assert made.lost == 5.0
    assert made.seconds == 15 + LEASE_SECONDS + 8 + 8
    assert (made.busy, made.deliveries) == (5 + 16, 4)


def test_a_chunk_that_came_again_runs_beside_no_other() -> None:
    deployment = replace(QUEUED, worker=replace(QUEUED.worker, batch=4), workers=2, preempted=(2.0,))
    made = simulate(deployment, [recording(30)])
    alone = simulate(replace(deployment, preempted=()), [recording(30)])
    assert made.calls > alone.calls
    assert made.deliveries == alone.deliveries + 4
    assert made.ends == pytest.approx([made.seconds])


def test_the_same_gives_the_same() -> None:
    deployment = replace(AT_ONCE, workers=3, preempted=(4.0, 9.0))
    assert simulate(deployment, [recording(20, 3)]) == simulate(deployment, [recording(20, 3)])


def test_a_worker_that_died_waiting_wakes_another() -> None:
    deployment = replace(AT_ONCE, workers=1, preempted=(5.0,))
    made = simulate(deployment, [recording(1, arrives=50.0)])
    assert made.ends == [8.0]
