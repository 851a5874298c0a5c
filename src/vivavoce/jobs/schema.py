"""Hold the tables of jobs, as numbered migrations. A released one never changes.

- `sentences.basis` names the first take that a sentence may have, and `key` the one that is heard,
  if it is known. `take` counts how often another was asked for.
- `takes.made` counts how often a take was spoken: once, whatever happens.
- `chapters.key` and `outputs.key` say what a file was made of.
"""

import sqlite3
from pathlib import Path
from typing import Final

from vivavoce.errors import DiskFull, SettingsError
from vivavoce.files import stamp_of

MIGRATIONS: Final = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, idempotency_key TEXT,
        fingerprint TEXT NOT NULL, webhook TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
        source TEXT NOT NULL, title TEXT NOT NULL, authors TEXT NOT NULL, options TEXT NOT NULL,
        casting TEXT NOT NULL DEFAULT '{}', version TEXT NOT NULL, created_s REAL NOT NULL,
        updated_s REAL NOT NULL, problem TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0,
        UNIQUE (owner, idempotency_key)
    );
    CREATE TABLE chapters (
        job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, number INTEGER NOT NULL,
        title TEXT NOT NULL, key TEXT NOT NULL DEFAULT '', samples INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0, loudness_lufs REAL, true_peak_db REAL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID;
    CREATE TABLE sentences (
        job TEXT NOT NULL, chapter INTEGER NOT NULL, number INTEGER NOT NULL,
        block INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL,
        voice TEXT, language TEXT, pause_s REAL NOT NULL, take INTEGER NOT NULL DEFAULT 0,
        basis TEXT NOT NULL DEFAULT '', key TEXT NOT NULL DEFAULT '',
        problem TEXT NOT NULL DEFAULT '', outlier TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (job, chapter, number),
        FOREIGN KEY (job, chapter) REFERENCES chapters ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE TABLE takes (
        key TEXT PRIMARY KEY, job TEXT NOT NULL, made INTEGER NOT NULL, samples INTEGER NOT NULL,
        rate_hz INTEGER NOT NULL, bytes INTEGER NOT NULL, pace REAL NOT NULL,
        pitch_hz REAL NOT NULL, problem TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE outputs (
        job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, format TEXT NOT NULL,
        name TEXT NOT NULL, key TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (job, format)
    ) WITHOUT ROWID;
    CREATE TABLE messages (
        id TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL, body TEXT NOT NULL,
        tries INTEGER NOT NULL, due_s REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX sentences_by_key ON sentences (key);
    CREATE INDEX takes_by_job ON takes (job)
    """,
)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to the latest form. Raises `SettingsError` for one of a later version."""
    connection.execute("BEGIN IMMEDIATE")  # two processes may start at once
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(MIGRATIONS):
        connection.execute("ROLLBACK")
        raise SettingsError(
            f"{str(path)!r} was written by a newer version of vivavoce: install that, or "
            "choose another data_dir"
        )
    for migration in MIGRATIONS[done:]:
        for statement in migration.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def check_place(path: Path, file: int) -> None:
    """Raise `DiskFull` if the file of that number is gone, which connections would still write."""
    stamp = stamp_of(path)
    if stamp is None or stamp[0] != file:
        raise DiskFull(f"{str(path)!r} was removed or replaced: start vivavoce again")
