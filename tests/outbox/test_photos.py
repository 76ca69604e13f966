"""Photos go the way of replies: uploaded, sent once, found again by their name, and forgotten here."""

import random
from collections import Counter

import pytest

from golub.clock import HOUR, MINUTE
from golub.model import OutgoingState
from golub.outbox import LEASE
from tests.conftest import AtScale
from tests.outbox.desk import PHOTO, Desk, photos
from tests.promises import Figures


async def test_a_photo_is_uploaded_sent_once_and_forgotten_here(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    name = await desk.outbox.pictures.add(PHOTO)
    photo, words = await desk.attach(ours, name), await desk.write(ours, "вот он")
    await desk.work()
    assert [message.type for message in theirs.history] == ["image", "text"]
    assert (await desk.reply(photo)).message_avito_id == theirs.history[0].id
    assert (await desk.reply(words)).state == OutgoingState.SENT
    assert not desk.outbox.pictures.has(name)


async def test_a_lost_upload_is_done_again(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("uploadImages", status=500, after=True, times=2)
    photo = await desk.attach(ours)
    for _ in range(4):
        await desk.work()
        desk.clock.step(MINUTE)
    assert (await desk.reply(photo)).state == OutgoingState.SENT
    assert photos(theirs) == 1


async def test_a_slow_upload_leaves_its_message_all_the_time_it_needs(desk: Desk) -> None:
    _, ours = await desk.chat()
    photo = await desk.attach(ours)
    leases: list[int] = []

    async def meanwhile(path: str) -> None:
        if path.endswith("/uploadImages"):
            desk.clock.step(2 * MINUTE)
        elif path.endswith("/messages/image"):
            leases.append(((await desk.reply(photo)).due_at or 0) - desk.clock())

    desk.network.meanwhile = meanwhile
    await desk.work()
    assert leases == [LEASE]
    assert (await desk.reply(photo)).state == OutgoingState.SENT


async def test_a_photo_whose_answer_was_lost_is_found_by_its_name(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500, after=True, times=2)
    first, second = await desk.attach(ours), await desk.attach(ours)
    await desk.work()
    found = [await desk.reply(one) for one in (first, second)]
    assert [one.state for one in found] == [OutgoingState.SENT] * 2
    assert [one.message_avito_id for one in found] == [message.id for message in theirs.history]


@pytest.mark.parametrize("named", ["another", "{id}0", ""])
async def test_a_photo_of_the_right_time_is_never_taken_for_another(desk: Desk, named: str) -> None:
    """Where no address names the picture nobody can know whose it is: a person decides."""
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500)
    photo = await desk.attach(ours)
    await desk.work()
    lost = await desk.reply(photo)
    shown = named.format(id=lost.image_avito_id)
    content = {"image": {"sizes": {"640x480": f"https://img.avito.example/640x480/{shown}.jpg"} if shown else {}}}
    await desk.sim.shop_says(theirs, "", "image", content)  # a colleague, in Avito's own application
    for _ in range(6):
        desk.clock.step(MINUTE)
        await desk.work()
    assert (await desk.reply(photo)).state == OutgoingState.UNCONFIRMED
    assert len(await desk.ours(ours)) == 1


async def test_a_photo_that_is_nowhere_to_be_found_waits_for_a_person(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500)
    photo = await desk.attach(ours)
    for _ in range(6):
        await desk.work()
        desk.clock.step(HOUR)
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.UNCONFIRMED, 0)
    await desk.retry(photo)
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.SENT, 1)


async def test_a_refused_photo_says_why_and_is_uploaded_anew(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    refused = {"error": {"code": 400, "message": "bad picture"}}
    desk.sim.fault("uploadImages", status=400, body=refused)
    desk.sim.fault("postSendImageMessage", status=400, body=refused)
    photo = await desk.attach(ours)
    for _ in range(2):
        await desk.work()
        reply = await desk.reply(photo)
        assert (reply.state, reply.error, reply.image_avito_id) == (OutgoingState.REJECTED, "bad picture", "")
        await desk.retry(photo)
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.SENT, 1)


async def test_a_photo_that_was_given_up_leaves_the_disk(desk: Desk) -> None:
    _, ours = await desk.chat()
    photo = await desk.attach(ours)
    name = (await desk.reply(photo)).picture
    await desk.outbox.discard(photo)
    assert not desk.outbox.pictures.has(name)


@pytest.mark.promise("P7")
async def test_whoever_dies_around_a_photo_sends_it_once_or_says_so(
    desk: Desk, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    dice = random.Random(seed)
    theirs, ours = await desk.chat()
    ended: Counter[str] = Counter()
    for trial in range(at_scale(8, 100)):
        photo = await desk.attach(ours)
        at_upload = trial % 5 == 0
        desk.sim.fault("uploadImages" if at_upload else "postSendImageMessage", hang=True, after=trial % 4 != 0)
        steps = dice.choice([0, 1, 5, 20, 60])
        reply = await desk.die_and_go_on(photo, on_arrival=not at_upload and trial % 3 != 0, steps=steps)
        ended[reply.state] += 1
        assert photos(theirs) == ended[OutgoingState.SENT]
        if reply.state == OutgoingState.UNCONFIRMED:
            await desk.outbox.discard(photo)  # the person looked at Avito: it is not there
    figures(trials=sum(ended.values()), double_sends=photos(theirs) - ended[OutgoingState.SENT], **ended)
    assert ended.keys() <= {OutgoingState.SENT, OutgoingState.UNCONFIRMED}
    assert ended[OutgoingState.SENT] > 0
