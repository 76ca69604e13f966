"""The shops of the seeded world and what they sell. All invented; prices in roubles, pictures by `drawing`."""

from dataclasses import dataclass

from golub.simulator.world import Item


@dataclass(frozen=True, slots=True)
class ShopPlan:
    user_id: int
    name: str
    trade: str  # which dialogue lines fit
    city: str
    goods: tuple[tuple[str, int | None, str], ...]  # title, price, picture

    def items(self) -> list[Item]:
        """Fresh items with ids that never change between runs."""
        return [
            Item(title, price, self.user_id * 10 + number, picture, self.city)
            for number, (title, price, picture) in enumerate(self.goods, 1)
        ]


ELECTRONICS = ShopPlan(
    141_906_442,
    "Контакт Электроника",
    "electronics",
    "Москва",
    (
        ("Смартфон Samsung Galaxy S21, 128 ГБ, графит", 24_900, "phone"),
        ("iPhone 13 mini, 256 ГБ, синий, аккумулятор 91 %", 38_500, "phone"),
        ("Xiaomi Redmi Note 12, новый, запечатан", 15_990, "phone"),
        ("Ноутбук Lenovo ThinkPad T480, i5, 16 ГБ", 27_000, "laptop"),
        ("MacBook Air M1, 8/256, серебристый", 62_000, "laptop"),
        ("Ноутбук ASUS VivoBook 15 с гарантией", 41_300, "laptop"),
        ("Наушники Sony WH-1000XM4, чёрные", 17_500, "headphones"),
        ("Наушники JBL Tune 510BT, новые", 2_990, "headphones"),
        ("Телевизор LG 43 дюйма, 4K, Smart TV", 25_400, "screen"),
        ("Монитор Dell 27 дюймов, IPS, 75 Гц", 14_200, "screen"),
        ("Игровая приставка PlayStation 4 Slim, два геймпада", 19_900, "console"),
        ("Фотоаппарат Canon EOS 250D с объективом 18-55", 46_000, "camera"),
        ("Колонка Яндекс Станция Мини", 5_400, "speaker"),
        ("Робот-пылесос Roborock S5, щётки новые", 16_800, "robot"),
        ("Умные часы Amazfit GTS 4", 9_700, "watch"),
    ),
)
PARTS = ShopPlan(
    152_330_817,
    "Автодеталь на Лесной",
    "parts",
    "Екатеринбург",
    (
        ("Зимние шины Nokian 205/55 R16, комплект, износ 20 %", 18_000, "wheel"),
        ("Летние колёса в сборе R15 на Solaris, 4 штуки", 22_500, "wheel"),
        ("Литые диски R17 5x114,3 на Camry", 26_000, "wheel"),
        ("Фара левая Kia Rio 4, оригинал, б/у", 7_800, "lamp"),
        ("Фара правая Volkswagen Polo седан", 6_200, "lamp"),
        ("Аккумулятор Varta 60 Ач, куплен в марте", 4_900, "battery"),
        ("Аккумулятор 75 Ач, обратная полярность, новый", 7_300, "battery"),
        ("Бампер передний Lada Vesta, под покраску", 5_500, "bumper"),
        ("Бампер задний Skoda Octavia A7 с парктроником", 12_400, "bumper"),
        ("Тормозные диски передние Ford Focus 3, пара", 4_100, "disc"),
        ("Тормозные колодки TRW на Renault Duster", 1_850, "disc"),
        ("Генератор Hyundai Accent, проверен на стенде", 5_900, "engine"),
        ("Двигатель ВАЗ 21126 в сборе, пробег 80 тысяч", 48_000, "engine"),
        ("Коробка передач механическая Logan 1.6", 16_500, "engine"),
        ("Магнитола 2din на Android, с рамкой и проводкой", 8_900, "screen"),
    ),
)
FURNITURE = ShopPlan(
    167_204_559,
    "Мебель Дубрава",
    "furniture",
    "Казань",
    (
        ("Диван-кровать «Берген», серый велюр", 34_900, "sofa"),
        ("Угловой диван с ящиком для белья", 46_500, "sofa"),
        ("Кресло с высокой спинкой, зелёное", 11_800, "armchair"),
        ("Кресло-качалка из берёзы", 9_400, "armchair"),
        ("Обеденный стол из дуба, 160 на 80", 28_000, "table"),
        ("Письменный стол, белый, с тумбой", 7_600, "table"),
        ("Журнальный столик, стекло и металл", 4_300, "table"),
        ("Стулья венские, комплект из четырёх", 13_200, "chair"),
        ("Барный стул, регулируется по высоте", 3_900, "chair"),
        ("Шкаф-купе двухдверный с зеркалом", 24_700, "wardrobe"),
        ("Комод на пять ящиков, орех", 12_900, "wardrobe"),
        ("Книжный стеллаж открытый, под заказ", None, "shelf"),
        ("Кровать двуспальная 160 на 200 с матрасом", 29_500, "bed"),
        ("Детская кровать-чердак со столом", 21_000, "bed"),
        ("Торшер с льняным абажуром", 3_450, "floorlamp"),
        ("Зеркало в раме из ясеня, 120 на 60", 5_700, "mirror"),
    ),
)
SHOPS = (ELECTRONICS, PARTS, FURNITURE)

BUYERS = (
    "Анна", "Дмитрий", "Ольга К.", "Сергей", "Екатерина", "Алексей М.", "Наталья", "Иван", "Мария", "Павел",
    "Татьяна", "Андрей", "Юлия", "Роман", "Ирина", "Максим", "Светлана", "Илья", "Елена В.", "Николай",
    "Ксения", "Артём", "Вера", "Михаил", "Галина", "Тимур", "Айгуль", "Рустам", "Дарья", "Виктор",
    "Полина", "Глеб", "Людмила", "Станислав", "Алина", "Владимир", "Надежда", "Фёдор", "Зоя", "Кирилл",
    "Лариса", "Марат", "Софья", "Денис", "Оксана", "Руслан", "Вадим", "Эльвира", "Степан", "Пользователь",
)  # fmt: skip
