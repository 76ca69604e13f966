"""Errors as answers: a page in the reader's language, a toast for htmx, always JSON under `/api/`.

The one place where `GolubError` meets HTTP. What nobody foresaw says nothing of its inside, only an id to look up in
the log.
"""

import secrets

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from golub.errors import GolubError, Invalid, NotFound, Rejected, Unavailable
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.session import Led, NotSignedIn, guard, is_api, sign_in_url


def answer_errors(app: FastAPI) -> None:
    """Registers the handlers."""
    app.add_exception_handler(GolubError, _golub)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


async def _golub(request: Request, error: Exception) -> Response:
    if not isinstance(error, GolubError):
        raise error
    return _answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, ClientDisconnect):
        return Response(status_code=400)  # nobody is left who could read a page
    told = {
        404: NotFound("There is no such page."),
        405: Rejected("This address does not take such a request.", code="method"),
        413: Rejected("This request is too large.", code="too_large"),
    }.get(error.status_code, Rejected("This request is not understood.", code="malformed"))
    if error.status_code == 400 and (refused := await _refused(request)):
        return refused
    answer = _answer(request, told, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _validation(request: Request, error: Exception) -> Response:
    if refused := await _refused(request):
        return refused
    field = ""
    if isinstance(error, RequestValidationError) and (found := error.errors()):
        field = str(found[0]["loc"][-1])
    return _answer(request, Invalid("Something in the request is missing or of the wrong kind.", field=field), 422)


async def _refused(request: Request) -> Response | None:
    """The answer to whoever may not use this part of the API: its body is parsed before `guard` has run, and what is
    wrong with one is no stranger's business."""
    if not is_api(request) or "route" not in request.scope:
        return None
    try:
        await guard(request)
    except GolubError as error:
        return _answer(request, error)
    return None


async def _unforeseen(request: Request, _: Exception) -> Response:
    """`Envelope` writes the log line, with this id."""
    request.state.request_id = request_id = secrets.token_hex(6)
    if is_api(request):
        return JSONResponse({"error": "Internal error", "request_id": request_id}, 500)
    return _page(request, 500, "", "", request_id=request_id)


def _answer(request: Request, error: GolubError, status: int | None = None) -> Response:
    status = status or error.status
    words = reader_of(request).words
    message = words(error.message, **error.fields)
    if is_api(request):
        answer: Response = JSONResponse({"error": str(error), "message": message, "code": error.code}, status)
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, NotSignedIn):
        return _lead(request, sign_in_url(request), "/sign-in", message, status)
    elif isinstance(error, Led):
        return _lead(request, error.page, error.page, message, status)
    else:
        answer = _page(request, status, error.code, message)
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return answer


def _lead(request: Request, page: str, from_part: str, message: str, status: int) -> Response:
    """A person goes to `page`, or to `from_part` where htmx asked; a program gets the status."""
    if "hx-request" in request.headers:
        return Response(status_code=status, headers={"HX-Redirect": from_part})
    accepted = request.headers.get("accept", "")  # a page that our worker asks for is told by this alone
    is_page = request.headers.get("sec-fetch-dest", "document") == "document" or "text/html" in accepted
    if is_page and "text/event-stream" not in accepted:
        return RedirectResponse(page, 303)
    return Response(message, status, media_type="text/plain")  # a stream, a picture, a script's fetch


def _page(request: Request, status: int, code: str, message: str, request_id: str = "") -> Response:
    if "hx-request" in request.headers:
        answer = render(request, "toast.html", status=status, kind="bad", message=message, request_id=request_id)
        answer.headers.update({"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"})
        return answer
    return render(
        request, "error.html", status=status, code=code, status_code=status, message=message, request_id=request_id
    )
