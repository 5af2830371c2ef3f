"""A small cache for training on a machine that neither the photographs nor the fonts can travel to.

    python pack.py --cache runs/items.pkl --refiner runs/refiner --out runs/packed.pkl

Plates are cut closer and shrunk to a little more than the reader's input, pictures are WebP; the refiner's corners and
the fonts' glyphs go along. `data.load` opens it like any other cache.
"""
import argparse
import pickle
from pathlib import Path

import cv2
import numpy as np

import data
import refine
import synth

WIDE = 200  # a plate's most pixels: the reader's input shows it 176 wide
BACKGROUNDS = {"train": 3000}  # pictures without a plate that are taken along


def cut_closer(item):
    """The item with at most a fifth of the plate's width around it, its plate at most WIDE pixels wide."""
    image, quads = item["image"], [item["quad"], *item["refined"]]
    both = np.concatenate(quads)
    lo, hi = both.min(0), both.max(0)
    pad = 0.2 * (hi[0] - lo[0])
    a = np.maximum(0, np.floor(lo - pad)).astype(int)
    b = np.minimum(image.shape[1::-1], np.ceil(hi + pad)).astype(int)
    cut, scale = image[a[1]:b[1], a[0]:b[0]], min(1.0, WIDE / float(np.linalg.norm(item["quad"][1] - item["quad"][0])))
    size = np.maximum(1, np.round(np.array(cut.shape[1::-1]) * scale)).astype(int)
    factor = size / np.array(cut.shape[1::-1])
    if scale < 1:
        cut = cv2.resize(cut, tuple(int(v) for v in size), interpolation=cv2.INTER_AREA)
    moved = [((q - a) * factor).astype(np.float32) for q in quads]
    return dict(item, image=cut, quad=moved[0], refined=moved[1:])


def coded(image, quality):
    ok, code = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not ok:
        raise ValueError(f"a picture of {image.shape} cannot be coded")
    return code.tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--refiner", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quality", type=int, default=90)
    args = parser.parse_args()
    loaded, rng = data.load(args.cache), np.random.default_rng(1)
    items = [it for it in loaded["items"] if it["split"] in ("train", "dev")]
    refine.attach(refine.load_refiner(args.refiner)[0], items)
    items = [cut_closer(it) for it in items]
    for item in items:
        item["image"] = coded(item["image"], args.quality)
    backgrounds = {}
    for split, most in BACKGROUNDS.items():
        found = loaded["backgrounds"][split]
        backgrounds[split] = [coded(found[i], args.quality - 8) for i in rng.permutation(len(found))[:most]]
    args.out.write_bytes(pickle.dumps({"items": items, "backgrounds": backgrounds, "faces": synth.rasterised()}, protocol=5))
    print(f"{len(items)} plates, {sum(map(len, backgrounds.values()))} backgrounds, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
