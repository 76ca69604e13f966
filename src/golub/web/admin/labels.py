"""The page of the team's labels: their names and colours. Anybody puts them on chats; these here are an admin's."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from golub import inbox
from golub.errors import Conflict, GolubError, Invalid
from golub.web.inbox import dot
from golub.web.links import visible
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/labels")

Text = Annotated[str, Form(max_length=200)]


@router.get("")
async def show(request: Request, parts: Given, me: Admin) -> Response:
    return await _page(request, parts)


@router.post("")
async def add(request: Request, parts: Given, me: Admin, by: Doer, name: Text = "", colour: Text = "") -> Response:
    try:
        async with parts.store.write() as session:
            await inbox.add_label(session, name, colour, by=by, now=parts.clock())
    except (Invalid, Conflict) as error:
        return await _page(request, parts, name=name, error=error)
    return RedirectResponse("/admin/labels", 303)


@router.post("/{label_id}")
async def change(parts: Given, me: Admin, by: Doer, label_id: RowId, name: Text = "", colour: Text = "") -> Response:
    async with parts.store.write() as session:
        await inbox.change_label(session, label_id, name, colour, by=by, now=parts.clock())
    return RedirectResponse("/admin/labels", 303)


@router.post("/{label_id}/remove")
async def remove(parts: Given, me: Admin, by: Doer, label_id: RowId) -> Response:
    async with parts.store.write() as session:
        await inbox.remove_label(session, label_id, by=by, now=parts.clock())
    return RedirectResponse("/admin/labels", 303)


async def _page(request: Request, parts: Parts, *, name: str = "", error: GolubError | None = None) -> Response:
    async with parts.store.read() as session:
        labels = await inbox.list_labels(session)
        counts = await inbox.count_labelled(session)
    return render(
        request,
        "admin/labels.html",
        status=422 if error else 200,
        labels=labels,
        counts=counts,
        name=name,
        error=error,
        colour=inbox.COLOURS[len(labels) % len(inbox.COLOURS)],
        longest=inbox.LONGEST_NAME,
        dot=dot,
        visible=visible,
    )
