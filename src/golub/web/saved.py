"""The views of the list that an operator names for himself."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from golub import inbox
from golub.errors import NotFound
from golub.web.inbox import Chosen
from golub.web.parts import Given, RowId
from golub.web.session import Seen, Signed

router = APIRouter()


@router.post("/inbox/views")
async def save(
    parts: Given, operator: Signed, sight: Seen, choice: Chosen, name: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """What the list shows now, under this name."""
    async with parts.store.write() as session:
        if choice.account and choice.account not in {one.id for one in await inbox.list_accounts(session, sight)}:
            raise NotFound("There is no such account.")
        if choice.label and choice.label not in {one.id for one in await inbox.list_labels(session)}:
            raise NotFound("There is no such label.")
        await inbox.save_view(session, choice.wanted(operator), name, now=parts.clock())
    return RedirectResponse(f"/inbox{choice.query}", 303)


@router.post("/inbox/views/{saved_id}/remove")
async def remove(parts: Given, operator: Signed, saved_id: RowId) -> Response:
    async with parts.store.write() as session:
        await inbox.remove_saved(session, operator.id, saved_id)
    return RedirectResponse("/inbox", 303)
