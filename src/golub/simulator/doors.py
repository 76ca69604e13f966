"""Every URL of the simulator on one page: Avito's API, the pictures and voices, the control API, the buyer's page."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from golub.simulator import page
from golub.simulator.api import Api, picture, unknown_route, voice

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator


def application(sim: "Simulator") -> Starlette:
    def of(show: "Callable[[Request, Simulator], Awaitable[Response]]") -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await show(request, sim)

        return endpoint

    not_found = sim.gate.public("unknown", unknown_route)
    routes: list[BaseRoute] = [
        *Api(sim).routes(),
        *sim.control.routes(),
        *page.ROUTES,
        Route("/img/{size}/{name}.jpg", of(picture)),
        Route("/voice/{voice_id}.wav", of(voice)),
    ]

    async def gateway(request: Request, _problem: Exception) -> Response:
        """Also for a known path with another method: GET on subscriptions is a 404."""
        return await not_found(request)

    app = Starlette(routes=routes, exception_handlers={404: gateway, 405: gateway})
    app.router.redirect_slashes = False  # the slash of getMessagesV3 matters
    return app
