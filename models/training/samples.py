"""Mixes photographs and rendered plates into training batches for the refiner and the reader."""
import cv2
import numpy as np

import augment
import data
import kinds
import synth
import transplant

# how often a source is drawn for the reader, before provinces are balanced inside it
READER_SOURCES = {"web_passerby": 5, "ccpd_base_zk": 2.5, "ccpd_green_djq": 4, "ccpd_jk": 1, "ccpd_misc": 0.8,
                  "easypr_has": 4, "hyperlpr_finemap": 3.5, "lprnet_chenwj": 3.5, "lprnet_sirius": 2.5}
RECESSED = 0.2  # the share of the refiner's plates with something around them that could be taken for the plate
HELD = 0.2  # the share of the reader's plates that get a holder
# The errors that a refiner learns to mend, for data.jitter: a finder's usual ones, and for this share of the plates those of
# a finder that took a bumper's recess or a holder for the plate.
FAR_OFF = 0.35
FAR = dict(each=0.03, shift=0.07, scale=0.17, turn=0.05)
REFINER_SOURCES = {"web_passerby": 4, "ccpd_base_zk": 3, "ccpd_green_djq": 4, "ccpd_jk": 1.5, "ccpd_misc": 0.8}


def balance(items, sources):
    """Draw weights: by source, and inside a source by how rare the province is (to the power 0.75) and by rare colours."""
    weights = np.zeros(len(items))
    for source, share in sources.items():
        idx = [i for i, it in enumerate(items) if it["source"] == source]
        count = {}
        for i in idx:
            count[items[i]["text"][0]] = count.get(items[i]["text"][0], 0) + 1
        w = np.array([count[items[i]["text"][0]] ** -0.75 * (2.0 if items[i]["colour"] == "yellow" else 1.0) for i in idx])
        if len(idx):
            weights[idx] = share * w / w.sum()
    return weights / weights.sum()


class Sampler:
    """Draws samples; `real` is the share of photographs, `blank` of places without a plate."""

    def __init__(self, loaded, seed, pool=3000, stamped=None, transplanted=0.0):
        """transplanted: of the reader's photographs, the share that gets a character of another."""
        self.rng = np.random.default_rng(seed)
        self.items = [it for it in loaded["items"] if it["split"] == "train"]
        self.exact = [it for it in self.items if it["exact"]]
        self.crops = [it for it in self.items if not it["exact"]]
        self.read_w = np.cumsum(balance(self.items, READER_SOURCES))
        self.refine_w = np.cumsum(balance(self.exact, REFINER_SOURCES))
        self.backgrounds = loaded["backgrounds"]["train"]
        self.small = [b for b in self.backgrounds if b.shape[0] < 60]
        self.wide = [b for b in self.backgrounds if b.shape[0] >= 60]
        self.pool = synth.PlatePool(seed, self.rng, pool, stamped, loaded.get("faces"))
        self.transplanted = transplanted
        self.donors = transplant.Donors(self.items) if transplanted else None

    def _pick(self, items, cumulated):
        return items[min(len(items) - 1, int(np.searchsorted(cumulated, self.rng.random())))]

    def _ground(self, size):
        b = self.wide[int(self.rng.integers(len(self.wide)))]
        return cv2.resize(b, size, interpolation=cv2.INTER_LINEAR)

    def _held(self, image, rows, layout=data.PLATE):
        """Now and then in a holder, where it has one row."""
        return augment.holder(image, self.rng, layout.rect) if rows == 1 and self.rng.random() < HELD else image

    def _blank(self, layout):
        """A place without a plate, as a finder would have laid it."""
        source = self.small if self.rng.random() < 0.6 else self.wide
        image = source[int(self.rng.integers(len(source)))]
        return data.warp(image, data.jitter(data.full_quad(image), self.rng, 0.03, 0.05), layout.rect, layout.size)

    def _photograph(self):
        """(item, corners, are they the refiner's?) of a photographed plate, with characters of others now and then."""
        item = self._pick(self.items, self.read_w)
        if self.rng.random() < self.transplanted:
            item = self.donors.transplant(item, self.rng) or item
        if item.get("refined") and self.rng.random() < 0.55:
            return item, item["refined"][int(self.rng.integers(len(item["refined"])))], True
        return item, item["quad"], False

    def reader(self, real=0.55, blank=0.06):
        """(image [40,144,3] uint8, eight indices, colour index or IGNORE)."""
        rng, r = self.rng, self.rng.random()
        each, shift = (0.01, 0.006) if rng.random() < 0.8 else (0.022, 0.012)
        if r < blank:
            return augment.degrade(self._blank(data.PLATE), rng, 0.6), [0] * kinds.SLOTS, data.IGNORE
        if r < blank + real:
            item, quad, refined = self._photograph()
            sloppy = 1.0 if item["exact"] else 1.2
            if refined:  # the refiner's own errors, and a little more
                each, shift, sloppy = 0.005, 0.003, 0.5
            quad = data.jitter(quad, rng, each * sloppy, shift, 0.012 * sloppy)
            out = self._held(data.flatten(item["image"], quad, item["rows"]), item["rows"])
            return augment.degrade(out, rng, 0.75), kinds.encode(item["text"]), data.colour_index(item)
        plate = self.pool.draw()
        quad = data.jitter(data.full_quad(plate.image), rng, each, shift, 0.01)
        out = self._held(data.flatten(plate.image, quad, plate.rows, self._ground(data.PLATE.size)), plate.rows)
        return augment.degrade(out, rng, 0.97), kinds.encode(plate.text), kinds.COLOURS.index(plate.colour)

    def clean(self, real=0.55, blank=0.06):
        """A reader's sample before weather and the finder's errors, which batch_augment.py adds: (image [64,256,3] uint8, eight
        indices, colour index or IGNORE, how far off a finder's corners may be, as a factor)."""
        rng, r = self.rng, self.rng.random()
        if r < blank:
            return self._blank(data.MARGIN), [0] * kinds.SLOTS, data.IGNORE, 1.0
        if r < blank + real:
            item, quad, refined = self._photograph()
            spread, onto = 0.5 if refined else 1.0 if item["exact"] else 1.2, None
            image, text, colour, rows = item["image"], item["text"], data.colour_index(item), item["rows"]
        else:
            plate = self.pool.draw()
            image, text, colour, rows = plate.image, plate.text, kinds.COLOURS.index(plate.colour), plate.rows
            quad, spread, onto = data.full_quad(image), 1.0, self._ground(data.MARGIN.size)
        if rows == 1:
            out = self._held(data.flatten(image, quad, 1, onto, data.MARGIN), 1, data.MARGIN)
        else:  # laid side by side: what moves the rows apart must be done before
            onto = None if onto is None else self._ground(data.FINE.size)
            flat = data.flatten(image, data.jitter(quad, rng, 0.012 * spread, 0.006 * spread, 0.01), 2, onto, data.FINE)
            left, top = (data.MARGIN.rect[0] - data.FINE.rect[0]).astype(int).tolist()
            right, below = (a - b - c for a, b, c in zip(data.MARGIN.size, data.FINE.size, (left, top)))
            out, spread = cv2.copyMakeBorder(flat, top, below, left, right, cv2.BORDER_REPLICATE), 0.15
        if rng.random() < 0.25:
            ok, code = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 85))])
            out = cv2.imdecode(code, cv2.IMREAD_COLOR) if ok else out
        return out, kinds.encode(text), colour, spread

    def refiner(self):
        """(patch [48,144,3] uint8, corners [8] in patch pixels, are they known, is it a plate, two rows 0/1/-1)."""
        rng, r = self.rng, self.rng.random()
        rough = FAR if rng.random() < FAR_OFF else dict(each=rng.uniform(0.008, 0.04), shift=0.03, scale=0.05, turn=0.03)
        if r < 0.20:  # no plate
            source = self.small if rng.random() < 0.35 else self.wide
            image = source[int(rng.integers(len(source)))]
            quad = data.jitter(data.full_quad(image), rng, 0.05, 0.05)
            if image.shape[0] >= 60:
                quad = data.jitter(quad, rng, 0.05, 0.1)
                quad = (quad - quad.mean(0)) * rng.uniform(0.3, 0.9) * np.array([1, rng.uniform(0.5, 0.9)]) + quad.mean(0)
            return augment.degrade(data.warp(image, quad, data.PATCH_RECT, data.PATCH), rng, 0.6), np.zeros(8), 0, 0, -1
        if r < 0.27:  # a crop: its corners are not known, but it is a plate
            item = self.crops[int(rng.integers(len(self.crops)))]
            quad = data.jitter(item["quad"], rng, 0.02, 0.02, 0.03)
            return augment.degrade(data.warp(item["image"], quad, data.PATCH_RECT, data.PATCH), rng, 0.6), np.zeros(8), 0, 1, 0
        if r < 0.63:
            item = self._pick(self.exact, self.refine_w)
            true, rows = item["quad"], item["rows"]
            quad = data.jitter(true, rng, **rough)
            out, strength = data.warp(item["image"], quad, data.PATCH_RECT, data.PATCH), 0.7
        else:
            plate = self.pool.draw()
            true, rows = data.full_quad(plate.image), plate.rows
            quad = data.jitter(true, rng, **rough)
            out, strength = data.warp(plate.image, quad, data.PATCH_RECT, data.PATCH, self._ground(data.PATCH)), 0.97
        m = cv2.getPerspectiveTransform(quad, data.PATCH_RECT)
        corners = cv2.perspectiveTransform(true[None], m)[0]
        if rng.random() < RECESSED:
            out = augment.recess(out, rng, corners)
        return augment.degrade(out, rng, strength), corners.reshape(8), 1, 1, int(rows == 2)
