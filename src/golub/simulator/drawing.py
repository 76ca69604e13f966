"""Drawn photographs: a floor, a wall, a light, and the thing that an item's picture name says.

A name is "<thing>.<number>"; the number picks colours. Everything is drawn at 4:3 on a canvas of 640 by 480 and
scaled, so that all sizes of a picture show the same.
"""

import colorsys
from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Paint = Callable[["Scene"], None]
WIDTH, HEIGHT = 640, 480


class Scene:
    """One canvas with a main colour, its shades, and shapes in canvas units."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.hue = rng.random()
        self.image = Image.new("RGB", (WIDTH, HEIGHT), self.tone(0.12, 0.93))
        self._pen = ImageDraw.Draw(self.image)

    def tone(self, saturation: float, value: float, turn: float = 0.0) -> Colour:
        red, green, blue = colorsys.hsv_to_rgb((self.hue + turn) % 1.0, saturation, value)
        return int(red * 255), int(green * 255), int(blue * 255)

    @property
    def main(self) -> Colour:
        return self.tone(0.55, 0.62)

    @property
    def dark(self) -> Colour:
        return self.tone(0.45, 0.28)

    @property
    def light(self) -> Colour:
        return self.tone(0.25, 0.9)

    def box(self, x: int, y: int, w: int, h: int, colour: Colour, radius: int = 12) -> None:
        self._pen.rounded_rectangle((x, y, x + w, y + h), radius, colour)

    def disc(self, x: int, y: int, radius: int, colour: Colour) -> None:
        self._pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def oval(self, x: int, y: int, w: int, h: int, colour: Colour) -> None:
        self._pen.ellipse((x, y, x + w, y + h), colour)

    def line(self, *points: tuple[int, int], colour: Colour, width: int = 8) -> None:
        self._pen.line(points, colour, width, joint="curve")

    def shape(self, *points: tuple[int, int], colour: Colour) -> None:
        self._pen.polygon(points, colour)

    def ring(self, x: int, y: int, radius: int, colour: Colour, width: int) -> None:
        self._pen.ellipse((x - radius, y - radius, x + radius, y + radius), None, colour, width)

    def arch(self, x: int, y: int, radius: int, colour: Colour, width: int) -> None:
        self._pen.arc((x - radius, y - radius, x + radius, y + radius), 180, 360, colour, width)

    def room(self) -> None:
        self.box(0, 340, WIDTH, 140, self.tone(0.22, 0.78, 0.05), 0)
        self.shape((380, 0), (560, 0), (300, 340), (60, 340), colour=self.tone(0.08, 0.97))
        self.oval(120, 385, 400, 50, self.tone(0.25, 0.62, 0.05))


def draw(name: str, box: tuple[int, int]) -> Image.Image:
    """The picture of that name, cut to fill `box`."""
    thing, _, _ = name.partition(".")
    scene = Scene(Random(name))
    if thing == "avatar":
        _avatar(scene)
    else:
        scene.room()
        things = list(THINGS.values())
        THINGS.get(thing, things[scene.rng.randrange(len(things))])(scene)
    width, height = box
    scale = max(width / WIDTH, height / HEIGHT)
    size = (max(width, round(WIDTH * scale)), max(height, round(HEIGHT * scale)))
    full = scene.image.resize(size)  # pyright: ignore[reportUnknownMemberType] # Pillow's own hint is partial
    left, top = (full.width - width) // 2, (full.height - height) // 2
    return full.crop((left, top, left + width, top + height))


def _avatar(s: Scene) -> None:
    s.box(0, 0, WIDTH, HEIGHT, s.tone(0.4, 0.85), 0)
    s.disc(320, 190, 90, s.light)
    s.oval(150, 300, 340, 320, s.light)


def _phone(s: Scene) -> None:
    s.box(240, 80, 160, 330, s.dark, 26)
    s.box(250, 98, 140, 294, s.tone(0.5, 0.8, 0.1), 12)
    s.disc(320, 112, 6, s.dark)


def _laptop(s: Scene) -> None:
    s.box(170, 140, 300, 200, s.dark, 14)
    s.box(184, 154, 272, 172, s.tone(0.45, 0.85, 0.15), 6)
    s.shape((120, 400), (520, 400), (475, 340), (165, 340), colour=s.tone(0.08, 0.72))


def _headphones(s: Scene) -> None:
    s.arch(320, 250, 140, s.dark, 22)
    s.box(150, 250, 70, 140, s.main, 30)
    s.box(420, 250, 70, 140, s.main, 30)


def _screen(s: Scene) -> None:
    s.box(130, 120, 380, 230, s.dark, 10)
    s.box(142, 132, 356, 206, s.tone(0.6, 0.75, 0.2), 4)
    s.box(300, 350, 40, 40, s.dark, 0)
    s.box(240, 388, 160, 14, s.dark, 7)


def _console(s: Scene) -> None:
    s.box(150, 250, 340, 80, s.dark, 10)
    s.box(150, 284, 340, 8, s.light, 0)
    s.box(250, 350, 140, 60, s.main, 30)
    s.disc(280, 378, 13, s.light)
    s.disc(360, 378, 13, s.light)


def _camera(s: Scene) -> None:
    s.box(170, 190, 300, 200, s.dark, 24)
    s.box(270, 155, 100, 50, s.dark, 10)
    s.disc(320, 290, 84, s.tone(0.1, 0.5))
    s.disc(320, 290, 62, s.tone(0.6, 0.25, 0.3))
    s.disc(300, 268, 18, s.light)


def _speaker(s: Scene) -> None:
    s.box(225, 130, 190, 270, s.main, 60)
    s.disc(320, 310, 58, s.dark)
    s.disc(320, 200, 32, s.dark)


def _robot(s: Scene) -> None:
    s.oval(150, 270, 340, 140, s.dark)
    s.oval(150, 250, 340, 140, s.light)
    s.oval(270, 275, 100, 44, s.main)


def _watch(s: Scene) -> None:
    s.box(275, 70, 90, 350, s.dark, 26)
    s.box(235, 160, 170, 170, s.tone(0.06, 0.55), 40)
    s.box(250, 175, 140, 140, s.tone(0.6, 0.2, 0.2), 28)
    s.line((320, 245), (320, 200), colour=s.light)
    s.line((320, 245), (350, 262), colour=s.light)


def _wheel(s: Scene) -> None:
    s.disc(320, 250, 165, s.tone(0.1, 0.18))
    s.disc(320, 250, 108, s.tone(0.04, 0.75))
    for x, y in ((0, -95), (90, -30), (56, 78), (-56, 78), (-90, -30)):
        s.line((320, 250), (320 + x, 250 + y), colour=s.tone(0.1, 0.4), width=22)
    s.disc(320, 250, 26, s.tone(0.1, 0.3))


def _lamp(s: Scene) -> None:
    s.shape((140, 300), (200, 180), (440, 160), (510, 260), (470, 370), (220, 390), colour=s.tone(0.1, 0.3))
    s.disc(270, 285, 72, s.tone(0.05, 0.95))
    s.disc(400, 270, 58, s.tone(0.15, 0.98, 0.1))
    s.disc(270, 285, 30, s.tone(0.3, 0.85))


def _battery(s: Scene) -> None:
    s.box(180, 190, 280, 210, s.dark, 12)
    s.box(180, 250, 280, 80, s.main, 0)
    s.box(220, 165, 40, 30, s.tone(0.8, 0.8, -s.hue), 4)
    s.box(380, 165, 40, 30, s.tone(0.1, 0.3), 4)


def _bumper(s: Scene) -> None:
    s.shape((70, 230), (130, 190), (510, 190), (570, 230), (550, 360), (90, 360), colour=s.main)
    s.box(200, 280, 240, 50, s.dark, 16)
    s.disc(135, 310, 24, s.light)
    s.disc(505, 310, 24, s.light)


def _disc(s: Scene) -> None:
    s.disc(320, 250, 150, s.tone(0.05, 0.62))
    s.disc(320, 250, 80, s.tone(0.08, 0.45))
    s.disc(320, 250, 38, s.tone(0.05, 0.85))
    for x, y in ((0, -58), (55, -18), (34, 47), (-34, 47), (-55, -18)):
        s.disc(320 + x, 250 + y, 9, s.dark)


def _engine(s: Scene) -> None:
    s.box(190, 210, 260, 180, s.tone(0.1, 0.45), 16)
    s.box(220, 160, 200, 60, s.main, 12)
    s.ring(450, 310, 55, s.dark, 16)
    for x in (240, 290, 340, 390):
        s.box(x - 12, 240, 24, 110, s.tone(0.08, 0.6), 6)


def _sofa(s: Scene) -> None:
    s.box(110, 200, 420, 130, s.main, 30)
    s.box(90, 250, 70, 140, s.dark, 24)
    s.box(480, 250, 70, 140, s.dark, 24)
    s.box(150, 300, 168, 70, s.tone(0.45, 0.74), 16)
    s.box(322, 300, 168, 70, s.tone(0.45, 0.74), 16)
    s.box(130, 368, 380, 26, s.dark, 8)


def _armchair(s: Scene) -> None:
    s.box(220, 130, 200, 220, s.main, 46)
    s.box(190, 260, 50, 130, s.dark, 22)
    s.box(400, 260, 50, 130, s.dark, 22)
    s.box(232, 300, 176, 66, s.tone(0.45, 0.74), 18)
    s.line((230, 390), (215, 425), colour=s.tone(0.5, 0.35, -s.hue + 0.08), width=12)
    s.line((410, 390), (425, 425), colour=s.tone(0.5, 0.35, -s.hue + 0.08), width=12)


def _wood(s: Scene) -> Colour:
    return s.tone(0.5, 0.6, -s.hue + 0.08)


def _table(s: Scene) -> None:
    s.box(110, 240, 420, 28, _wood(s), 6)
    for x in (130, 490):
        s.box(x, 268, 20, 150, s.tone(0.5, 0.45, -s.hue + 0.08), 0)
    s.box(280, 190, 60, 50, s.main, 14)


def _chair(s: Scene) -> None:
    s.ring(320, 180, 72, _wood(s), 16)
    s.box(235, 280, 170, 28, s.main, 12)
    s.line((255, 305), (235, 430), colour=_wood(s), width=14)
    s.line((385, 305), (405, 430), colour=_wood(s), width=14)
    s.line((262, 280), (258, 200), colour=_wood(s), width=12)
    s.line((378, 280), (382, 200), colour=_wood(s), width=12)


def _wardrobe(s: Scene) -> None:
    s.box(190, 70, 260, 340, _wood(s), 6)
    s.box(202, 84, 114, 310, s.tone(0.45, 0.7, -s.hue + 0.08), 4)
    s.box(324, 84, 114, 310, s.tone(0.06, 0.9), 4)
    s.box(300, 220, 8, 50, s.dark, 4)


def _shelf(s: Scene) -> None:
    s.box(200, 70, 240, 350, _wood(s), 4)
    for row in range(4):
        s.box(214, 84 + row * 84, 212, 70, s.tone(0.2, 0.85, -s.hue + 0.08), 0)
        for book in range(s.rng.randint(4, 9)):
            s.box(220 + book * 22, 98 + row * 84, 18, 56, s.tone(0.5, 0.7, s.rng.random()), 2)


def _bed(s: Scene) -> None:
    s.box(100, 170, 36, 230, _wood(s), 8)
    s.box(130, 300, 410, 70, s.light, 18)
    s.box(240, 290, 300, 74, s.main, 16)
    s.box(144, 276, 90, 40, s.tone(0.04, 0.98), 16)
    s.box(130, 366, 410, 24, _wood(s), 6)


def _floorlamp(s: Scene) -> None:
    s.shape((250, 190), (390, 190), (355, 80), (285, 80), colour=s.tone(0.3, 0.97, -s.hue + 0.13))
    s.box(314, 190, 12, 210, s.dark, 0)
    s.oval(260, 390, 120, 30, s.dark)


def _mirror(s: Scene) -> None:
    s.box(230, 70, 180, 340, _wood(s), 20)
    s.box(246, 86, 148, 308, s.tone(0.1, 0.95, 0.5), 12)
    s.shape((270, 390), (330, 90), (360, 90), (300, 390), colour=s.tone(0.03, 1.0))


def _parcel(s: Scene) -> None:
    s.box(200, 190, 240, 210, s.tone(0.45, 0.72, -s.hue + 0.09), 6)
    s.box(300, 190, 40, 210, s.tone(0.3, 0.85, -s.hue + 0.11), 0)


THINGS: dict[str, Paint] = {
    "phone": _phone, "laptop": _laptop, "headphones": _headphones, "screen": _screen, "console": _console,
    "camera": _camera, "speaker": _speaker, "robot": _robot, "watch": _watch, "wheel": _wheel, "lamp": _lamp,
    "battery": _battery, "bumper": _bumper, "disc": _disc, "engine": _engine, "sofa": _sofa, "armchair": _armchair,
    "table": _table, "chair": _chair, "wardrobe": _wardrobe, "shelf": _shelf, "bed": _bed,
    "floorlamp": _floorlamp, "mirror": _mirror, "box": _parcel,
}  # fmt: skip
