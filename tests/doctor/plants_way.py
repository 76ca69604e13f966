"""Faults on the way from Avito to us: names, ports, certificates, proxies."""

import asyncio
import socket
import ssl
from dataclasses import replace

from tests.doctor import house
from tests.doctor.house import CLOSED, House
from tests.doctor.planting import PLANTS, Plant, plants
from tests.doctor.proxy import HOST, Asked, authority, plain, serving, sign


def said(status: str, body: bytes = b"<h1>no</h1>", *headers: tuple[str, str], only: str = "") -> Plant:
    """The proxy answers webhooks by itself; `only` for one method."""

    def answer(asked: Asked) -> bytes | None:
        hit = asked.is_webhook and (not only or asked.method == only)
        return plain(status, body, ("Content-Type", "text/html"), *headers) if hit else None

    def plant(home: House) -> None:
        home.proxy.answers = answer

    return plant


PLANTS.update(
    {
        "redirected": said("301 Moved Permanently", b"", ("Location", f"https://www.{HOST}/webhook/avito/")),
        "password_asked": said("401 Unauthorized", b"", ("WWW-Authenticate", "Basic")),
        "forbidden": said("403 Forbidden"),
        "cdn_blocks": said("403 Forbidden", b"Just a moment", ("Server", "cloudflare"), ("cf-mitigated", "challenge")),
        "too_many": said("429 Too Many Requests"),
        "not_forwarded": said("404 Not Found"),
        "method_refused": said("405 Not Allowed", only="POST"),
        "fails": said("500 Internal Server Error"),
        "cannot_store": said("503 Service Unavailable", b'{"error":"full"}', ("X-Frame-Options", "DENY")),
        "not_ours": said("200 OK", b"<html>Welcome to nginx!</html>"),
    }
)


@plants("no_public_url")
def _(home: House) -> None:
    home.settings["public_url"] = ""


@plants("http_url")
def _(home: House) -> None:
    home.settings["public_url"] = f"http://{HOST}"


@plants("unfit_url")
def _(home: House) -> None:
    home.settings["public_url"] = f"https://{HOST}:8443"


@plants("name_nowhere")
def _(home: House) -> None:
    home.names = {}


@plants("name_private")
def _(home: House) -> None:
    home.names[HOST] = ["127.0.1.1"]


@plants("name_private_here", shares=False)
async def _(home: House) -> None:
    home.names[HOST] = ["192.168.1.10"]
    await home.buyer_writes()


@plants("port_refused")
def _(home: House) -> None:
    home.ports = {}


@plants("port_no_loop", shares=False)
async def _(home: House) -> None:
    home.ports = {}
    await home.buyer_writes()


@plants("port_silent")
def _(home: House) -> None:
    """A listener who accepts nobody: what comes when its queue is full is not even refused."""
    home.patience = 0.3
    deaf = home.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(3):
        waiting = home.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(deaf.getsockname())
    home.ports = {443: deaf.getsockname()[1]}


@plants("port_no_way")
def _(home: House) -> None:
    home.leads_to = "255.255.255.255"


@plants("http_only")
def _(home: House) -> None:
    home.ports[443] = CLOSED


@plants("one_address_dead")
def _(home: House) -> None:
    home.names[HOST] = [house.PUBLIC_ADDRESS, house.DEAD_ADDRESS]


@plants("tls_plain")
async def _(home: House) -> None:
    await home.serve(443, None)


@plants("tls_old")
async def _(home: House) -> None:
    """As a server says that knows no newer TLS: a fatal alert, 70, protocol_version."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes((0x15, 3, 1, 0, 2, 2, 70)))
        writer.close()

    server = await home.stack.enter_async_context(await asyncio.start_server(refuse, "127.0.0.1", 0))
    home.ports[443] = server.sockets[0].getsockname()[1]


@plants("tls_broken")
async def _(home: House) -> None:
    await home.serve(443, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # it has no certificate at all


@plants("chain_incomplete")
async def _(home: House) -> None:
    await home.serve(443, serving(home.folder, sign(HOST, authority()[1], host=HOST)))


@plants("self_signed")
async def _(home: House) -> None:
    await home.serve(443, serving(home.folder, sign(HOST, None, host=HOST)))


@plants("chain_expired")
async def _(home: House) -> None:
    root, _ = authority()
    between = sign("Test Authority R2", root, ca=True, days=(-500.0, -5.0))
    await home.serve(443, serving(home.folder, sign(HOST, between, host=HOST), between))


@plants("chain_distrusted")
async def _(home: House) -> None:
    nobody = sign("No authority", authority()[0])
    await home.serve(443, serving(home.folder, sign(HOST, nobody, host=HOST), nobody))


@plants("wrong_name")
async def _(home: House) -> None:
    await home.certificate(host="www.example.ru")


@plants("expired")
async def _(home: House) -> None:
    await home.certificate(days=(-91.0, -1.0))


@plants("not_yet_valid")
async def _(home: House) -> None:
    await home.certificate(days=(2.0, 92.0))


@plants("expires_soon")
async def _(home: House) -> None:
    await home.certificate(days=(-85.0, 5.0))


@plants("no_redirect")
async def _(home: House) -> None:
    await home.serve(80, None)


@plants("slow")
def _(home: House) -> None:
    home.proxy.delay = lambda asked: 2.1 if asked.body == b"{}" else 0.0


@plants("no_answer")
def _(home: House) -> None:
    home.patience = 0.3
    home.proxy.delay = lambda _: 30.0


@plants("broken_off")
def _(home: House) -> None:
    home.proxy.answers = lambda _: b""


@plants("proxy_alone")
def _(home: House) -> None:
    home.proxy.golub_port = CLOSED


@plants("not_known")
def _(home: House) -> None:
    home.proxy.change = lambda asked: replace(asked, target=asked.target[:-8] + "12345678")


@plants("not_here")
def _(home: House) -> None:
    home.proxy.answers = lambda asked: (
        plain("200 OK", b'{"status":"ok"}', ("Content-Type", "application/json")) if asked.is_webhook else None
    )


@plants("body_stripped")
def _(home: House) -> None:
    home.proxy.change = lambda asked: asked.with_body(b"")


@plants("body_rewritten")
def _(home: House) -> None:
    home.proxy.change = lambda asked: asked.with_body(b"{}") if asked.body else asked


@plants("headers_stripped")
def _(home: House) -> None:
    home.proxy.change = lambda asked: asked.without("x-avito-messenger-signature")


@plants("address_hidden")
def _(home: House) -> None:
    home.proxy.adds = lambda asked: asked


@plants("proxy_untrusted")
def _(home: House) -> None:
    home.proxy.adds = lambda asked: asked.plus("x-forwarded-for", "93.184.1.7, 172.18.0.2")


@plants("cdn_hides")
def _(home: House) -> None:
    home.proxy.adds = lambda asked: asked.plus("x-forwarded-for", "172.64.0.9").plus("cf-connecting-ip", "93.184.1.1")
