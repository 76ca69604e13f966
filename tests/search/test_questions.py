"""Questions over what buyers and sellers really write, with what each must find; the same on both databases."""

import asyncio
from collections.abc import Generator

import pytest

from golub.errors import Invalid
from golub.index import entries, statements
from golub.index.question import Facet, ask
from golub.store import Store
from tests.fold.world import World, a_world, api_chat, webhook
from tests.shapes import CREATED

SAID = {
    "hello": "Здравствуйте! Ещё продаёте? 😊",
    "delivery": "А доставка до Твери возможна?",
    "deliver": "Доставки нет, только самовывоз",
    "sdek": "Отправлю СДЭКом или Авито Доставкой, как удобнее",
    "tree": "Ёлку уже забрали?",
    "phone": "Звоните: 8 (916) 123-45-67, Сергей",
    "phone2": "мой номер +79031112233",
    "phone3": "пишите в ватсап 9051234567",
    "abroad": "Я в Минске, +375 29 555-44-33",
    "iphone": "iPhone 13 128гб, аккум 87%",
    "iphone14": "Айфон 14 Pro есть? iphone13 тоже интересует",
    "size": "Размер 42-44, рост 164",
    "price": "Отдам за 45 000 ₽, торг уместен",
    "price2": "за 45000 заберу сегодня",
    "big": "128000 дорого, 12800 нормально",
    "wifi": "Роутер с wi-fi 6, USB-C",
    "english": "Do you ship to Germany? Shipping costs?",
    "mixed": "Можно скинуть фото в Telegram, nickname @petrov_85",
    "thumb": "👍",
    "heart": "Спасибо ❤️ всё пришло целым",
    "address": "Адрес: ул. Ленина, д. 5, кв. 12; метро «Чистые пруды»",
    "stress": "Какой за\u0301мок стоит на двери?",
    "joined": "дос\u00adтавлю сам",
    "yo": "Могу за всё дать 500р, всё-таки б/у",
    "caps": "ТОРГ ЕСТЬ??? ДИВАН НУЖЕН СРОЧНО",
    "sofa": "Когда можно посмотреть диван-кровать?",
    "sofas": "Диванов таких два, оба новые",
    "quote": "Код товара AB-1234/56",
    "mark": "100% оригинал, есть чек; скидка = 10 %",
    "kitten": "Котёнок ещё у вас? Хотим котят",
    "which": "которые остались",
}
CHATS = {"u2i-abc": ("Ирина Петрова", "Детский велосипед"), "u2i-x": ("Ёлкин Пётр", "iPhone 13, 128 ГБ")}

FINDS: list[tuple[str, str]] = [
    ("доставка", "delivery deliver sdek"),
    ("доставки", "delivery deliver sdek"),
    ("ДОСТАВКОЙ", "delivery deliver sdek"),
    ("достав", "delivery deliver sdek joined"),
    ("доставл", "joined"),
    ("елка", "tree"),
    ("Ёлку", "tree"),
    ("ёлкин", "u2i-x"),
    ("+7 916", "phone"),
    ("8916", "phone"),
    ("8 (916) 123", "phone"),
    ("89161234567", "phone"),
    ("+7 (916) 123-45-67", "phone"),
    ("9161234567", "phone"),
    ("4567", "phone phone3"),
    ("123-45-67", "phone phone3"),
    ("8 903 111", "phone2"),
    ("+7905", "phone3"),
    ("+375 29", "abroad"),
    ("iphone 13 128", "iphone u2i-x"),
    ("iphone13", "iphone iphone14 u2i-x"),
    ("айфон", "iphone14"),
    ("iPhone", "iphone iphone14 u2i-x"),
    ("128", "iphone u2i-x"),
    ("128гб", "iphone u2i-x"),
    ("1280", "big"),
    ("42-44", "size"),
    ("45000", "price price2"),
    ("45 000", "price price2"),
    ("wi-fi", "wifi"),
    ("usb-c", "wifi"),
    ("ship", "english"),
    ("shipped", "english"),
    ("telegram фото", "mixed"),
    ("@petrov_85", "mixed"),
    ("петрова", "u2i-abc"),
    ("👍", "thumb"),
    ("👍🏽", "thumb"),
    ("❤", "heart"),
    ("ленина 5", "address"),
    ("«чистые пруды»", "address"),
    ('"пруды чистые"', ""),
    ("замок", "stress"),
    ("за\u0301мок", "stress"),
    ("доставлю", "joined"),
    ("торг", "price caps"),
    ("диван", "caps sofa sofas"),
    ("диваны", "caps sofa sofas"),
    ("диван-кровать", "sofa"),
    ('"диван нужен"', "caps"),
    ('"нужен диван"', ""),
    ("диван новый", "sofas"),
    ("AB-1234", "quote"),
    ("велосипеда", "u2i-abc"),
    ("ирина велосипед", "u2i-abc"),
    ("забрать", "tree"),
    ("кот", "kitten which"),
    ('"кот"', "kitten"),
    ("котенок", "kitten"),
    ("доставка айфон", ""),
    ("посм", "sofa"),
    ("по", ""),
]


@pytest.fixture
def opened(database_url: str) -> Generator[Store]:
    store = Store(database_url)
    yield store
    asyncio.run(store.close())


def names_of(world: World) -> dict[int, str]:
    """What a key stands for: a message's name, or a chat's."""
    chats, messages = world.rows()
    names = {entries.key_of_message(row["created_at"], row["id"]): name for (_, name), row in messages.items()}
    return names | {-row["id"]: name for name, row in chats.items()}


def found(world: World, asked: str) -> set[str]:
    question = ask(asked)
    assert question.asked is not None
    keys = statements.find(
        world.connection, question.asked, least=entries.LEAST_CHAT, greatest=entries.GREATEST, limit=500
    )
    names = names_of(world)
    return {names[key] for key in keys}


def tell(world: World) -> None:
    world.fold(
        *(
            webhook(id=name, content={"text": text}, created=CREATED + number)
            for number, (name, text) in enumerate(SAID.items())
        ),
        *(api_chat(chat, name, title, CREATED) for chat, (name, title) in CHATS.items()),
    )


def test_each_question_finds_what_it_should_and_nothing_else(opened: Store) -> None:
    with a_world(opened) as world:
        tell(world)
        answers = {asked: found(world, asked) for asked, _ in FINDS}
    wrong = {asked: answers[asked] ^ set(expected.split()) for asked, expected in FINDS}
    assert {asked: names for asked, names in wrong.items() if names} == {}


HOSTILE = (
    "' OR 1=1 --", '"', '"""', "«", "a* OR b*", "NEAR(a b)", "stems:доставка", "{stems others}: x", "^доставка",
    "a AND", "AND OR NOT", "NOT доставка", "доставка -самовывоз", "%", "_", "%%%a", "\\", "a\\", "'a':*", "a & b | !c",
    "<->", "(((((", "a:b:c", "search_entries", "; DROP TABLE messages", "\x00a", "a\x00b", "\ud83d", "𝕬𝖇",
    "ｆｕｌｌ １２８", "٣٤", "İstanbul", "ﬁ", "ẞ", "\u202eabc", "a" * 200, "1" * 200, "+" * 200, "8 " * 99,
    "🏳️‍🌈", "-1", "1e9", "0x",
    "+7", "+", "()", "x:*", "'':*", "'s", "''", "``", "${7*7}", "{{7*7}}", "<script>alert(1)</script>",
)  # fmt: skip


@pytest.mark.row(47)
def test_hostile_questions_are_words_or_refused_and_never_a_databases_error(opened: Store) -> None:
    with a_world(opened) as world:
        tell(world)
        refused: list[str] = []
        for asked in HOSTILE:
            try:
                question = ask(asked)
            except Invalid:
                refused.append(asked)
                continue
            assert question.asked is not None
            statements.find(world.connection, question.asked, least=0, greatest=entries.GREATEST, limit=5)
            question.marks("доставка " + asked)
        assert found(world, "доставка -самовывоз") == {"deliver"}
        assert found(world, "stems доставка") == set()
    assert {'"', '"""', "«", "%", "_", "(((((", "+", "()", "''"} <= set(refused)
    assert not {"' OR 1=1 --", "AND OR NOT", "a & b | !c", "'a':*"} & set(refused)


@pytest.mark.row(25)
def test_hostile_messages_are_kept_and_found(opened: Store) -> None:
    long = " ".join(f"слово{number}я" for number in range(3000)) + " +7 916 1234567" * 900
    told = {f"m{number}": text for number, text in enumerate((*HOSTILE, long, "ы" * 50_000, "1 000" * 9000))}
    told = {name: text.replace("\x00", "").encode(errors="replace").decode() for name, text in told.items()}
    with a_world(opened) as world:
        world.fold(*(webhook(id=name, content={"text": text + " якорь"}) for name, text in told.items()))
        short = {name for name, text in told.items() if len(text) < 1000}
        assert found(world, "якорь") == short
        assert found(world, "слово17") == {f"m{len(HOSTILE)}"}


@pytest.mark.row(48)
def test_limits_are_told_kindly() -> None:
    for asked, words in (
        ("а" * 201, "200 characters"),
        (" ".join(f"слово{letter}" for letter in "абвгдежзиклмн"), "12 at most"),
        ("!!!", "letters or digits"),
        ("я", "two or more"),
    ):
        with pytest.raises(Invalid, match=words):
            ask(asked)
    assert ask("   ").asked is None


@pytest.mark.parametrize(
    ("asked", "text", "marked"),
    [
        ("доставка", "Есть ли доставки? Доставлю сам", ["доставки"]),
        ("достав", "Есть ли доставки? Доставлю сам", ["доставки", "Доставлю"]),
        ("ёлка", "Ёлку <b>елки</b>", ["Ёлку", "елки"]),
        ("+7 916", "Звоните: 8 (916) 123-45-67!", ["8 (916) 123-45-67"]),
        ("45000", "за 45 000 ₽", ["45 000"]),
        ("«чистые пруды»", "чистые, пруды и чистые", ["чистые, пруды"]),
        ("iphone13", "iPhone 13 и iphone", ["iPhone 13"]),
        ("замок", "за\u0301мок", ["за\u0301мок"]),
        ("❤", "Спасибо ❤️!", ["❤"]),
    ],
)
def test_what_is_marked_in_a_text(asked: str, text: str, marked: list[str]) -> None:
    assert [text[start:end] for start, end in ask(asked).marks(text)] == marked


def test_a_facet_is_no_word(opened: Store) -> None:
    with a_world(opened) as world:
        tell(world)
        facet = Facet(entries.of_account(world.account_id))
        keys = statements.find(world.connection, facet, least=0, greatest=entries.GREATEST, limit=500)
        assert len(keys) == len(SAID)
        assert keys == sorted(keys, reverse=True)
        assert found(world, f"a{world.account_id}") == set()
        assert found(world, "photo") == set()
