"""Paints flat, front-on plates of every kind of GA 36.

    PlateRenderer(seed).render(rng=None, kind=None) -> Plate(image, text, colour, rows)

`image` is RGB uint8 and exactly filled by the plate: 140x440 (single row), 140x480 (green), 220x440 (double row), one
pixel a millimetre. Glyphs come from whatever fonts of FONTS are installed, squeezed into the 45x90 mm stamped face and
thickened, all rasterised once. Dirt and light are partly here (they sit on the plate) and partly in augment.py.
"""
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import kinds

FONT_ROOT = Path("/usr/share/fonts")
# (file, face index, thickening in pixels of a 90-high glyph). The first Latin and Chinese one make the atlas.
LATIN = (
    ("truetype/liberation/LiberationSansNarrow-Bold.ttf", 0, 0),
    ("truetype/liberation/LiberationSans-Bold.ttf", 0, 0),
    ("truetype/dejavu/DejaVuSansCondensed-Bold.ttf", 0, 0),
    ("truetype/dejavu/DejaVuSans.ttf", 0, 2),
    ("opentype/noto/NotoSansCJK-Medium.ttc", 2, 1),
    ("truetype/liberation/LiberationSans-Regular.ttf", 0, 3),
    ("truetype/wqy/wqy-zenhei.ttc", 0, 3),
)
CHINESE = (
    ("opentype/noto/NotoSansCJK-Bold.ttc", 2, 0),
    ("truetype/wqy/wqy-zenhei.ttc", 0, 3),
    ("opentype/noto/NotoSansCJK-Medium.ttc", 2, 1),
    ("truetype/wqy/wqy-microhei.ttc", 0, 3),
    ("opentype/noto/NotoSansCJK-Regular.ttc", 2, 2),
    ("opentype/noto/NotoSerifCJK-Bold.ttc", 2, 2),
)
GLYPH = (45, 90)  # width, height in mm and pixels

# background, ink; jittered at every render
PAINT = {
    "blue": ((25, 75, 170), (245, 245, 245)),
    "green": ((110, 205, 150), (15, 20, 15)),
    "yellow_green": ((120, 205, 130), (15, 20, 15)),
    "yellow": ((240, 190, 30), (15, 15, 15)),
    "white": ((235, 235, 235), (20, 20, 20)),
    "black": ((25, 25, 28), (240, 240, 240)),
}
RED = (200, 25, 25)


@dataclass
class Plate:
    image: np.ndarray
    text: str
    colour: str
    rows: int
    kind: str = ""


def load_faces(specs):
    """The fonts of `specs` that are installed, as (path, index, thickening)."""
    found = [(str(FONT_ROOT / f), i, t) for f, i, t in specs if (FONT_ROOT / f).exists()]
    if not found:
        raise FileNotFoundError("no font found: apt install fonts-noto-cjk fonts-wqy-zenhei fonts-liberation")
    return found


def glyph(char, path, index, thicken, fill=1.0):
    """One character, tight, stretched to the stamped face: float32 [90,45], 0..1."""
    font = ImageFont.truetype(path, 160, index=index)
    x0, y0, x1, y1 = font.getbbox(char)
    canvas = Image.new("L", (x1 - x0 + 8, y1 - y0 + 8))
    ImageDraw.Draw(canvas).text((4 - x0, 4 - y0), char, 255, font)
    ink = np.asarray(canvas)
    ys, xs = np.nonzero(ink > 60)
    ink = ink[ys.min():ys.max() + 1, xs.min():xs.max() + 1]
    width = GLYPH[0]
    if char == "1":
        width = max(14, min(26, int(ink.shape[1] / ink.shape[0] * 90 * 0.9)))
    width = max(10, int(width * fill))
    ink = cv2.resize(ink, (width - 2, GLYPH[1] - 2), interpolation=cv2.INTER_AREA)
    cell = np.zeros((GLYPH[1], GLYPH[0]), np.uint8)
    left = (GLYPH[0] - ink.shape[1]) // 2
    cell[1:1 + ink.shape[0], left:left + ink.shape[1]] = ink
    if thicken:
        cell = cv2.dilate(cell, np.ones((1 + thicken // 2, 1 + thicken), np.uint8))
    return cell.astype(np.float32) / 255


def rasterised():
    """All characters in all installed fonts: a list of {character: mask}, Latin and Chinese fonts paired."""
    latin, chinese = load_faces(LATIN), load_faces(CHINESE)
    specs = lambda n, c: (latin if c.isascii() else chinese)[n % len(latin if c.isascii() else chinese)]
    return [{c: glyph(c, *specs(n, c)) for c in kinds.ALPHABET[1:]} for n in range(max(len(latin), len(chinese)))]


def vary(cell, rng):
    """A glyph's mask with its strokes a little thicker or thinner, and leaning or shifted a little."""
    if rng.random() < 0.5:
        soft = cv2.GaussianBlur(cell, (0, 0), float(rng.uniform(0.8, 2.0)))
        cell = np.clip((soft - rng.uniform(0.3, 0.6)) * rng.uniform(1.5, 4.0) + 0.5, 0, 1)
    h, w = cell.shape
    lean = np.array([[1, rng.normal(0, 0.02), rng.normal(0, 0.7)], [rng.normal(0, 0.02), 1, rng.normal(0, 0.7)]], np.float32)
    return cv2.warpAffine(cell, lean, (w, h), flags=cv2.INTER_LINEAR, borderValue=0.0)


class PlateRenderer:
    """Holds the rasterised glyphs; one render costs well under a millisecond at half size, about one at full."""

    def __init__(self, seed=0, stamped=None, faces=None):
        """stamped: the file of glyphs.py, glyphs cut out of photographs; more than half of the plates wear them then.
        faces: what rasterised() gave, where the fonts are not installed."""
        self.rng = np.random.default_rng(seed)
        self.stamped = {}
        if stamped:
            bank = np.load(stamped)
            self.stamped = {c: bank[f"c{n}"] for n, c in enumerate(bank["chars"].tolist())}
        self.faces = faces or rasterised()
        self.face_weights = np.array([4, 3, 3, 2, 2, 2, 2, 1][:len(self.faces)], float)
        self.face_weights /= self.face_weights.sum()
        self.noise = self.rng.random((64, 256, 256), np.float32)[:8]
        self.noise = np.stack([cv2.GaussianBlur(n, (0, 0), s) for n, s in zip(self.noise, (2, 3, 5, 8, 12, 18, 25, 40))])
        low = self.noise.min((1, 2), keepdims=True)
        self.noise = (self.noise - low) / (self.noise.max((1, 2), keepdims=True) - low)

    def render(self, rng=None, kind=None, text=None):
        """A plate of this kind (drawn when None) with this text (drawn when None)."""
        rng = rng or self.rng
        kind = kind or kinds.draw_kind(rng)
        text = text or kinds.draw_text(kind, rng)
        colour, rows, _ = kinds.KINDS[kind]
        height = 220 if rows == 2 else 140
        width = 480 if kind.startswith("green") else 440
        self.latin = self.faces[int(rng.choice(len(self.faces), p=self.face_weights))]
        self.chinese = self.faces[int(rng.integers(len(self.faces)))]
        self.photographed = bool(self.stamped) and rng.random() < 0.65
        image, ink = self._paint(kind, colour, height, width, rng)
        mask = np.zeros((height, width), np.float32)
        red = np.zeros((height, width), np.float32) if colour in ("white", "black") else None
        for char, x, y, w, h, is_red in layout(kind, text, rng):
            self._stamp(red if is_red and red is not None else mask, char, x, y, w, h, rng)
        self._frame(mask, kind, rng)
        self._ink(image, mask, ink, rng)
        if red is not None and red.any():
            self._ink(image, red, np.array(RED, np.float32) + rng.normal(0, 12, 3), rng)
        self._wear(image, rng)
        return Plate(np.clip(image, 0, 255).astype(np.uint8), text, colour, rows, kind)

    def _paint(self, kind, colour, height, width, rng):
        back, ink = PAINT[colour]
        back = np.array(back, np.float32) * rng.uniform(0.8, 1.12) + rng.normal(0, 14, 3)
        ink = np.array(ink, np.float32) + rng.normal(0, 12, 3)
        image = np.empty((height, width, 3), np.float32)
        image[:] = back
        if kind == "green_small":  # fades from near white at the top to green
            t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** rng.uniform(0.6, 1.6)
            image[:] = (1 - t) * np.array([225, 240, 232], np.float32) + t * back
        if kind == "green_large":  # yellow behind province and letter, green behind the rest
            image[:, :int(width * rng.uniform(0.28, 0.32))] = np.array([235, 205, 60]) + rng.normal(0, 12, 3)
        return image, ink

    def _stamp(self, mask, char, x, y, w, h, rng):
        char = "0" if char == "O" else char  # one die for both
        if self.photographed and char in self.stamped:
            masks = self.stamped[char]
            cell = masks[int(rng.integers(len(masks)))].astype(np.float32) / 255
            # few photographs of it: vary them, so that it is not their flaws that are learnt
            if len(masks) < 30 or rng.random() < 0.3:
                cell = vary(cell, rng)
        else:
            cell = (self.latin if char.isascii() else self.chinese)[char]
        w, h = int(round(w * rng.uniform(0.94, 1.04))), int(round(h * rng.uniform(0.96, 1.03)))
        cell = cv2.resize(cell, (w, h), interpolation=cv2.INTER_AREA)
        x, y = int(round(x + rng.normal(0, 1))), int(round(y + rng.normal(0, 1)))
        x, y = max(0, min(x, mask.shape[1] - w)), max(0, min(y, mask.shape[0] - h))
        spot = mask[y:y + h, x:x + w]
        np.maximum(spot, cell[:spot.shape[0], :spot.shape[1]], out=spot)

    def _frame(self, mask, kind, rng):
        h, w = mask.shape
        inset = int(rng.integers(3, 8))
        if rng.random() < 0.85:
            cv2.rectangle(mask, (inset, inset), (w - 1 - inset, h - 1 - inset), 1.0, int(rng.integers(1, 4)))
        if kind in ("blue", "yellow", "police", "learner", "consulate", "cross_border") and rng.random() < 0.85:
            cv2.circle(mask, (int(134 + rng.normal(0, 1)), 70), 5, 1.0, -1)

    def _ink(self, image, mask, ink, rng):
        soft = rng.choice([0.0, 0.6, 1.0, 1.5])
        if soft:
            mask = cv2.GaussianBlur(mask, (0, 0), float(soft))
        strength = rng.uniform(0.75, 1.0)
        if rng.random() < 0.5:  # embossing: light on one flank of the stroke, shade on the other
            dy = np.zeros_like(mask)
            dy[1:] = mask[1:] - mask[:-1]
            image += (dy * rng.uniform(-60, 60))[:, :, None]
        if rng.random() < 0.35:  # worn paint
            worn = self._texture(mask.shape, rng)
            mask = mask * np.clip(1.4 - worn * rng.uniform(0.4, 1.0), 0, 1)
        m = (mask * strength)[:, :, None]
        image *= 1 - m
        image += m * ink.astype(np.float32)

    def _texture(self, shape, rng):
        noise = self.noise[int(rng.integers(len(self.noise)))]
        y, x = rng.integers(0, 120, 2)
        return cv2.resize(noise[y:y + 128, x:x + 128], (shape[1], shape[0]))

    def _wear(self, image, rng):
        h, w = image.shape[:2]
        if rng.random() < 0.8:  # bolts
            shade = float(rng.uniform(40, 230))
            for x in (w * 0.22, w * 0.78):
                for y in (14, h - 14):
                    if rng.random() < 0.7:
                        at = (int(x + rng.normal(0, 5)), int(y + rng.normal(0, 3)))
                        cv2.circle(image, at, int(rng.integers(4, 9)), (shade, shade, shade), -1)
        if rng.random() < 0.5:  # dirt and dust
            m = np.clip((self._texture((h, w), rng) - rng.uniform(0.4, 0.8)) * 3, 0, rng.uniform(0.1, 0.55))[:, :, None]
            image *= 1 - m
            image += m * rng.uniform(40, 170)
        if rng.random() < 0.4:  # uneven light
            a, b = rng.uniform(0.6, 1.25, 2)
            image *= np.linspace(a, b, w, dtype=np.float32)[None, :, None]


class PlatePool:
    """Rendered plates at half size; a tenth of the draws put a fresh one in an old one's place."""

    def __init__(self, seed, rng, size, stamped=None, faces=None):
        self.rng, self.renderer = rng, PlateRenderer(seed, stamped, faces)
        self.plates = [self._render() for _ in range(size)]

    def _render(self):
        plate = self.renderer.render(self.rng)
        h, w = plate.image.shape[:2]
        plate.image = cv2.resize(plate.image, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        return plate

    def draw(self):
        """A plate."""
        n = int(self.rng.integers(len(self.plates)))
        if self.rng.random() < 0.1:
            self.plates[n] = self._render()
        return self.plates[n]


def layout(kind, text, rng):
    """Where each character stands: (char, left, top, width, height, whether it is red), in millimetres."""
    if kind.startswith("green"):  # 8 characters, the province 45 wide, the others 43, gaps 9, a larger gap after two
        x, out = 15.5, []
        for n, c in enumerate(text):
            w = 45 if n == 0 else 43
            out.append((c, x, 25, w, 90, False))
            x += w + (49 if n == 1 else 9)
        return out
    if kinds.KINDS[kind][1] == 2:
        return _two_rows(kind, text)
    if kind == "emergency":
        out = [(c, 15.5 + 57 * n + (22 if n > 1 else 0), 25, 45, 90, False) for n, c in enumerate(text[:6])]
        return out + [("应", 380, 25, 45, 43, True), ("急", 380, 72, 45, 43, True)]
    if kind == "armed_police":
        out = [("W", 12, 25, 45, 90, True), ("J", 62, 25, 45, 90, True), (text[2], 116, 50, 40, 44, True)]
        return out + [(c, 166 + 54 * n, 25, 45, 90, False) for n, c in enumerate(text[3:])]
    if kind == "embassy":
        return [(c, 15.5 + 57 * n + (20 if n > 2 else 0), 25, 45, 90, c == "使" and rng.random() < 0.5) for n, c in enumerate(text)]
    red = {"police": "警", "consulate": "领"}.get(kind, "")
    if kind == "military":
        return [(c, 15.5 + 57 * n + (22 if n > 1 else 0), 25, 45, 90, n < 2) for n, c in enumerate(text)]
    return [(c, 15.5 + 57 * n + (22 if n > 1 else 0), 25, 45, 90, c == red) for n, c in enumerate(text)]


def _two_rows(kind, text):
    """Two characters above (80 x 60 mm), the rest below (65 x 110 mm)."""
    if kind == "armed_police_double":
        upper = [("W", 90, 14, 66, 60, True), ("J", 175, 14, 66, 60, True), (text[2], 275, 18, 66, 54, True)]
        return upper + [(c, 22 + 82 * n, 92, 65, 110, False) for n, c in enumerate(text[3:])]
    is_red = kind == "military_double"
    upper = [(text[0], 110, 15, 80, 60, is_red), (text[1], 250, 15, 80, 60, is_red)]
    return upper + [(c, 27.5 + 80 * n, 90, 65, 110, False) for n, c in enumerate(text[2:])]
