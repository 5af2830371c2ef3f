"""The photographs, cut to the plate's surroundings and kept in memory, and the warps of models/README.md.

An item is a dictionary: image (RGB uint8), quad (float32 [4,2] in its pixels), exact (are the corners known?), text,
colour, rows, source, split. Items come from the manifest's rows; the folder is $PLATEGATE_PHOTOS.

    python data.py --cache runs/items.pkl
"""
import argparse
import csv
import os
import pickle
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import kinds

REPOSITORY = Path(__file__).resolve().parents[2]
PATCH = (144, 48)  # the refiner's input, width and height
PATCH_RECT = np.array([[22, 11], [122, 11], [122, 37], [22, 37]], np.float32)


class Layout(NamedTuple):
    """How a plate is laid flat: the picture's width and height, where in it the plate lies, and where a double-row plate's lower
    row begins, right of the upper one."""
    size: tuple
    rect: np.ndarray
    beside: int


def _rect(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


PLATE = Layout((144, 40), _rect(6, 4, 138, 36), 50)  # the reader's input
FINE = Layout((192, 48), _rect(8, 5, 184, 43), 67)  # finer: what reader_gpu.py trains on, and scales down for the reader
MARGIN = Layout((256, 64), FINE.rect + np.array([32, 8], np.float32), 99)  # that with what is around it
SPLIT_V = 5 / 12  # of a double-row plate's height, the upper row's share
COLOUR = {"blue": 0, "green": 1, "yellow": 3}
IGNORE = -100


def photo_root():
    """The folder with the photographs."""
    return Path(os.environ.get("PLATEGATE_PHOTOS", REPOSITORY / "../shared/plates"))


def read_rgb(path):
    """A picture as RGB uint8."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not a picture")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def full_quad(image):
    """The corners of a crop that shows the plate alone."""
    h, w = image.shape[:2]
    return np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)


def around(image, quad, most=220):
    """The plate with its surroundings, shrunk so that the plate is at most `most` pixels wide."""
    lo, hi = quad.min(0), quad.max(0)
    w, h = hi - lo
    pad = np.array([0.5 * w, max(1.3 * h, 0.3 * w)])
    a = np.maximum(0, np.floor(lo - pad)).astype(int)
    b = np.minimum(image.shape[1::-1], np.ceil(hi + pad)).astype(int)
    cut, quad = image[a[1]:b[1], a[0]:b[0]], quad - a
    scale = min(1.0, most / w)
    if scale < 1:
        size = (max(8, int(cut.shape[1] * scale)), max(8, int(cut.shape[0] * scale)))
        quad = quad * np.array(size) / np.array(cut.shape[1::-1])
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cut), quad.astype(np.float32)


def background_cuts(image, quad, rng, count=2):
    """Places of a frame that do not touch its plate, 200 pixels wide at most."""
    h, w = image.shape[:2]
    out = []
    for _ in range(count * 3):
        cw = int(rng.uniform(0.12, 0.45) * w)
        ch = cw // 2
        if ch >= h or len(out) == count:
            continue
        x, y = int(rng.integers(w - cw)), int(rng.integers(h - ch))
        if quad is not None and not (x > quad[:, 0].max() or x + cw < quad[:, 0].min() or y > quad[:, 1].max() or y + ch < quad[:, 1].min()):
            continue
        out.append(cv2.resize(image[y:y + ch, x:x + cw], (200, 100), interpolation=cv2.INTER_AREA))
    return out


def load_row(root, row, rng):
    """(item or None, background pictures) of one row of the manifest."""
    image = read_rgb(root / row["path"])
    if row["source"] == "unet_leoluo":
        image[:46] = 128  # an inset is printed there
    if row["kind"] == "background":
        return None, ([image] if max(image.shape) <= 300 else background_cuts(image, None, rng, 8))
    if kinds.encode(row["text"]) is None or (row["kind"] == "full_frame" and not row["corners"]):
        return None, []
    item = {"text": row["text"], "colour": row["colour"], "source": row["source"], "split": row["split"], "rows": 1, "path": row["path"]}
    backgrounds = []
    if row["kind"] == "full_frame":
        quad = np.array([float(v) for v in row["corners"].split(",")], np.float32).reshape(4, 2)
        backgrounds = background_cuts(image, quad, rng)
        item["image"], item["quad"] = around(image, quad)
        item["exact"] = True
    else:
        if image.shape[1] > 300:
            image = cv2.resize(image, (300, max(8, image.shape[0] * 300 // image.shape[1])), interpolation=cv2.INTER_AREA)
        item.update(image=image, quad=full_quad(image), exact=False)
    return item, backgrounds


def load(cache, root=None):
    """{'items': [...], 'backgrounds': {split: [pictures]}}, from the cache file or decoded and written there."""
    cache = Path(cache)
    if cache.exists():
        return unpacked(pickle.loads(cache.read_bytes()))
    root, rng = Path(root or photo_root()), np.random.default_rng(1)
    with open(root / "manifest.tsv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    items, backgrounds = [], {"train": [], "dev": [], "eval": []}
    for row in rows:
        item, more = load_row(root, row, rng)
        backgrounds[row["split"]] += more
        if item:
            items.append(item)
    out = {"items": items, "backgrounds": backgrounds}
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(pickle.dumps(out, protocol=5))
    return out


def unpacked(loaded):
    """A cache of pack.py with its pictures decoded; any other one as it is."""
    if "faces" in loaded:
        decode = lambda code: cv2.cvtColor(cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        for item in loaded["items"]:
            item["image"] = decode(item["image"])
        loaded["backgrounds"] = {split: [decode(code) for code in codes] for split, codes in loaded["backgrounds"].items()}
    return loaded


def warp(image, quad, rect, size, onto=None):
    """The picture with `quad` laid on `rect`; `onto` is the picture outside of it (default: its edge goes on)."""
    m = cv2.getPerspectiveTransform(np.asarray(quad, np.float32), rect)
    if onto is not None:
        return cv2.warpPerspective(image, m, size, dst=onto, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.warpPerspective(image, m, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def inner_quad(quad, v0, v1):
    """The part of the plate between heights v0 and v1 (0 top, 1 bottom), in perspective."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    m = cv2.getPerspectiveTransform(unit, np.asarray(quad, np.float32))
    part = np.array([[[0, v0], [1, v0], [1, v1], [0, v1]]], np.float32)
    return cv2.perspectiveTransform(part, m)[0]


def flatten(image, quad, rows, onto=None, layout=PLATE):
    """The reader's input [40,144,3] uint8, as models/README.md says; or in another layout."""
    size, rect, beside = layout
    if rows == 1:
        return warp(image, quad, rect, size, onto)
    left, right = rect.copy(), rect.copy()
    left[1:3, 0] = right[[0, 3], 0] = beside
    a = warp(image, inner_quad(quad, 0, SPLIT_V), left, size, None if onto is None else onto.copy())
    b = warp(image, inner_quad(quad, SPLIT_V, 1), right, size, onto)
    b[:, :beside] = a[:, :beside]
    return b


def jitter(quad, rng, each, shift=0.0, scale=0.0, turn=0.0):
    """A quad as an imperfect finder gives it; all sizes as shares of the plate's width (turn in radians), as sigmas."""
    width = max(4.0, float(np.linalg.norm(quad[1] - quad[0])))
    c = quad.mean(0)
    a, s = rng.normal(0, turn) if turn else 0.0, np.exp(rng.normal(0, scale, 2)) if scale else np.ones(2)
    turned = (quad - c) * s @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    move = rng.normal(0, shift, 2) * np.array([1, 0.5]) if shift else 0.0
    return (turned + c + (move + rng.normal(0, each, (4, 2)) * np.array([1, 0.7])) * width).astype(np.float32)


def colour_index(item):
    """The colour's index in kinds.COLOURS; IGNORE where the manifest does not know it."""
    return COLOUR.get(item["colour"], IGNORE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/items.pkl")
    loaded = load(parser.parse_args().cache)
    print(len(loaded["items"]), {k: len(v) for k, v in loaded["backgrounds"].items()})
