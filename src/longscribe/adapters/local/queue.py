"""`Queue` on SQLite, with Pub/Sub's semantics.

As in Pub/Sub, each subscription has its own copy of a message, a delivery counts as an attempt whether it ended in
a nack or in an expired lease, and a message given up is acknowledged where it came from and published anew on the
dead-letter topic. Unlike Pub/Sub, a message that is not acknowledged is never dropped for its age, and a late
acknowledgement is always ignored (Pub/Sub sometimes honours one). And where messages of several groups wait, the
groups take turns: a short recording does not wait for the end of a long one.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.local.database import Database
from longscribe.core.limits import LEASE_SECONDS
from longscribe.errors import Gone
from longscribe.ports import Clock, DeadLetterPolicy, Delivery

RETENTION_SECONDS = 7 * 86_400.0
"""How long an acknowledged message can be replayed: Pub/Sub's default retention."""

PARDONED = 15
"""Attempts that count for nothing because the whole process died in them: most often someone stopped it, and the
message was only there. Beyond that the message itself is suspected of killing whoever takes it."""

_SCHEMA = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice: leases name it
    subscription TEXT NOT NULL,
    sender TEXT NOT NULL,                   -- its group
    data BLOB NOT NULL,
    published REAL NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,  -- ever: tells one lease from the next
    attempts INTEGER NOT NULL DEFAULT 0,    -- since it was published or replayed
    voided INTEGER NOT NULL DEFAULT 0,      -- attempts of those that ended with their whole process
    leased_until REAL NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON messages (subscription, sender, id) WHERE acknowledged = 0;
CREATE INDEX served ON messages (subscription, sender, leased_until);
CREATE INDEX spent ON messages (subscription, attempts) WHERE acknowledged = 0;
CREATE INDEX retained ON messages (subscription, published)
"""

_IN_TURN = """
SELECT id FROM (
    SELECT id, sender, row_number() OVER (PARTITION BY sender ORDER BY id) AS turn FROM messages
    WHERE subscription = :subscription AND acknowledged = 0 AND leased_until <= :now
) AS waiting
ORDER BY turn, (
    SELECT max(leased_until) FROM messages AS other
    WHERE other.subscription = :subscription AND other.sender = waiting.sender
), id
LIMIT :limit
"""
# The oldest message of each group, the group that was served longest ago first; then the second oldest of each.


@dataclass(frozen=True)
class Subscription:
    """A subscription of a topic, and how it delivers."""

    name: str
    topic: str
    lease_seconds: float = LEASE_SECONDS
    dead_letter: DeadLetterPolicy | None = None
    retention: float = RETENTION_SECONDS  #: seconds since publication


class SqliteQueue:
    """Topics and subscriptions in one file, shared by threads and processes that name the same ``subscriptions``.

    A message that was published is on the disk. Times are the ``clock``'s. Raises `Gone` for a topic or a
    subscription nobody declared, and what `Database` raises.
    """

    def __init__(self, path: Path, subscriptions: Iterable[Subscription], clock: Clock) -> None:
        self._subscriptions = {subscription.name: subscription for subscription in subscriptions}
        self._topics: dict[str, list[str]] = {}
        for subscription in self._subscriptions.values():
            self._topics.setdefault(subscription.topic, []).append(subscription.name)
        for subscription in self._subscriptions.values():
            if subscription.dead_letter is not None:
                self._names(subscription.dead_letter.topic)  # else its messages would be lost
        self._clock = clock
        self._database = Database(path, _SCHEMA, version=2)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def publish(self, topic: str, data: bytes, group: str = "") -> None:
        """Queue a message durably on every subscription of ``topic``; see `longscribe.ports.Queue`."""
        names = self._names(topic)
        with self._database.write() as connection:
            _insert(connection, names, group, data, self._clock.now())

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        """Lease up to ``limit`` messages: of each group the oldest first, and the groups in turn."""
        seconds = self._find(subscription).lease_seconds
        with self._database.write() as connection:
            now = self._clock.now()
            self._bury(connection, now)
            turn = {"subscription": subscription, "now": now, "limit": max(limit, 0)}
            rows = [
                connection.execute(
                    "SELECT id, deliveries + 1, data, attempts + 1, published FROM messages WHERE id = ?", key
                ).fetchone()
                for key in connection.execute(_IN_TURN, turn).fetchall()
            ]
            connection.executemany(
                "UPDATE messages SET deliveries = ?, attempts = ?, leased_until = ? WHERE id = ?",
                [(deliveries, attempt, now + seconds, key) for key, deliveries, _, attempt, _ in rows],
            )
        return [
            Delivery(lease=f"{key}.{deliveries}", data=data, attempt=attempt, published=published)
            for key, deliveries, data, attempt, published in rows
        ]

    def extend(self, subscription: str, leases: Sequence[str], seconds: float) -> None:
        """Let the leases run for ``seconds`` from now. Expired ones are ignored."""
        with self._database.write() as connection:
            now = self._clock.now()
            self._change(connection, "leased_until = ?", now + seconds, subscription, leases, now)

    def acknowledge(self, subscription: str, leases: Sequence[str]) -> None:
        """Never deliver these again, but keep them for a replay. Expired leases are ignored."""
        with self._database.write() as connection:
            now = self._clock.now()
            self._change(connection, "acknowledged = ?", 1, subscription, leases, now)
            self._forget(connection, subscription, now)

    def nack(self, subscription: str, leases: Sequence[str]) -> None:
        """Give the messages back, to be pulled again at once or dead-lettered. Expired leases are ignored."""
        with self._database.write() as connection:
            now = self._clock.now()
            self._change(connection, "leased_until = ?", 0, subscription, leases, now)
            self._bury(connection, now)

    def seek(self, subscription: str, time: float) -> None:
        """Deliver again all retained messages published at or after ``time``, and none older.

        Leases end, and attempts count from one again.
        """
        self._find(subscription)
        with self._database.write() as connection:
            self._forget(connection, subscription, self._clock.now())
            connection.execute(
                "UPDATE messages SET acknowledged = published < :time, leased_until = 0, attempts = 0, voided = 0"
                " WHERE subscription = :subscription",
                {"time": time, "subscription": subscription},
            )

    def void_leases(self) -> None:
        """End every lease at once. For the one process that holds the store: whoever held them is dead."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE messages SET leased_until = 0, voided = voided + 1"
                " WHERE acknowledged = 0 AND leased_until > 0"
            )

    def backlog(self, subscription: str) -> int:
        """Return how many messages are not acknowledged, leased ones included."""
        self._find(subscription)
        with self._database.read() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM messages WHERE subscription = ? AND acknowledged = 0", (subscription,)
            ).fetchone()
        return int(count)

    def groups(self) -> set[str]:
        """Return the groups of which a message, on any subscription, is not acknowledged: one moment's view."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT DISTINCT sender FROM messages WHERE acknowledged = 0").fetchall()
        return {sender for (sender,) in rows}

    def _find(self, subscription: str) -> Subscription:
        if subscription not in self._subscriptions:
            raise Gone(f"There is no subscription {subscription!r}; declare it when the queue is made.")
        return self._subscriptions[subscription]

    def _names(self, topic: str) -> list[str]:
        if topic not in self._topics:
            raise Gone(f"The topic {topic!r} has no subscription, so a message would be lost; declare one.")
        return self._topics[topic]

    def _change(
        self,
        connection: sqlite3.Connection,
        assignment: str,
        value: float,
        subscription: str,
        leases: Sequence[str],
        now: float,
    ) -> None:
        """Make one assignment to the messages whose leases still run."""
        self._find(subscription)
        connection.executemany(
            f"UPDATE messages SET {assignment} WHERE id = ? AND deliveries = ?"  # noqa: S608 - our own constants
            " AND subscription = ? AND leased_until > ? AND acknowledged = 0",
            [(value, *lease.split("."), subscription, now) for lease in leases],
        )

    def _bury(self, connection: sqlite3.Connection, now: float) -> None:
        """Move every message whose attempts are spent, and whose last lease is over, to its dead-letter topic."""
        for subscription in self._subscriptions.values():
            policy = subscription.dead_letter
            if policy is None:
                continue
            spent = connection.execute(
                "UPDATE messages SET acknowledged = 1"
                " WHERE subscription = ? AND acknowledged = 0 AND attempts >= ? AND leased_until <= ?"
                " AND attempts - min(voided, ?) >= ? RETURNING sender, data",
                (subscription.name, policy.attempts, now, PARDONED, policy.attempts),
            ).fetchall()
            for group, data in spent:
                _insert(connection, self._names(policy.topic), group, data, now)

    def _forget(self, connection: sqlite3.Connection, subscription: str, now: float) -> None:
        """Delete the acknowledged messages that are past their retention."""
        oldest = now - self._find(subscription).retention
        connection.execute(
            "DELETE FROM messages WHERE subscription = ? AND published < ? AND acknowledged = 1",
            (subscription, oldest),
        )


def _insert(connection: sqlite3.Connection, names: Iterable[str], group: str, data: bytes, now: float) -> None:
    connection.executemany(
        "INSERT INTO messages (subscription, sender, data, published) VALUES (?, ?, ?, ?)",
        [(name, group, data, now) for name in names],
    )
