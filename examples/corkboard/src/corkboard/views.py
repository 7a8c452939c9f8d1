"""The pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for

from corkboard.board import COLOURS, TEXT_MAX, TITLE_MAX, BadNote, Board, Note
from corkboard.finding import Hit, find, related

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as Answer

pages = Blueprint("pages", __name__)

OWN_FORMS = {"same-origin", "none"}


def board() -> Board:
    return cast("Board", current_app.extensions["board"])


@pages.get("/")
def show_board() -> str:
    query = request.args.get("q", "").strip()
    notes = board().notes()
    return board_page(find(query, notes) if query else shown(notes), total=len(notes), query=query)


@pages.post("/notes")
def pin() -> Answer | tuple[str, int]:
    form = request.form
    try:
        note = board().pin(form.get("title", ""), form.get("text", ""), form.get("colour", COLOURS[0]))
    except BadNote as problem:
        notes = board().notes()
        return board_page(shown(notes), total=len(notes), problem=str(problem), form=form), 400
    return redirect(url_for("pages.show_note", number=note.id), 303)


@pages.get("/notes/<int:number>")
def show_note(number: int) -> str:
    note = board().note(number) or abort(404)
    return render_template("note.html", note=note, related=related(note, board().notes()))


@pages.post("/notes/<int:number>/unpin")
def unpin(number: int) -> Answer:
    if not board().unpin(number):
        abort(404)
    return redirect(url_for("pages.show_board"), 303)


@pages.get("/about")
def about() -> Response:
    return current_app.send_static_file("about.html")


@pages.get("/healthz")
def health() -> dict[str, Any]:
    return {"status": "ok", "version": current_app.config["VERSION"], "notes": board().count()}


@pages.app_errorhandler(404)
def missing(_error: Exception) -> tuple[str, int]:
    return render_template("missing.html"), 404


@pages.before_app_request
def refuse_other_sites() -> None:
    # Without accounts there is no session to steal, but no other site's form should pin or unpin here either.
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in OWN_FORMS:
        abort(403)


@pages.after_app_request
def harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def shown(notes: list[Note]) -> list[Hit]:
    return [Hit(note, 1.0) for note in notes]


def board_page(hits: list[Hit], **more: Any) -> str:
    limits = {"colours": COLOURS, "title_max": TITLE_MAX, "text_max": TEXT_MAX}
    return render_template("board.html", hits=hits, **limits, **more)
