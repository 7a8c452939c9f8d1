"""The command `corkboard`."""

from __future__ import annotations

import argparse
import os
import sys

from corkboard import __version__
from corkboard.board import BadNote, Board, database_path
from corkboard.finding import find


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="corkboard",
        description="A board for notes. CORKBOARD_DB names its database (default: corkboard.db here).",
    )
    parser.add_argument("--version", action="version", version=f"corkboard {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init-db", help="make the database, unless it is there")
    serve = commands.add_parser("serve", help="start the web application")
    serve.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="default: %(default)s")
    serve.add_argument("--workers", type=int, default=2, metavar="N", help="default: %(default)s")
    pin = commands.add_parser("pin", help="pin a note")
    pin.add_argument("title")
    pin.add_argument("text", nargs="?", default="")
    search = commands.add_parser("find", help="find notes, typos and all")
    search.add_argument("query")
    options = parser.parse_args(arguments)

    if options.command == "serve":
        start_gunicorn(options.bind, options.workers)
    board = Board(database_path())
    if options.command == "init-db":
        print(f"{database_path()}: {board.count()} notes")
    elif options.command == "pin":
        try:
            board.pin(options.title, options.text)
        except BadNote as problem:
            parser.error(str(problem))
    elif options.command == "find":
        hits = find(options.query, board.notes())
        for hit in hits:
            print(f"{hit.percent:3} %  {hit.note.title}")
        return 0 if hits else 1
    return 0


def start_gunicorn(bind: str, workers: int) -> None:
    """Does not return: gunicorn takes this process over, so that a supervisor's signals reach it."""
    command = ["gunicorn", f"--bind={bind}", f"--workers={workers}", "corkboard:create_app()"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", *command])
