"""What an alert says, in the language of the owner. A text has places for `{account}` and `{detail}`.

Each says what it means for the customer's messages and what to do now, for somebody who reads it on a phone.
"""

from typing import NamedTuple

from golub.alerts.kinds import AlertKind


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
        "{account}: покупатели пишут, а Авито не присылает нам их сообщения. Пока Golub забирает их сам, раз "
        "в минуту. Нажмите «Проверить» на странице Webhook: возможно, адрес закрыт снаружи.",
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
    AlertKind.BAD_SIGNATURE: Texts(
        "{account}: подпись доставок не сошлась, они в карантине: {detail}. Настоящие сообщения Golub забирает у Авито "
        "сам, с задержкой в несколько минут. Откройте «Подпись»: либо Авито стал подписывать иначе, либо сообщения "
        "кто-то подделывает.",
        "{account}: доставок с чужой подписью в карантине больше нет.",
    ),
    AlertKind.IP_NOT_ALLOWED: Texts(
        "{account}: доставки с секретным адресом пришли не из разрешённых сетей, они в карантине: {detail}. Настоящие "
        "сообщения Golub забирает у Авито сам, с задержкой в несколько минут. Откройте «Сети»: либо Авито стал "
        "присылать из других сетей, либо секретный адрес узнал кто-то ещё.",
        "{account}: доставок из неразрешённых сетей в карантине больше нет.",
    ),
    AlertKind.RELAY_FAILING: Texts(
        "{account}: сообщения не пересылаются на {detail}. В Golub они приходят, а пересылка ждёт, ничего не "
        "потеряно. Проверьте ту службу, потом откройте «Пересылку» на странице Webhook.",
        "{account}: пересылка снова работает.",
    ),
    AlertKind.SPOOL_STUCK: Texts(
        "Сообщения принимаются и сохраняются, но уже {detail} мин не попадают во входящие. Проверьте базу данных и "
        "место на диске; ничего не потеряно.",
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
    AlertKind.DISK_FULL: Texts(
        "Диск сервера заполнен, осталось {detail} МБ. Как только места не будет совсем, Golub перестанет принимать "
        "сообщения. Освободите место: удалите старые файлы или увеличьте диск.",
        "На диске снова есть место.",
    ),
    AlertKind.DISK_LOW: Texts(
        "На диске сервера осталось {detail} МБ. Сообщения пока принимаются. Освободите место или увеличьте диск, "
        "пока он не заполнился.",
        "На диске снова достаточно места.",
    ),
    AlertKind.APPLY_STOPPED: Texts(
        "Сообщения принимаются и сохраняются, но во входящие не попадают: эта часть Golub остановилась. Перезапустите "
        "Golub, и всё дойдёт само.",
        "Сообщения снова попадают во входящие.",
    ),
    AlertKind.LOOP_STUCK: Texts(
        "Одна из частей Golub не справляется с работой: {detail}. Сообщения принимаются. Перезапустите Golub; если "
        "повторится, откройте «Доктор».",
        "Все части Golub снова работают.",
    ),
    AlertKind.OUTBOX_WAITS: Texts(
        "{account}: про ответы, отправленные покупателям, Авито не сообщил, дошли ли они: {detail}. Откройте чат и "
        "решите, отправить ли ещё раз.",
        "{account}: неподтверждённых ответов больше нет.",
    ),
    AlertKind.COVERAGE_LOW: Texts(
        "{account}: за сутки Авито прислал сразу лишь {detail} сообщений, остальные Golub забрал сам, с опозданием. "
        "Посмотрите на странице аккаунта, когда и почему это было.",
        "{account}: почти все сообщения снова приходят сразу.",
    ),
    AlertKind.BACKUP_OLD: Texts(
        "Свежей резервной копии нет уже {detail} ч. Проверьте место на диске и журнал Golub, или сделайте копию сами: "
        "golub backup.",
        "Резервная копия снова свежая.",
    ),
    AlertKind.WORKER_AWAY: Texts(
        "Рабочий процесс Golub (golub serve --role worker) не работает. Сообщения принимаются, но ответы не уходят, и "
        "пропущенное никто не забирает. Запустите его.",
        "Рабочий процесс Golub снова работает, ответы уходят.",
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
        "{account}: buyers write and Avito sends us none of it. For now Golub fetches the messages itself, every "
        "minute. Press “Check” on the page of webhooks: perhaps it cannot be reached from outside.",
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
    AlertKind.BAD_SIGNATURE: Texts(
        "{account}: deliveries whose signature does not fit are kept in quarantine: {detail}. Golub fetches the real "
        "messages from Avito itself, some minutes late. Open “Signature”: either Avito now signs in another way, or "
        "somebody forges messages.",
        "{account}: no delivery with a wrong signature is in quarantine any more.",
    ),
    AlertKind.IP_NOT_ALLOWED: Texts(
        "{account}: deliveries on the secret address came from networks that are not allowed, and are kept in "
        "quarantine: {detail}. Golub fetches the real messages from Avito itself, some minutes late. Open “Networks”: "
        "either Avito now calls from other networks, or somebody else knows the secret address.",
        "{account}: no delivery from a network that is not allowed is in quarantine any more.",
    ),
    AlertKind.RELAY_FAILING: Texts(
        "{account}: messages do not reach {detail}, where they are forwarded to. In Golub they arrive as usual; the "
        "forwarding waits; nothing is lost. Check that service, then open “Forwarding” on the page of webhooks.",
        "{account}: forwarding works again.",
    ),
    AlertKind.SPOOL_STUCK: Texts(
        "Messages are received and kept, but for {detail} min none has got into the inbox. Check the database "
        "and the disk; nothing is lost.",
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
    AlertKind.DISK_FULL: Texts(
        "The server's disk is full, {detail} MB are left. Once nothing is left, Golub takes no new messages. Make "
        "room: delete old files, or enlarge the disk.",
        "There is room on the disk again.",
    ),
    AlertKind.DISK_LOW: Texts(
        "{detail} MB are left on the server's disk. Messages are still received. Make room or enlarge the disk before "
        "it is full.",
        "There is enough room on the disk again.",
    ),
    AlertKind.APPLY_STOPPED: Texts(
        "Messages are received and kept, but do not get into the inbox: that part of Golub has stopped. Restart "
        "Golub, and everything arrives by itself.",
        "Messages get into the inbox again.",
    ),
    AlertKind.LOOP_STUCK: Texts(
        "A part of Golub cannot do its work: {detail}. Messages are received. Restart Golub; if it comes back, open "
        "the doctor.",
        "All parts of Golub work again.",
    ),
    AlertKind.OUTBOX_WAITS: Texts(
        "{account}: Avito has not said whether replies have arrived: {detail}. Open the chat and decide whether to "
        "send again.",
        "{account}: no reply waits for a decision any more.",
    ),
    AlertKind.COVERAGE_LOW: Texts(
        "{account}: within a day Avito sent only {detail} of the messages at once; Golub fetched the others, late. "
        "See on the account's page when and why.",
        "{account}: nearly all messages come at once again.",
    ),
    AlertKind.BACKUP_OLD: Texts(
        "There has been no fresh backup for {detail} h. Check the disk and Golub's log, or make one yourself: "
        "golub backup.",
        "The backup is fresh again.",
    ),
    AlertKind.WORKER_AWAY: Texts(
        "No worker of Golub runs (golub serve --role worker). Messages are received, but replies do not go out, and "
        "nobody fetches what was missed. Start it.",
        "A worker of Golub runs again, and replies go out.",
    ),
    AlertKind.TEST: Texts("This is a test: here Golub will write when something happens to your messages.", ""),
}

TEXTS: dict[str, dict[AlertKind, Texts]] = {"ru": _RUSSIAN, "en": _ENGLISH}


def text_of(kind: AlertKind, locale: str, *, closed: bool, account: str = "", detail: str = "") -> str:
    texts = TEXTS.get(locale, _RUSSIAN)[kind]
    return (texts.closed if closed else texts.opened).format(account=account, detail=detail)
