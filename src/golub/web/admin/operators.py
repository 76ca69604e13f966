"""The page of operators: who there is, and with which role."""

from fastapi import APIRouter, Request, Response

from golub.web.page import render
from golub.web.parts import Given
from golub.web.session import Admin

router = APIRouter()


@router.get("/admin/operators")
async def show(request: Request, parts: Given, operator: Admin) -> Response:
    return render(request, "admin/operators.html", operators=await parts.operators.list_all())
