"""The page of quick replies: everybody's and the operator's own, each as it will look, and the form to write one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from golub import inbox
from golub.audit import By
from golub.avito.client import TEXT_LIMIT
from golub.composing import quick_replies
from golub.composing.filling import NAMES
from golub.composing.quick_replies import Wording
from golub.errors import Conflict, Forbidden, GolubError, Invalid, NotFound, Rejected
from golub.inbox import LARGEST_ID
from golub.model import Operator, QuickReply, Role
from golub.redraw import LARGEST
from golub.sight import Sight
from golub.web.language import N_, reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId, parse_id
from golub.web.pictures import HEADERS, uploaded
from golub.web.prepared import Text, Texts, read_item, read_pictures, sort_pictures
from golub.web.session import Doer, Seen, Signed

router = APIRouter(prefix="/quick-replies")

EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (N_("Greeting"), (N_("Hello, {buyer}! Yes, “{item}” is still available. Would you like to come and look at it?"),)),
    (N_("Price"), (N_("{item} costs {price}. It can be picked up today."),)),
    (
        N_("Shipping"),
        (
            N_("We send it by Avito Delivery the same day if you order before 15:00."),
            N_("Press “Buy with delivery” in the item: the price is shown there at once."),
        ),
    ),
    (N_("Sold"), (N_("Thank you for your interest! “{item}” is sold already. Have a look at our other items."),)),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the form is filled with."""

    name: str = ""
    texts: Sequence[str] = ("",)
    own: bool = True
    account_id: int | None = None
    item: str = ""
    kept: Sequence[int] = field(default_factory=tuple[int, ...])
    attached: Sequence[str] = field(default_factory=tuple[str, ...])


@router.get("")
async def show(request: Request, parts: Given, operator: Signed, sight: Seen) -> Response:
    async with parts.store.read() as session:
        found = await quick_replies.list_all(session, sight, operator)
        pictures = await quick_replies.list_pictures(session, [quick.id for quick in found])
        accounts = {account.id: account for account in await inbox.list_accounts(session, sight)}
    changeable = {quick.id for quick in found if quick_replies.may_change(operator, quick)}
    return render(
        request,
        "quick_replies/list.html",
        groups=[
            ("everybody", [quick for quick in found if quick.owner_id is None]),
            ("own", [quick for quick in found if quick.owner_id is not None]),
        ],
        some=bool(found),
        pictures=pictures,
        accounts=accounts,
        changeable=changeable,
        examples=EXAMPLES,
    )


@router.get("/new")
async def new(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    example: Annotated[int | None, Query(ge=0, lt=len(EXAMPLES))] = None,
) -> Response:
    """An empty form; `chat` names one whose item it may be for, `example` one of ours to begin with."""
    shape = Shape(own=not Role(operator.role).covers(Role.ADMIN))
    if chat is not None:
        async with parts.store.read() as session:
            about = await inbox.get_chat(session, sight, chat)
        shape = Shape(own=shape.own, item=str(about.item_id or ""))
    if example is not None:
        words = reader_of(request).words
        name, texts = EXAMPLES[example]
        shape = Shape(name=words(name), texts=[words(text) for text in texts], own=shape.own)
    return await _form(request, parts, operator, sight, None, shape)


@router.post("")
async def add(
    request: Request,
    parts: Given,
    operator: Signed,
    by: Doer,
    sight: Seen,
    text: Texts,
    picture: Texts,
    name: Text = "",
    own: Text = "",
    account: Text = "",
    item: Text = "",
) -> Response:
    shape = _shape(name, text, own, account, item, picture)
    return await _write(request, parts, operator, by, sight, None, shape)


@router.post("/pictures", max_body_size=LARGEST + 1024)
async def attach(request: Request, parts: Given, operator: Signed) -> Response:
    """Takes a file as the request's body, and returns it as the form shows it. It is kept once the form is saved."""
    name = await parts.outbox.pictures.add(await uploaded(request))
    return render(request, "quick_replies/photo.html", value=name, source=f"/inbox/pictures/{name}")


@router.get("/pictures/{picture_id}")
async def picture(parts: Given, operator: Signed, sight: Seen, picture_id: RowId) -> Response:
    async with parts.store.read() as session:
        small = await quick_replies.read_small(session, sight, operator, picture_id)
    return Response(small, media_type="image/webp", headers=HEADERS)


@router.get("/{quick_id}")
async def edit(request: Request, parts: Given, operator: Signed, sight: Seen, quick_id: RowId) -> Response:
    async with parts.store.read() as session:
        quick = await quick_replies.get(session, sight, operator, quick_id)
        kept = (await quick_replies.list_pictures(session, [quick.id]))[quick.id]
    if not quick_replies.may_change(operator, quick):
        raise Forbidden("Only administrators change quick replies that are everybody's.")
    shape = Shape(
        name=quick.name,
        texts=quick.texts or [""],
        own=quick.owner_id is not None,
        account_id=quick.account_id,
        item=str(quick.item_id or ""),
        kept=kept,
    )
    return await _form(request, parts, operator, sight, quick, shape)


@router.post("/{quick_id}")
async def change(
    request: Request,
    parts: Given,
    operator: Signed,
    by: Doer,
    sight: Seen,
    quick_id: RowId,
    text: Texts,
    picture: Texts,
    name: Text = "",
    own: Text = "",
    account: Text = "",
    item: Text = "",
) -> Response:
    shape = _shape(name, text, own, account, item, picture)
    async with parts.store.read() as session:
        quick = await quick_replies.get(session, sight, operator, quick_id)
    return await _write(request, parts, operator, by, sight, quick, shape)


@router.post("/{quick_id}/remove")
async def remove(parts: Given, operator: Signed, by: Doer, sight: Seen, quick_id: RowId) -> Response:
    async with parts.store.write() as session:
        await quick_replies.remove(session, sight, operator, quick_id, by=by, now=parts.clock())
    return RedirectResponse("/quick-replies", 303)


async def _write(
    request: Request, parts: Parts, operator: Operator, by: By, sight: Sight, quick: QuickReply | None, shape: Shape
) -> Response:
    try:
        wording = Wording(
            name=shape.name,
            texts=shape.texts,
            own=shape.own,
            account_id=shape.account_id,
            item_id=read_item(shape.item),
            pictures=await read_pictures(parts, shape.kept, shape.attached),
        )
        async with parts.store.write() as session:
            quick_id = quick.id if quick else None
            await quick_replies.write(session, sight, operator, wording, quick_id=quick_id, by=by, now=parts.clock())
    except (Invalid, Conflict, NotFound, Rejected) as error:
        if isinstance(error, Forbidden):
            raise
        return await _form(request, parts, operator, sight, quick, shape, error)
    return RedirectResponse("/quick-replies", 303)


async def _form(
    request: Request,
    parts: Parts,
    operator: Operator,
    sight: Sight,
    quick: QuickReply | None,
    shape: Shape,
    error: GolubError | None = None,
) -> Response:
    async with parts.store.read() as session:
        accounts = await inbox.list_accounts(session, sight)
    context: dict[str, Any] = {"quick": quick, "shape": shape, "accounts": accounts, "error": error}
    return render(
        request,
        "quick_replies/form.html",
        status=422 if error else 200,
        variables=NAMES,
        texts_at_most=quick_replies.TEXTS,
        name_limit=quick_replies.NAME_LIMIT,
        text_limit=TEXT_LIMIT,
        **context,
    )


def _shape(name: str, texts: list[str], own: str, account: str, item: str, pictures: list[str]) -> Shape:
    """A photo is named by its row if it is kept, else as it was attached."""
    kept, attached = sort_pictures(pictures, quick_replies.PICTURES)
    return Shape(
        name=name,
        texts=texts or [""],
        own=own == "yes",
        account_id=parse_id(account),
        item=item.strip(),
        kept=kept,
        attached=attached,
    )
