"""A poison chunk harms only itself; ``make prove`` runs a hundred of them among a thousand."""

from tests.simulation.poison import campaign


def test_ten_poison_chunks_among_a_hundred() -> None:
    done = campaign(seed=1, chunks=100, poison=10)
    assert (done.finished, done.buried) == (90, 10)
    assert done.deaths > 10
    assert done.preempted > 0
    assert campaign(seed=1, chunks=100, poison=10) == done, "the same seed tells another story"
