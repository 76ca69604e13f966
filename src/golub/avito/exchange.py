"""One HTTP request to Avito and its answer, whatever that says. Where there is none, what is raised tells whether the
request may have arrived: the client, and by it the outbox, decides by that."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from golub import __version__
from golub.avito.errors import Down
from golub.errors import Ambiguous

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
CALL_SECONDS = 30.0  # all of one call: an answer that drips has no other end
UPLOAD_SECONDS = 90.0  # 24 MB over a shop's line
ANSWER_BYTES = 5 << 20

_NEVER_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class Exchange:
    """`transport` is the network, or a simulator's; `call_seconds` are fewer in tests alone."""

    def __init__(self, url: str, transport: httpx2.AsyncBaseTransport | None, call_seconds: float) -> None:
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=20)
        self._client = httpx2.AsyncClient(
            base_url=url,
            transport=transport or httpx2.AsyncHTTPTransport(limits=limits, trust_env=False),
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": f"Golub/{__version__}", "accept": "application/json", "accept-encoding": "identity"},
        )
        self.call_seconds = call_seconds

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        json: Any = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        sends: bool = False,
        file: tuple[str, bytes] | None = None,
    ) -> tuple[int, httpx2.Headers, bytes]:
        """Status, headers and body, the body capped. Raises `Down`, and `Ambiguous` on a send that may have left."""
        request = self._client.build_request(
            method,
            path,
            headers={"authorization": f"Bearer {token}"} if token else {},
            json=json,
            data=form,
            params=query,
            files={"uploadfile[]": file} if file else None,
        )
        try:
            async with asyncio.timeout(UPLOAD_SECONDS if file else self.call_seconds):
                response = await self._client.send(request, stream=True)
                try:
                    raw = bytearray()
                    async for chunk in response.aiter_bytes():
                        raw += chunk
                        if len(raw) > ANSWER_BYTES:
                            raise httpx2.DecodingError("too large", request=request)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            if sends and not isinstance(error, _NEVER_LEFT):
                raise Ambiguous("Avito's answer to the message was lost.") from error
            raise Down("Avito does not answer. Golub tries again by itself.") from error
        return response.status_code, response.headers, bytes(raw)
