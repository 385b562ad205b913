"""What only the embedded queue and documents do: strict leases, several processes, crashes, damaged files."""

import errno
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from longscribe.adapters.local import database
from longscribe.adapters.local.jobs import SqliteJobs
from longscribe.adapters.local.queue import PARDONED, SqliteQueue, Subscription
from longscribe.documents import ChunkState
from longscribe.errors import BadInput, Busy, Gone, NoSpace, Permanent
from longscribe.messages import BlobRef
from longscribe.ports import DeadLetterPolicy, Delivery
from tests.contract.children import (
    SUBSCRIPTIONS,
    Child,
    acknowledge_for_ever,
    publish_and_pull,
    publish_for_ever,
    publish_without_space,
)
from tests.contract.clocks import ManualClock
from tests.contract.jobs import make_chunk, make_job, make_result

LEASE, DAY = 10.0, 86_400.0
TOPOLOGY = (
    Subscription("tasks", "tasks", LEASE, retention=DAY),
    Subscription("fragile", "fragile", LEASE, DeadLetterPolicy("graves", 2), DAY),
    Subscription("graves", "graves", LEASE, retention=DAY),
)
Open = Callable[[], SqliteQueue]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "queue.sqlite"


@pytest.fixture
def open_queue(path: Path, clock: ManualClock) -> Iterator[Open]:
    opened = []

    def open_queue() -> SqliteQueue:
        opened.append(SqliteQueue(path, TOPOLOGY, clock))
        return opened[-1]

    yield open_queue
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(open_queue: Open) -> SqliteQueue:
    return open_queue()


@pytest.fixture
def jobs(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteJobs]:
    jobs = SqliteJobs(tmp_path / "state" / "jobs.sqlite", clock)
    yield jobs
    jobs.close()


def pull_one(queue: SqliteQueue, subscription: str = "tasks") -> Delivery:
    (delivery,) = queue.pull(subscription, 1)
    return delivery


def test_the_oldest_come_first(queue: SqliteQueue) -> None:
    for number in range(9):
        queue.publish("tasks", b"%d" % number)
    first = queue.pull("tasks", 4)
    queue.nack("tasks", [first[2].lease])
    assert [d.data for d in first] == [b"0", b"1", b"2", b"3"]
    assert [d.data for d in queue.pull("tasks", 3)] == [b"2", b"4", b"5"]


@pytest.mark.parametrize("limit", [1, 4])
def test_groups_take_turns(queue: SqliteQueue, clock: ManualClock, limit: int) -> None:
    for number in range(40):
        queue.publish("tasks", b"long %d" % number, "long")
    for number in range(4):
        queue.publish("tasks", b"short %d" % number, "short")
    pulled = []
    while len(pulled) < 10:
        got = queue.pull("tasks", limit)
        pulled += [delivery.data for delivery in got]
        queue.acknowledge("tasks", [delivery.lease for delivery in got])
        clock.sleep(1)
    assert [data for data in pulled if data.startswith(b"short")] == [b"short %d" % number for number in range(4)]
    assert pulled.index(b"short 3") < 10


def test_a_limit_of_nothing_leases_nothing(queue: SqliteQueue) -> None:
    queue.publish("tasks", b"1")
    assert queue.pull("tasks", 0) == queue.pull("tasks", -1) == []
    assert pull_one(queue).attempt == 1


@pytest.mark.parametrize("call", ["acknowledge", "nack", "extend"])
@pytest.mark.parametrize("redelivered", [False, True])
def test_an_expired_lease_is_useless(queue: SqliteQueue, clock: ManualClock, call: str, redelivered: bool) -> None:
    """Pub/Sub may honour a late acknowledgement; here it never counts."""
    queue.publish("tasks", b"1")
    old = pull_one(queue).lease
    clock.sleep(LEASE)
    if redelivered:
        pull_one(queue)
    if call == "extend":
        queue.extend("tasks", [old], 1_000)
    else:
        getattr(queue, call)("tasks", [old])
    assert len(queue.pull("tasks", 1)) == (0 if redelivered else 1)
    clock.sleep(LEASE)
    assert len(queue.pull("tasks", 1)) == 1


def test_a_lease_is_never_used_twice(queue: SqliteQueue, clock: ManualClock) -> None:
    """Not even when its message was forgotten, or replayed with its attempts counted afresh."""
    queue.publish("tasks", b"old")
    old = pull_one(queue).lease
    queue.seek("tasks", 0)
    replayed = pull_one(queue)
    assert (replayed.attempt, replayed.lease != old) == (1, True)
    queue.acknowledge("tasks", [replayed.lease])
    clock.sleep(DAY + 1)
    queue.seek("tasks", 0)
    queue.publish("tasks", b"new")
    assert pull_one(queue).lease not in (old, replayed.lease)


def test_seek_ends_leases_and_counts_attempts_afresh(queue: SqliteQueue, clock: ManualClock) -> None:
    queue.publish("fragile", b"1")
    queue.nack("fragile", [pull_one(queue, "fragile").lease])
    held = pull_one(queue, "fragile")
    queue.seek("fragile", 0)
    queue.acknowledge("fragile", [held.lease])
    assert (held.attempt, pull_one(queue, "fragile").attempt) == (2, 1)


def test_the_groups_that_are_worked_on(queue: SqliteQueue) -> None:
    """Waiting, leased or dead-lettered: each of a group's messages counts until it is acknowledged."""
    queue.publish("tasks", b"1", "waits")
    queue.publish("fragile", b"1", "dies")
    for _ in range(2):
        queue.nack("fragile", [pull_one(queue, "fragile").lease])
    assert queue.groups() == {"waits", "dies"}
    queue.acknowledge("graves", [pull_one(queue, "graves").lease])
    leased = pull_one(queue)
    assert queue.groups() == {"waits"}
    queue.acknowledge("tasks", [leased.lease])
    assert queue.groups() == set()


def test_seek_brings_a_dead_lettered_message_back(queue: SqliteQueue, clock: ManualClock) -> None:
    queue.publish("fragile", b"1")
    for _ in range(2):
        queue.nack("fragile", [pull_one(queue, "fragile").lease])
    assert (queue.backlog("fragile"), queue.backlog("graves")) == (0, 1)
    queue.seek("fragile", 0)
    assert pull_one(queue, "fragile").attempt == 1
    assert pull_one(queue, "graves").attempt == 1


def test_a_spent_message_is_buried_though_nobody_pulls_its_own_subscription(
    queue: SqliteQueue, clock: ManualClock
) -> None:
    queue.publish("fragile", b"1")
    for _ in range(2):
        pull_one(queue, "fragile")
        clock.sleep(LEASE)
    assert pull_one(queue, "graves").published == clock.now()


def test_acknowledged_messages_are_kept_for_the_retention_and_no_longer(
    queue: SqliteQueue, clock: ManualClock, path: Path
) -> None:
    queue.publish("tasks", b"first")
    clock.sleep(DAY / 2)
    queue.publish("tasks", b"second")
    queue.acknowledge("tasks", [d.lease for d in queue.pull("tasks", 2)])
    clock.sleep(DAY / 2 + 1)
    queue.seek("tasks", 0)
    second = pull_one(queue)
    assert second.data == b"second"
    queue.acknowledge("tasks", [second.lease])
    clock.sleep(DAY)
    queue.publish("tasks", b"third")
    queue.acknowledge("tasks", [pull_one(queue).lease])
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT data FROM messages").fetchall()
    connection.close()
    assert kept == [(b"third",)]


def test_a_message_nobody_acknowledged_is_kept_for_ever(queue: SqliteQueue, clock: ManualClock) -> None:
    queue.publish("tasks", b"1")
    clock.sleep(100 * DAY)
    queue.publish("tasks", b"2")
    queue.acknowledge("tasks", [d.lease for d in queue.pull("tasks", 2) if d.data == b"2"])
    queue.seek("tasks", 0)
    assert sorted(d.data for d in queue.pull("tasks", 2)) == [b"1", b"2"]


def test_the_leases_of_the_dead_can_be_voided(open_queue: Open) -> None:
    dead = open_queue()
    for number in range(3):
        dead.publish("fragile", b"%d" % number)
    dead.acknowledge("fragile", [pull_one(dead, "fragile").lease])
    held = dead.pull("fragile", 2)
    heir = open_queue()
    assert heir.pull("fragile", 2) == []
    heir.void_leases()
    again = heir.pull("fragile", 2)
    assert [(d.data, d.attempt) for d in again] == [(b"1", 2), (b"2", 2)]
    dead.acknowledge("fragile", [d.lease for d in held])
    assert heir.backlog("fragile") == 2


def test_dying_with_the_process_is_pardoned_but_not_for_ever(open_queue: Open) -> None:
    queue = open_queue()
    queue.publish("fragile", b"1")
    for _ in range(PARDONED + 1):
        assert queue.pull("fragile", 1)
        queue.void_leases()
    assert pull_one(queue, "fragile").attempt == PARDONED + 2  # a suspect all the while: it runs alone
    queue.void_leases()
    assert queue.pull("fragile", 1) == []
    assert queue.backlog("fragile") == 0


def test_what_nobody_declared_is_gone(queue: SqliteQueue, path: Path, clock: ManualClock) -> None:
    for call in (
        lambda: queue.publish("none", b""),
        lambda: queue.pull("none", 1),
        lambda: queue.acknowledge("none", []),
        lambda: queue.nack("none", []),
        lambda: queue.extend("none", [], 1),
        lambda: queue.seek("none", 0),
        lambda: queue.backlog("none"),
        lambda: SqliteQueue(path, TOPOLOGY[:2], clock),
    ):
        with pytest.raises(Gone, match="declare"):
            call()


def test_killed_publishers_lose_nothing_and_tear_nothing(path: Path, clock: ManualClock) -> None:
    published: set[object] = set()
    for turn in range(5):
        child = Child(publish_for_ever, path, turn * 1_000_000)
        published |= {child.first(), *child.kill()}
    queue = SqliteQueue(path, SUBSCRIPTIONS, clock)
    found = [d.data for d in queue.pull("tasks", 100_000)]
    queue.close()
    assert len(set(found)) == len(found)
    numbers = {int(data[: len(data) // 500]) for data in found}
    assert all(data == b"%d" % int(data[: len(data) // 500]) * 500 for data in found)
    assert numbers >= published
    assert len(numbers - published) <= 5, "at most one publication a kill was done but not reported"


def test_killed_consumers_lose_nothing_and_see_nothing_twice(path: Path, clock: ManualClock) -> None:
    queue = SqliteQueue(path, SUBSCRIPTIONS, clock)
    for number in range(200):
        queue.publish("tasks", b"%d" % number)
    acknowledged: Counter[object] = Counter()
    for _ in range(4):
        child = Child(acknowledge_for_ever, path)
        acknowledged.update([child.first()])
        acknowledged.update(child.kill())
        queue.void_leases()
    rest = [d.data for d in queue.pull("tasks", 200)]
    queue.close()
    assert set(acknowledged.values()) == {1}
    assert not set(rest) & set(acknowledged)
    assert 200 - 5 <= len(rest) + len(acknowledged) <= 200, "only a kill's last acknowledgement may go unreported"


def test_processes_share_a_file_that_none_of_them_found(path: Path, clock: ManualClock) -> None:
    children = [Child(publish_and_pull, path, mark, 40) for mark in range(4)]
    taken = [data for child in children for part in child.rest() for data in part]
    queue = SqliteQueue(path, SUBSCRIPTIONS, clock)
    taken += [d.data for d in queue.pull("tasks", 1_000)]
    queue.close()
    assert Counter(taken) == {b"%d.%d" % (mark, number): 1 for mark in range(4) for number in range(40)}


def test_without_space_nothing_published_is_lost(path: Path, clock: ManualClock) -> None:
    (name, text), published = Child(publish_without_space, path, 400_000).rest()
    assert name == "NoSpace"
    assert str(path.parent) in text
    queue = SqliteQueue(path, SUBSCRIPTIONS, clock)
    found = [d.data for d in queue.pull("tasks", 100_000)]
    queue.close()
    assert found == [b"%d" % number * 500 for number in range(published)] + [b"room again"]


def test_a_full_database_is_no_space(queue: SqliteQueue) -> None:
    with queue._database.write() as connection:
        connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(NoSpace, match="free some space"):
        queue.publish("tasks", b"x" * 1_000_000)
    queue.publish("tasks", b"small")
    assert [d.data for d in queue.pull("tasks", 9)] == [b"small"]


def test_a_file_held_too_long_is_busy(monkeypatch: pytest.MonkeyPatch, path: Path, open_queue: Open) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    queue = open_queue()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy, match="wait for it"):
        queue.publish("tasks", b"1")
    assert queue.backlog("tasks") == 0, "readers are not held up"
    holder.close()
    queue.publish("tasks", b"2")
    assert [d.data for d in queue.pull("tasks", 9)] == [b"2"]


def test_a_file_that_is_no_database_is_told(path: Path, open_queue: Open) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG" * 5_000)
    with pytest.raises(Permanent, match="damaged; move"):
        open_queue()


def test_a_damaged_file_is_told(path: Path, open_queue: Open) -> None:
    queue = open_queue()
    for number in range(30):
        queue.publish("tasks", b"%d" % number * 5_000)
    queue.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(Permanent, match="damaged; move"):
        open_queue().pull("tasks", 100)


def test_a_file_of_another_version_is_told_and_left_alone(path: Path, open_queue: Open) -> None:
    open_queue().close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Permanent, match="another version"):
        open_queue()


def test_a_directory_that_cannot_be_made_is_bad_input(path: Path, open_queue: Open) -> None:
    path.parent.write_bytes(b"a file")
    with pytest.raises(BadInput, match="choose a directory"):
        open_queue()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_directory_there_is_no_space_for_is_no_space(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, "no space")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(NoSpace, match="free some space"):
        open_queue()


def test_a_directory_in_the_files_place_is_bad_input(path: Path, open_queue: Open) -> None:
    path.mkdir(parents=True)
    with pytest.raises(BadInput, match="choose a directory"):
        open_queue()


def test_a_failing_disk_is_told(queue: SqliteQueue) -> None:
    assert isinstance(queue._database._translated("SQLITE_IOERR_READ"), Permanent)


def test_a_mistake_of_ours_stays_one(queue: SqliteQueue) -> None:
    with pytest.raises(sqlite3.ProgrammingError), queue._database.read() as connection:
        connection.execute("SELECT ?", ())


def test_a_failed_transaction_leaves_nothing(queue: SqliteQueue) -> None:
    def write() -> None:
        with queue._database.write() as connection:
            connection.execute(
                "INSERT INTO messages (subscription, sender, data, published) VALUES ('tasks', '', x'00', 0)"
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert queue.backlog("tasks") == 0


def test_documents_outlive_the_process(tmp_path: Path, jobs: SqliteJobs, clock: ManualClock) -> None:
    job = jobs.create_job(make_job())
    jobs.create_chunk(make_chunk())
    jobs.store_result(make_result())
    other = SqliteJobs(tmp_path / "state" / "jobs.sqlite", clock)
    assert other.job("job-1") == job
    assert other.chunk("job-1", 0).state is ChunkState.DONE
    other.close()


@pytest.mark.parametrize("name", ["\udcff.mp3", "\udcc3\udca9", "a\0b", "\U0001f600"])
def test_a_recordings_name_need_not_be_unicode(jobs: SqliteJobs, name: str) -> None:
    job = replace(make_job(), recording=BlobRef("/tmp/\udcfe", name, 1))  # noqa: S108
    assert jobs.create_job(job) == job
    assert jobs.job("job-1") == job


@pytest.mark.parametrize("document", [b"{}", b"\xff", b'{"job_id": "\\udcff"}', b""])
def test_a_damaged_document_is_told(jobs: SqliteJobs, document: bytes) -> None:
    jobs.create_job(make_job())
    with jobs._database.write() as connection:
        connection.execute("UPDATE jobs SET document = ?", (document,))
    with pytest.raises(Permanent, match="move the store away"):
        jobs.job("job-1")


@pytest.mark.parametrize(
    ("look", "index"),
    [
        (lambda jobs: jobs.any_pending("job-1"), "chunks USING COVERING INDEX pending"),
        (lambda jobs: jobs.count_pending("job-1"), "chunks USING COVERING INDEX pending"),
        (lambda jobs: list(jobs.pending("job-1")), "chunks USING INDEX pending"),
        (lambda jobs: jobs.last_queued("job-1"), "chunks USING INDEX queued"),
        (lambda jobs: jobs.last_changed("job-1"), "chunks USING INDEX changed"),
        (lambda jobs: list(jobs.unfinished()), "jobs USING INDEX unfinished"),
        (lambda jobs: jobs.last_moved(), "jobs USING COVERING INDEX moved"),
    ],
)
def test_one_look_into_an_index_tells(jobs: SqliteJobs, look: Callable[[SqliteJobs], object], index: str) -> None:
    statements: list[str] = []
    with jobs._database.read() as connection:
        connection.set_trace_callback(statements.append)
    look(jobs)
    (statement,) = statements
    with jobs._database.read() as connection:
        plan = str([row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")])
    assert index in plan, plan
    assert "TEMP B-TREE" not in plan, plan
