"""What an alert says, in the language of the owner. A text has places for `{account}` and `{detail}`.

Each says what it means for the customer's messages and what to do now, for somebody who reads it on a phone.
"""

from enum import StrEnum
from typing import NamedTuple


class AlertKind(StrEnum):
    SUBSCRIPTION_MISSING = "subscription_missing"
    SUBSCRIPTION_STOLEN = "subscription_stolen"
    WEBHOOK_SILENT = "webhook_silent"
    REPAIR_RESTS = "repair_rests"
    WRONG_KEYS = "wrong_keys"
    NO_ACCESS = "no_access"
    AVITO_UNREACHABLE = "avito_unreachable"
    QUARANTINE_GROWS = "quarantine_grows"
    RELAY_FAILING = "relay_failing"
    SPOOL_STUCK = "spool_stuck"
    SPOOL_FILLS = "spool_fills"
    DATABASE_AWAY = "database_away"
    TEST = "test"


class Texts(NamedTuple):
    opened: str
    closed: str


_RUSSIAN = {
    AlertKind.SUBSCRIPTION_MISSING: Texts(
        "{account}: Авито больше не присылает нам сообщения, подписки нет. Пока Golub забирает их сам, с задержкой "
        "в несколько минут. Зарегистрируйте Webhook ещё раз.",
        "{account}: подписка снова на месте, сообщения приходят сразу.",
    ),
    AlertKind.SUBSCRIPTION_STOLEN: Texts(
        "{account}: сообщения с Авито теперь получает другой сервис, {detail}. Авито присылает их только одному. "
        "Пока Golub забирает их сам, с задержкой в несколько минут. Решите, какой сервис должен остаться.",
        "{account}: подписка снова у Golub, сообщения приходят сразу.",
    ),
    AlertKind.WEBHOOK_SILENT: Texts(
        "{account}: покупатели пишут, а Авито не присылает нам их сообщения, хотя подписка на месте. Пока Golub "
        "забирает их сам, раз в минуту. Нажмите «Проверить» на странице Webhook: возможно, адрес закрыт снаружи.",
        "{account}: Авито снова присылает сообщения сразу.",
    ),
    AlertKind.REPAIR_RESTS: Texts(
        "{account}: подписку снова и снова забирает другой сервис, {detail}. Golub вернул её несколько раз за час и "
        "пока остановился; сообщения забирает сам, с задержкой. Отключите Авито в том сервисе или решите, "
        "кто останется.",
        "{account}: спор о подписке окончен, Golub снова следит за ней сам.",
    ),
    AlertKind.WRONG_KEYS: Texts(
        "{account}: Авито не принимает ключи. Входящие сообщения приходят, но ответить из Golub нельзя. "
        "Введите новые client id и secret.",
        "{account}: ключи снова работают, отвечать можно.",
    ),
    AlertKind.NO_ACCESS: Texts(
        "{account}: Авито закрыл доступ к API мессенджера. Чаще всего закончился тариф, в который он входит. "
        "Ответить из Golub нельзя, пока доступ не вернётся.",
        "{account}: доступ к API мессенджера вернулся, отвечать можно.",
    ),
    AlertKind.AVITO_UNREACHABLE: Texts(
        "{account}: Авито не отвечает нам больше пятнадцати минут. Ответы ждут в очереди и уйдут сами.",
        "{account}: Авито снова отвечает, очередь отправляется.",
    ),
    AlertKind.QUARANTINE_GROWS: Texts(
        "{account}: за последний час Golub не смог разобрать доставок: {detail}. Они сохранены в карантине. "
        "Посмотрите причину в журнале.",
        "{account}: за последний час новых доставок в карантине нет.",
    ),
    AlertKind.RELAY_FAILING: Texts(
        "{account}: сообщения не пересылаются на {detail}. В Golub они приходят, а пересылка ждёт, ничего не "
        "потеряно. Проверьте ту службу, потом откройте «Пересылку» на странице Webhook.",
        "{account}: пересылка снова работает.",
    ),
    AlertKind.SPOOL_STUCK: Texts(
        "Сообщения принимаются и сохраняются, но уже {detail} не попадают во входящие. Проверьте базу данных и место "
        "на диске; ничего не потеряно.",
        "Сообщения снова попадают во входящие сразу.",
    ),
    AlertKind.SPOOL_FILLS: Texts(
        "Накопитель принятых сообщений заполнен на {detail}. Когда он заполнится совсем, Golub перестанет принимать "
        "новые. Проверьте базу данных и место на диске.",
        "В накопителе снова есть место.",
    ),
    AlertKind.DATABASE_AWAY: Texts(
        "База данных не отвечает больше двух минут. Сообщения принимаются и сохраняются, но страницы не открываются.",
        "База данных снова отвечает.",
    ),
    AlertKind.TEST: Texts("Это проверка: сюда Golub напишет, если с сообщениями что-то случится.", ""),
}

_ENGLISH = {
    AlertKind.SUBSCRIPTION_MISSING: Texts(
        "{account}: Avito no longer sends us messages, the subscription is gone. For now Golub fetches them itself, "
        "some minutes late. Register the webhook again.",
        "{account}: the subscription is back, messages come at once.",
    ),
    AlertKind.SUBSCRIPTION_STOLEN: Texts(
        "{account}: another service, {detail}, now gets the messages from Avito, which sends them to one service only. "
        "For now Golub fetches them itself, some minutes late. Decide which service should stay.",
        "{account}: the subscription is Golub's again, messages come at once.",
    ),
    AlertKind.WEBHOOK_SILENT: Texts(
        "{account}: buyers write and Avito sends us none of it, though the subscription stands. For now Golub fetches "
        "the messages itself, every minute. Press “Check” on the page of webhooks: perhaps it cannot be reached "
        "from outside.",
        "{account}: Avito sends messages at once again.",
    ),
    AlertKind.REPAIR_RESTS: Texts(
        "{account}: another service, {detail}, takes the subscription again and again. Golub took it back several "
        "times within an hour and now rests; it fetches messages itself, some minutes late. Disconnect Avito in that "
        "service, or decide which one stays.",
        "{account}: the quarrel about the subscription is over, Golub looks after it by itself again.",
    ),
    AlertKind.WRONG_KEYS: Texts(
        "{account}: Avito does not accept the keys. Messages come in, but nobody can reply from Golub. "
        "Enter a new client id and secret.",
        "{account}: the keys work again, and so do replies.",
    ),
    AlertKind.NO_ACCESS: Texts(
        "{account}: Avito has closed its messenger API. Most often the plan that includes it has run out. "
        "Nobody can reply from Golub until it is back.",
        "{account}: the messenger API is open again, and replies work.",
    ),
    AlertKind.AVITO_UNREACHABLE: Texts(
        "{account}: Avito has not answered us for more than fifteen minutes. Replies wait in the queue and will go out "
        "by themselves.",
        "{account}: Avito answers again, the queue is going out.",
    ),
    AlertKind.QUARANTINE_GROWS: Texts(
        "{account}: deliveries that Golub could not read in the last hour: {detail}. They are kept in quarantine. "
        "Look at the cause in the journal.",
        "{account}: nothing new in quarantine in the last hour.",
    ),
    AlertKind.RELAY_FAILING: Texts(
        "{account}: messages do not reach {detail}, where they are forwarded to. In Golub they arrive as usual; the "
        "forwarding waits; nothing is lost. Check that service, then open “Forwarding” on the page of webhooks.",
        "{account}: forwarding works again.",
    ),
    AlertKind.SPOOL_STUCK: Texts(
        "Messages are received and kept, but for {detail} none has got into the inbox. Check the database and the "
        "disk; nothing is lost.",
        "Messages get into the inbox at once again.",
    ),
    AlertKind.SPOOL_FILLS: Texts(
        "The spool of received messages is {detail} full. Once it is full, Golub takes no new ones. Check the "
        "database and the disk.",
        "There is room in the spool again.",
    ),
    AlertKind.DATABASE_AWAY: Texts(
        "The database has not answered for more than two minutes. Messages are received and kept; pages do not open.",
        "The database answers again.",
    ),
    AlertKind.TEST: Texts("This is a test: here Golub will write when something happens to your messages.", ""),
}

TEXTS: dict[str, dict[AlertKind, Texts]] = {"ru": _RUSSIAN, "en": _ENGLISH}


def text_of(kind: AlertKind, locale: str, *, closed: bool, account: str = "", detail: str = "") -> str:
    texts = TEXTS.get(locale, _RUSSIAN)[kind]
    return (texts.closed if closed else texts.opened).format(account=account, detail=detail)
