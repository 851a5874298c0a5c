"""Keep jobs, chapters, sentences and takes in SQLite. Every method blocks.

- Each call, from any thread, has a connection of its own, which later calls use again.
- What is committed survives a kill of the process, and all but the latest a power cut.
"""

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

from vivavoce.errors import DiskFull, SettingsError
from vivavoce.jobs.outbox import worded
from vivavoce.jobs.schema import check_place, migrate

FILE_NAME: Final = "jobs.db"
BUSY_S: Final = 30.0  # a commit of another process takes milliseconds, a checkpoint perhaps seconds
_DISK: Final = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
}  # fmt: skip
_REMEDY: Final = "make room there, or choose a data_dir that can be written"
_FIND: Final = "SELECT id, fingerprint FROM jobs WHERE owner = ? AND idempotency_key = ?"
_ANEW: Final = "take = take + 1, basis = '', key = '', problem = '', outlier = ''"

Row = Mapping[str, Any]  # of the database, whose columns have the types above


@dataclass(frozen=True, slots=True)
class Take:
    """What is known of one attempt at a sentence, which made no audio if it has no samples."""

    key: str
    samples: int
    rate_hz: int
    bytes: int
    pace: float  # characters a second
    pitch_hz: float  # 0: unknown
    problem: str = ""


class Store:
    """The database in `folder`, which is made if it does not exist."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._idle = SimpleQueue[sqlite3.Connection]()
        with translated(self._path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            first = self._connect()
            migrate(first, self._path)
            self._file = self._path.stat().st_ino
            self._idle.put(first)

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that no other thread has. One that fails is closed."""
        with translated(self._path):
            check_place(self._path, self._file)
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[Row]:
        with self._connection() as connection:
            return [dict(row) for row in connection.execute(sql, values)]

    def changed(self, sql: str, *values: object) -> list[Row]:
        """Run one statement that returns rows."""
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(sql, values)]

    def write(self, sql: str, *values: object) -> int:
        """Run one statement. Return how many rows it changed."""
        with self._transaction() as connection:
            return connection.execute(sql, values).rowcount

    # Jobs

    def add(
        self, job: Row, chapters: Sequence[tuple[int, str]], sentences: Iterable[Row]
    ) -> tuple[str, str] | None:
        """Add a job. Return the one that has the same key already, as `find` does, if any."""
        with self._transaction() as connection:
            same = job["owner"], job["idempotency_key"]
            known = connection.execute(_FIND, same).fetchone()
            if known is not None:
                return str(known["id"]), str(known["fingerprint"])
            holders = ", ".join(f":{name}" for name in job)
            connection.execute(f"INSERT INTO jobs ({', '.join(job)}) VALUES ({holders})", dict(job))
            _put_script(connection, job["id"], chapters, sentences)
        return None

    def put_script(
        self, id: str, version: str, chapters: Sequence[tuple[int, str]], sentences: Iterable[Row]
    ) -> None:
        """Replace what a job says. Sentences that are as they were keep their takes."""
        with self._transaction() as connection:
            kept = connection.execute(
                "SELECT chapter, number, text, take FROM sentences WHERE job = ? AND take > 0",
                (id,),
            ).fetchall()
            connection.execute("DELETE FROM chapters WHERE job = ?", (id,))
            _put_script(connection, id, chapters, sentences)
            for row in kept:
                connection.execute(
                    "UPDATE sentences SET take = ? WHERE job = ? AND chapter = ? AND number = ?"
                    " AND text = ?",
                    (row["take"], id, row["chapter"], row["number"], row["text"]),
                )
            connection.execute("UPDATE jobs SET version = ? WHERE id = ?", (version, id))

    def jobs(self, id: str | None = None) -> list[Row]:
        """Return jobs with their counts, the oldest first."""
        return self.rows(
            """
            SELECT jobs.*, (SELECT count(*) FROM chapters WHERE job = jobs.id) AS chapters,
                count(sentences.number) AS sentences,
                total(length(sentences.text)) AS characters,
                total(takes.samples > 0) AS made, total(sentences.problem != '') AS failed,
                total(takes.samples * 1.0 / takes.rate_hz) AS audio_s
            FROM jobs LEFT JOIN sentences ON sentences.job = jobs.id
                LEFT JOIN takes ON takes.key = sentences.key AND sentences.key != ''
            WHERE ?1 IS NULL OR jobs.id = ?1 GROUP BY jobs.id ORDER BY created_s, jobs.id
            """,
            id,
        )

    def ids(self, states: Sequence[str] | None = None) -> list[str]:
        """Return the ids of all jobs, or of those in `states`, the oldest first."""
        rows = self.rows("SELECT id, state FROM jobs ORDER BY created_s, id")
        return [row["id"] for row in rows if states is None or row["state"] in states]

    def find(self, owner: str, idempotency_key: str | None) -> tuple[str, str] | None:
        """Return the id and the fingerprint of the job that an owner made with a key."""
        rows = self.rows(_FIND, owner, idempotency_key)
        return (rows[0]["id"], rows[0]["fingerprint"]) if rows else None

    def state(self, id: str) -> str | None:
        rows = self.rows("SELECT state FROM jobs WHERE id = ?", id)
        return str(rows[0]["state"]) if rows else None

    def move(
        self, id: str, before: Iterable[str], after: str, now_s: float, problem: str = ""
    ) -> bool:
        """Change the state of a job, if it is one of `before`, and keep what is told of it."""
        allowed = ", ".join(f"'{state}'" for state in before)
        with self._transaction() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = ?, problem = ?, updated_s = ? WHERE id = ? AND state IN"
                f" ({allowed}) RETURNING id, title, webhook",
                (after, problem, now_s, id),
            ).fetchone()
            if row is not None and (message := worded(row, after, problem, now_s)) is not None:
                connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", message)
        return row is not None

    def change(self, id: str, **values: object) -> None:
        """Set columns of a job."""
        names = ", ".join(f"{name} = ?" for name in values)
        self.write(f"UPDATE jobs SET {names} WHERE id = ?", *values.values(), id)

    def remove(self, id: str) -> list[str]:
        """Remove a job. Return the keys of takes that no other job needs, which are forgotten."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (id,))
            connection.execute(
                "UPDATE takes SET job = (SELECT job FROM sentences WHERE key = takes.key LIMIT 1)"
                " WHERE job = ? AND key IN (SELECT key FROM sentences)",
                (id,),
            )
            rows = connection.execute(
                "DELETE FROM takes WHERE job = ? RETURNING key", (id,)
            ).fetchall()
        return [row["key"] for row in rows]

    def usage(self, owner: str) -> tuple[int, int]:
        """Return the number of an owner's jobs, and the bytes that they take."""
        (row,) = self.rows(
            """
            SELECT (SELECT count(*) FROM jobs WHERE owner = :owner) AS jobs,
                (SELECT total(bytes) FROM jobs WHERE owner = :owner) +
                (SELECT total(c.bytes) FROM chapters c JOIN jobs ON id = job WHERE owner = :owner) +
                (SELECT total(o.bytes) FROM outputs o JOIN jobs ON id = job WHERE owner = :owner) +
                (SELECT total(t.bytes) FROM takes t JOIN jobs ON id = job WHERE owner = :owner)
                AS bytes
            """.replace(":owner", "?1"),
            owner,
        )
        return int(row["jobs"]), int(row["bytes"])

    # Chapters and sentences

    def chapters(self, id: str) -> list[Row]:
        return self.rows(
            """
            SELECT chapters.*, count(sentences.number) AS sentences,
                total(takes.samples > 0) AS made, total(sentences.problem != '') AS failed,
                total(takes.samples * 1.0 / takes.rate_hz) AS audio_s,
                total(length(sentences.text)) AS characters
            FROM chapters LEFT JOIN sentences ON sentences.job = chapters.job
                AND sentences.chapter = chapters.number
                LEFT JOIN takes ON takes.key = sentences.key AND sentences.key != ''
            WHERE chapters.job = ? GROUP BY chapters.number ORDER BY chapters.number
            """,
            id,
        )

    def sentences(self, id: str, chapter: int | None = None) -> list[Row]:
        """Return the sentences of a job or of one chapter in order, with what their takes are."""
        where = "" if chapter is None else "AND chapter = ?"
        return self.rows(
            f"""
            SELECT sentences.*, takes.samples, takes.rate_hz, takes.pace, takes.pitch_hz
            FROM sentences LEFT JOIN takes ON takes.key = sentences.key AND sentences.key != ''
            WHERE sentences.job = ? {where} ORDER BY chapter, number
            """,
            id,
            *(() if chapter is None else (chapter,)),
        )

    def put_bases(self, id: str, bases: Iterable[tuple[int, int, str]]) -> None:
        """Set what sentences begin with. One that had another must be spoken."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE sentences SET basis = ?4, key = '', problem = '', outlier = ''"
                " WHERE job = ?1 AND chapter = ?2 AND number = ?3 AND basis != ?4",
                ((id, *basis) for basis in bases),
            )

    def choose(
        self, id: str, chapter: int, number: int, key: str, facts: Mapping[str, str]
    ) -> str | None:
        """Set the take of a sentence, and its problem or outlier. Return the job's state."""
        names = "".join(f", {name} = ?" for name in facts)
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE sentences SET key = ?{names} WHERE job = ? AND chapter = ? AND number = ?",
                (key, *facts.values(), id, chapter, number),
            )
            row = connection.execute("SELECT state FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if row is None else str(row["state"])

    def forget(self, id: str, chapter: int | None = None, number: int | None = None) -> int:
        """Ask for another take of a sentence, a chapter or a job. Return how many sentences."""
        where, values = "job = ?", list[object]([id])
        for name, value in (("chapter", chapter), ("number", number)):
            if value is not None:
                where, values = f"{where} AND {name} = ?", [*values, value]
        return self.write(f"UPDATE sentences SET {_ANEW} WHERE {where}", *values)

    def retry_failed(self, id: str) -> None:
        """Ask for another take of each sentence that failed."""
        self.write(f"UPDATE sentences SET {_ANEW} WHERE job = ? AND problem != ''", id)

    def put_chapter(self, id: str, number: int, values: Row) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE chapters SET {names} WHERE job = ? AND number = ?"
        self.write(sql, *values.values(), id, number)

    # Takes and outputs

    def take(self, key: str) -> Take | None:
        rows = self.rows("SELECT * FROM takes WHERE key = ?", key)
        names = Take.__dataclass_fields__
        return Take(**{name: rows[0][name] for name in names}) if rows else None

    def put_take(self, job: str, take: Take) -> None:
        """Keep a take. One that is known already counts as made again."""
        self.write(
            "INSERT INTO takes (job, made, key, samples, rate_hz, bytes, pace, pitch_hz, problem)"
            " VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET made = made + 1",
            job,
            *astuple(take),
        )

    def drop_take(self, key: str) -> None:
        self.write("DELETE FROM takes WHERE key = ?", key)

    def outputs(self, id: str) -> list[Row]:
        return self.rows("SELECT * FROM outputs WHERE job = ? ORDER BY format", id)

    def put_output(self, id: str, format: str, name: str, key: str, size: int) -> None:
        sql = (
            "INSERT OR REPLACE INTO outputs (job, format, name, key, bytes) VALUES (?, ?, ?, ?, ?)"
        )
        self.write(sql, id, format, name, key, size)


class JobLock:
    """The right to run the job in `folder`, of one process at a time.

    It is an open transaction on a database of its own: every system ends it with the process.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock.db"
        self._connection: sqlite3.Connection | None = None

    def acquire(self) -> bool:
        """True if this process may run the job now. It does not wait."""
        with translated(self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that is gone
            connection = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                connection.close()
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    return False
                raise
        self._connection = connection
        return True

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _put_script(
    connection: sqlite3.Connection, id: str, chapters: Sequence[tuple[int, str]],
    sentences: Iterable[Row],
) -> None:  # fmt: skip
    connection.executemany(
        "INSERT INTO chapters (job, number, title) VALUES (?, ?, ?)",
        ((id, number, title) for number, title in chapters),
    )
    connection.executemany(
        "INSERT INTO sentences (job, chapter, number, block, start, end, text, voice, language,"
        " pause_s) VALUES (:job, :chapter, :number, :block, :start, :end, :text, :voice, :language,"
        " :pause_s)",
        ({**row, "job": id} for row in sentences),
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of the disk and of the file into ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DISK:
            raise DiskFull(f"cannot write {str(path)!r} ({error}): {_REMEDY}") from error
        raise SettingsError(
            f"the jobs in {str(path)!r} cannot be used ({error}): move the file away, or choose "
            "another data_dir"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        raise DiskFull(f"cannot write {str(path)!r} ({error.strerror}): {_REMEDY}") from error


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
