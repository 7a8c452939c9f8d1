"""The notes and where they are kept: one SQLite file."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, String, create_engine, event, func, insert, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

COLOURS = ("sun", "sky", "leaf", "rose", "plum")
TITLE_MAX = 80
TEXT_MAX = 2000


class Base(DeclarativeBase):
    pass


def now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)  # SQLite keeps no time zone


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE_MAX))
    text: Mapped[str] = mapped_column(String(TEXT_MAX), default="")
    colour: Mapped[str] = mapped_column(String(8), default=COLOURS[0])
    pinned_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def words(self) -> str:
        return f"{self.title} {self.text}"


class BadNote(ValueError):
    """A note that cannot be pinned; the message is for the person who wrote it."""


def database_path() -> Path:
    return Path(os.environ.get("CORKBOARD_DB", "corkboard.db"))


class Board:
    def __init__(self, database: Path) -> None:
        self.engine = open_database(database)

    def notes(self) -> list[Note]:
        """All notes, the newest first."""
        with self._session() as session:
            return list(session.scalars(select(Note).order_by(Note.pinned_at.desc(), Note.id.desc())))

    def note(self, number: int) -> Note | None:
        with self._session() as session:
            return session.get(Note, number)

    def count(self) -> int:
        with self._session() as session:
            return session.scalar(select(func.count()).select_from(Note)) or 0

    def pin(self, title: str, text: str = "", colour: str = COLOURS[0]) -> Note:
        """Raises BadNote for a note without a title, one that is too long, or an unknown colour."""
        title, text = " ".join(title.split()), text.strip()
        if not title:
            raise BadNote("A note needs a title.")
        if len(title) > TITLE_MAX or len(text) > TEXT_MAX:
            raise BadNote(f"A title has up to {TITLE_MAX} characters, a text up to {TEXT_MAX}.")
        if colour not in COLOURS:
            raise BadNote(f"There is no colour {colour!r}; choose one of {', '.join(COLOURS)}.")
        note = Note(title=title, text=text, colour=colour)
        with self._session() as session, session.begin():
            session.add(note)
        return note

    def unpin(self, number: int) -> bool:
        """Whether there was such a note."""
        with self._session() as session, session.begin():
            note = session.get(Note, number)
            if note is not None:
                session.delete(note)
            return note is not None

    def _session(self) -> Session:
        return Session(self.engine, expire_on_commit=False)


def open_database(path: Path) -> Engine:
    """Open the file, made with its table and the notes of welcome when it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": 20})
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        if not inspect(connection).has_table(Note.__tablename__):
            Base.metadata.create_all(connection)
            connection.execute(insert(Note), _notes_of_welcome())
    return engine


def _leave_transactions_to_us(dbapi_connection: Any, _record: object) -> None:
    # The sqlite3 module begins a transaction late and never before CREATE TABLE. See _begin.
    dbapi_connection.isolation_level = None


def _begin(connection: Connection) -> None:
    # Taking the write lock first is what lets several gunicorn workers start on the same new file: the second one
    # waits and then finds the table, where two that both look and then both create would collide.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _notes_of_welcome() -> list[dict[str, str]]:
    notes: list[dict[str, str]] = json.loads((files("corkboard") / "welcome.json").read_text(encoding="utf-8"))
    return notes
