"""Stamped glyphs cut out of photographs, so that painted plates of every kind wear the face that real ones have.

    python glyphs.py --cache runs/items.pkl --refiner runs/refiner --out runs/glyphs.npz

No free font has the face of GA 36. Blue and green plates are photographed by the thousand, though, and yellow, white and
black ones are stamped with the same dies: each photographed plate is laid flat, each character's place is turned into
an ink mask (0 paper, 1 ink; paper and ink are that place's own), and the painter inks these masks in any colour. The
masks stay in the training cache; nothing of a photograph goes into the repository.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

import data
import kinds
import refine
from synth import GLYPH, layout

SCALE = 2  # millimetres to a pixel of the flattened plate
MARGIN = 3  # pixels looked at around a character's place: corners are a per cent or two off
MOST = 80  # masks kept of one character


def ink(plate, colour):
    """The channel in which ink and paper differ most, ink bright."""
    if colour == "blue":
        return plate[:, :, 0].astype(np.float32)  # red: paper has none of it
    return 255.0 - plate.min(2).astype(np.float32)


def mask(cell):
    """A character's place [h,w] -> its ink mask [90,45] uint8, filled by the glyph; None where there is none to see."""
    low, high = np.percentile(cell, (15, 93))
    if high - low < 30:
        return None
    alpha = np.clip((cell - low) / (high - low), 0, 1)
    ys, xs = np.nonzero(alpha[:, MARGIN - 2:-MARGIN + 2] > 0.5)
    if not len(xs):
        return None
    x0, x1, y0, y1 = xs.min() + MARGIN - 2, xs.max() + MARGIN - 1, ys.min(), ys.max() + 1
    if y1 - y0 < 0.75 * GLYPH[1] / SCALE or not 0.08 < alpha.mean() < 0.6:  # a smear
        return None
    tight, width = alpha[y0:y1, x0:x1], min(GLYPH[0] - 2, round((x1 - x0) * (GLYPH[1] - 2) / (y1 - y0)))
    if width > 0.7 * GLYPH[0]:
        width = GLYPH[0] - 2
    out, left = np.zeros(GLYPH[::-1], np.float32), (GLYPH[0] - width) // 2
    out[1:-1, left:left + width] = cv2.resize(tight, (width, GLYPH[1] - 2), interpolation=cv2.INTER_CUBIC)
    return np.round(out.clip(0, 1) * 255).astype(np.uint8)


def cells(item):
    """(character, (the plate's width in pixels, mask)) of one photographed single-row plate."""
    quad = item["quad"] if item["exact"] else (item["refined"] or [None])[0]
    if quad is None or np.linalg.norm(quad[1] - quad[0]) < 88 or item["rows"] != 1:
        return
    green = len(item["text"]) == 8
    size = ((480 if green else 440) // SCALE, 140 // SCALE)
    rect = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    flat = data.warp(item["image"], quad, rect, size)
    red, _, blue = flat.mean((0, 1))
    colour = "green" if green else "blue" if blue > 1.25 * red else item["colour"]
    if colour not in ("blue", "green", "yellow") or len(item["text"]) < 7:
        return
    flat = ink(flat, colour)
    for char, x, y, w, h, _ in layout("green_small" if green else "blue", item["text"], np.random.default_rng(0)):
        a, b = round(x / SCALE) - MARGIN, round(y / SCALE) - MARGIN
        cell = flat[b:b + h // SCALE + 2 * MARGIN, max(0, a):a + w // SCALE + 2 * MARGIN]
        found = mask(cell)
        if found is not None:
            yield char, (float(np.linalg.norm(quad[1] - quad[0])), found)


def typical(found):
    """[(width of the photographed plate, mask)] -> masks: of the largest plates' those most like their mean, so that
    what a wrong corner, a bolt or a blur spoilt goes."""
    masks = [m for _, m in sorted(found, key=lambda f: -f[0])[:3 * MOST]]
    stack = np.stack(masks).astype(np.float32).reshape(len(masks), -1)
    stack = (stack - stack.mean(1, keepdims=True)) / (stack.std(1, keepdims=True) + 1)
    mean = np.median(stack, 0)
    for _ in range(4):  # the mean of the better half judges all
        order = np.argsort(-(stack @ mean))
        mean = stack[order[:max(3, len(order) // 2)]].mean(0)
    good = [masks[i] for i in order[:max(4, int(0.7 * len(order)))]]
    # Blurred Chinese characters are like each other's mean too: the blurriest third goes.
    edges = [float(np.abs(np.diff(m.astype(np.int16), axis=0)).mean() + np.abs(np.diff(m.astype(np.int16), axis=1)).mean()) for m in good]
    floor = np.quantile(edges, 0.33) if len(good) > 20 else 0.0  # of a rare character all that is clear is wanted
    return [m for m, e in zip(good, edges) if e >= floor][:MOST]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--refiner", default="runs/refiner")
    parser.add_argument("--out", type=Path, default=Path("runs/glyphs.npz"))
    args = parser.parse_args()
    items = [it for it in data.load(args.cache)["items"] if it["split"] == "train"]
    refine.attach(refine.load_refiner(args.refiner)[0], items, seeds=(1,))
    found = {}
    for item in items:
        for char, m in cells(item):
            found.setdefault(char, []).append(m)
    kept = {char: np.stack(typical(masks)) for char, masks in found.items() if len(masks) >= 4}
    np.savez_compressed(args.out, chars=np.array(list(kept)), **{f"c{i}": m for i, m in enumerate(kept.values())})
    print({c: len(m) for c, m in kept.items()}, "missing:", [c for c in kinds.ALPHABET[1:] if c not in kept])


if __name__ == "__main__":
    main()
