"""Characters moved from one photographed plate to another, so that rare ones are seen in many lights.

Half of all photographed plates are 皖's, and 冀, 粤 or 琼 come in nine to fifty photographs each: too few to learn what blur,
night and distance make of them. A donor's character is laid over the same place of another plate of the same colour,
blurred down to that plate's sharpness and given its paper and ink. Unlike a painted glyph it keeps what a camera did to it.
"""
import cv2
import numpy as np

import data
import kinds

SIZE = (352, 112)  # the flat plate worked on, with its surroundings
RECT = np.array([[16, 12], [336, 12], [336, 100], [16, 100]], np.float32)
PROVINCE, CITY, SERIAL = 0, 1, 2  # the parts of a plate; a serial's first place is SERIAL
# oftener, for what only a tail or a foot tells from another that is seen ten times as often, and for provinces that were
# taken for rarer ones; more seldom, what those were taken for
HARD = {"Q": 3.0, "E": 4.0, "K": 1.5, "冀": 3.0, "鲁": 2.0, "闽": 1.5, "川": 1.5, "藏": 0.5}
# Yellow plates are few: so often they get a character of a blue one, in their own colours.
YELLOW_FROM_BLUE = 0.7
FEATHER = 3  # pixels over which a character's place goes over into its new plate

# from the left: where a character's place begins and how wide it is, in shares of the plate's width; gaps are halved
BLUE = [(x - 4) / 440 for x in (15.5, 72.5, 151.5, 208.5, 265.5, 322.5, 379.5)]
GREEN = [(x - 3) / 480 for x in (15.5, 69.5, 161.5, 213.5, 265.5, 317.5, 369.5, 421.5)]
WIDE = {7: 53 / 440, 8: 50 / 480}


def _places(text):
    return GREEN if len(text) == 8 else BLUE


def _class(item):
    """Plates that may give to one another: same colour and same layout."""
    return item["colour"] if item["colour"] in data.COLOUR else "blue" if len(item["text"]) == 7 else "green", len(item["text"])


def _quad(item):
    return item["quad"] if item["exact"] else (item.get("refined") or [None])[0]


def _width(quad):
    return float(np.linalg.norm(quad[1] - quad[0]))


def _flat(item):
    return data.warp(item["image"], _quad(item), RECT, SIZE)


def _spot(text, slot):
    x = _places(text)[slot]
    left, right = RECT[0, 0] + x * 320, RECT[0, 0] + (x + WIDE[len(text)]) * 320
    return slice(int(round(left)), int(round(right)))


def _dress(cell, like):
    """The donor's cell with the other cell's paper and ink: 10th and 90th percentile of each channel made equal."""
    a, b = np.percentile(cell[::2, ::2], (10, 90), axis=(0, 1))  # a quarter of the pixels tells it as well
    c, d = np.percentile(like[::2, ::2], (10, 90), axis=(0, 1))
    return (cell - a) * np.clip((d - c) / np.maximum(b - a, 6), 0.3, 2.5) + c


def _light_ink(flat):
    """Is it light on dark paper? There is more paper than ink."""
    low, middle, high = np.percentile(flat[14:98:3, 16:336:2].mean(2), (5, 50, 95))
    return high - middle > middle - low


def _cell(donor, slot, width, light_ink):
    """The donor's character, as blurred as a plate of this width in pixels is, in ink lighter or darker than its paper."""
    flat = _flat(donor)
    cell = flat[:, _spot(donor["text"], slot)]
    if _light_ink(flat) != light_ink:
        cell = 255 - cell.mean(2, keepdims=True).repeat(3, axis=2)  # its own colours would shine through
    if _width(_quad(donor)) > 1.1 * width:
        share = min(1.0, width / 320)
        size = (max(4, round(cell.shape[1] * share)), max(8, round(cell.shape[0] * share)))
        cell = cv2.resize(cell, size, interpolation=cv2.INTER_AREA)
    return cell


def _lay(flat, here, cell):
    """Lays a character over the columns `here` of a flat plate, in place, fading at its edges."""
    cell = cv2.resize(cell, (here.stop - here.start, SIZE[1]), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    rows = slice(14, 98)
    new = _dress(cell[rows], flat[rows, here])
    down, across = (np.minimum(1, (1 + np.minimum(np.arange(n), np.arange(n)[::-1])) / (FEATHER + 1)) for n in new.shape[:2])
    flat[rows, here] += (new - flat[rows, here]) * np.minimum(down[:, None], across[None])[..., None]


class Donors:
    """All characters of photographed single-row plates, by class and by province, letter of the city or serial."""

    def __init__(self, items):
        self.lists = {}
        for item in items:
            if item["rows"] != 1 or len(item["text"]) not in WIDE or item["text"][0] not in kinds.PROVINCES:
                continue
            if _quad(item) is None or _width(_quad(item)) < 70:
                continue
            for slot, char in enumerate(item["text"]):
                if char not in kinds.INDEX:
                    continue
                # a letter looks the same in every place, and most cities' letter is an A
                for part in [PROVINCE] if slot == 0 else [SERIAL] * (slot > 1) + [CITY] * (char in kinds.LETTERS):
                    self.lists.setdefault((_class(item), part), {}).setdefault(char, []).append((item, slot))
        # a character is drawn by the root of how rare it is, of all those photographed at least three times
        self.draws = {}
        for key, chars in self.lists.items():
            names = [c for c, found in chars.items() if len(found) >= 3]
            weights = np.array([len(chars[c]) ** -0.5 * HARD.get(c, 1.0) for c in names])
            if names:
                self.draws[key] = (names, np.cumsum(weights / weights.sum()))

    def draw(self, key, rng, width, char=None):
        """(item, slot) of a plate at least about as large as `width`, with this character if one is given; or None."""
        if key not in self.draws:
            return None
        names, cumulated = self.draws[key]
        char = char or names[min(len(names) - 1, int(np.searchsorted(cumulated, rng.random())))]
        found = self.lists[key].get(char)
        if found is None:
            return None
        for _ in range(4):
            item, slot = found[int(rng.integers(len(found)))]
            if _width(_quad(item)) > 0.8 * width:
                return item, slot
        return None

    @staticmethod
    def _wanted(length, rng):
        """The places that get another character: the province, the letter of the city, one of the rest or all of it."""
        wanted = [slot for slot, share in ((0, 0.5), (1, 0.4)) if rng.random() < share]
        if rng.random() < 0.07:
            return wanted + list(range(SERIAL, length))
        if not wanted or rng.random() < 0.4:
            wanted.append(int(rng.integers(SERIAL, length)))
        return wanted

    def transplant(self, item, rng):
        """A new item with some characters of other plates; None where it cannot take any."""
        text = item["text"]
        if item["rows"] != 1 or len(text) not in WIDE or text[0] not in kinds.PROVINCES or _quad(item) is None:
            return None
        width, flat, chars, (colour, length) = _width(_quad(item)), None, list(text), _class(item)
        wanted, same = self._wanted(len(text), rng), None
        for slot in wanted:
            donors = "blue" if colour == "yellow" and rng.random() < YELLOW_FROM_BLUE else colour
            given = self.draw(((donors, length), min(slot, SERIAL)), rng, width, same if slot >= SERIAL else None)
            if slot >= SERIAL and len(wanted) > 3 and given:  # 66666
                same = given[0]["text"][given[1]]
            if given is None:
                continue
            if flat is None:
                flat = _flat(item).astype(np.float32)
                light_ink = _light_ink(flat)
            _lay(flat, _spot(text, slot), _cell(*given, width, light_ink))
            chars[slot] = given[0]["text"][given[1]]
        if flat is None:
            return None
        return dict(item, image=np.clip(flat, 0, 255).astype(np.uint8), quad=RECT, exact=True, refined=[], text="".join(chars))
