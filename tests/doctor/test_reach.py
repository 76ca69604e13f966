"""What the doctor must never do on its way: go into a private network, follow a redirect, send a secret unsafely."""

from pathlib import Path

import pytest

from golub.doctor import Check, Verdict
from tests.doctor import house
from tests.doctor.proxy import HOST, Asked, authority, plain, serving, sign

CLOSED = [
    "127.0.0.1", "127.0.1.1", "10.0.0.7", "192.168.1.10", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1",
    "0.0.0.0", "::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fe80::1",
]  # fmt: skip


@pytest.mark.row(10, 12)
async def test_it_never_knocks_at_a_private_address(tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        knocked: list[str] = []
        home.on_route = knocked.append
        for address in CLOSED:
            for names in ([address], [house.PUBLIC_ADDRESS, address])[: 2 if address == CLOSED[0] else 1]:
                home.names[HOST] = names
                found = {one.check: one for one in await home.examine()}
                assert found[Check.NAME].verdict is Verdict.WRONG, names
                assert found[Check.PORT].verdict is Verdict.UNKNOWN
    assert knocked == []


async def test_the_secret_goes_out_over_a_good_certificate_alone_and_follows_nobody(
    tmp_path: Path, sqlite_url: str
) -> None:
    asked: list[Asked] = []

    def note(one: Asked) -> bytes:
        asked.append(one)
        return plain("302 Found", b"", ("Location", "http://169.254.169.254/"))

    async with house.opened(tmp_path, sqlite_url) as home:
        webhook = await home.parts.subscriptions.get(home.account_id)
        secret = (await home.parts.subscriptions.url_of(webhook)).rpartition("/")[2]
        home.proxy.answers = note
        await home.serve(443, serving(home.folder, sign(HOST, authority()[1], host=HOST)))  # an incomplete chain
        await home.serve(80, None)
        await home.examine()
        assert [one.target for one in asked] == ["/webhook/avito"]  # on port 80, without the secret
        asked.clear()
        await home.certificate()
        found = await home.first()
    assert {secret in one.target for one in asked if one.method == "POST"} == {True}
    assert found.fault
    assert found.fault.name in {"redirected", "no_redirect"}
    assert secret not in str(found)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "http://localhost:8080"])
async def test_loopback_is_for_simulators_only(address: str, tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        home.settings["public_url"] = address
        assert (await home.first()).check is Check.PUBLIC_URL
