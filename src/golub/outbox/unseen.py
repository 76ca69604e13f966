"""What was said in a chat since the writer of a reply last looked: the buyer's words, and what a colleague answered.

Row ids are the measure. Within a chat they grow in the order of their commits, for whoever adds a row holds the chat:
`fold` a message, `hold` a reply. So of two answers to one question the second is always told of the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.model import Chat, Direction, Message, Operator, OutgoingMessage, OutgoingState

MOST = 20  # of each are told; who missed more has to look into the chat anyway
_ON_ITS_WAY = (OutgoingState.SENDING, OutgoingState.UNCONFIRMED)
_CAME_TO_NOTHING = (OutgoingState.DISCARDED, OutgoingState.REJECTED)
_NEWEST = select(func.max(OutgoingMessage.id)).where(OutgoingMessage.chat_id == bindparam("chat"))


@dataclass(frozen=True, slots=True)
class Screen:
    """What a writer has before his eyes: the newest message and the newest reply, by row id; 0 where there is none."""

    message_id: int
    outgoing_id: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """Oldest first. `messages` are the buyer's, and ours that were written at Avito; `replies` are colleagues', each
    with its writer's name, and `screen` is a screen that shows all this too."""

    messages: Sequence[Message]
    replies: Sequence[tuple[OutgoingMessage, str]]
    screen: Screen

    def __bool__(self) -> bool:
        return bool(self.messages or self.replies)


async def hold(session: AsyncSession, chat_id: int) -> None:
    """Until the session's transaction ends nobody else adds a message or a reply to the chat."""
    await session.execute(select(Chat.id).where(Chat.id == chat_id).with_for_update(key_share=True))


async def find_newest_reply(session: AsyncSession, chat_id: int) -> int:
    """The row id of the last reply that was asked for, whatever became of it."""
    return await session.scalar(_NEWEST, {"chat": chat_id}) or 0


async def find_unseen(session: AsyncSession, chat_id: int, operator_id: int, seen: Screen) -> Unseen:
    """What this operator is told before he answers. Not history that was only now read, not what was taken back, not
    his own replies, nor the messages that they have become; and not automatic ones, which answer nothing."""
    of_the_chat = OutgoingMessage.chat_id == chat_id
    ours = exists().where(of_the_chat, OutgoingMessage.message_avito_id == Message.avito_id)
    may_become_one = exists().where(of_the_chat, OutgoingMessage.state.in_(_ON_ITS_WAY))
    newest_first = (
        select(Message)
        .where(
            Message.chat_id == chat_id,
            Message.id > seen.message_id,
            Message.quiet.is_(False),
            Message.deleted_at.is_(None),
            or_(
                Message.direction == Direction.IN,
                (Message.direction == Direction.OUT) & ~ours & ~may_become_one,
            ),
        )
        .order_by(Message.id.desc())
        .limit(MOST)
    )
    messages = list(await session.scalars(newest_first))[::-1]
    written = (
        select(OutgoingMessage, Operator.name)
        .outerjoin(Operator, Operator.id == OutgoingMessage.operator_id)
        .where(
            of_the_chat,
            OutgoingMessage.id > seen.outgoing_id,
            OutgoingMessage.operator_id != operator_id,
            OutgoingMessage.state.not_in(_CAME_TO_NOTHING),
        )
        .order_by(OutgoingMessage.id.desc())
        .limit(MOST)
    )
    replies = [(reply, name or "") for reply, name in await session.execute(written)][::-1]
    screen = Screen(
        max([seen.message_id, *(message.id for message in messages)]),
        max([seen.outgoing_id, *(reply.id for reply, _ in replies)]),
    )
    return Unseen(messages, replies, screen)
