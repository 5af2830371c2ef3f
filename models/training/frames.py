"""The photographs: the manifest, a cache of shrunken frames, and the way a frame goes into the detector's input.

The photo folder comes from $PLATEGATE_PHOTOS (default `../shared/plates` beside the repository); its README says what
the columns mean. `train` rows are trained on, `dev` rows choose, `eval` rows are only looked at. All pictures here are
RGB uint8 [H,W,3]; corners are float32 [4,2], x and y in pixels, top left first, clockwise.

    python frames.py --cache runs/frames        # decode every frame once; about 5 GB
"""
import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

from data import photo_root, read_rgb

LONG_SIDE = 720  # of a cached frame: CCPD's plates are then up to about 190 pixels wide
LEVELS = 3  # full, half and quarter size: shrinking from the right one costs little and does not alias


def manifest(root=None, **wanted):
    """Rows of the manifest as dictionaries; keyword arguments keep only rows whose column is in the given values."""
    root = Path(root or photo_root())
    with open(root / "manifest.tsv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    for column, values in wanted.items():
        values = {values} if isinstance(values, str) else set(values)
        rows = [r for r in rows if r[column] in values]
    return rows


def quad_of(row):
    """The row's corners [4,2], or None."""
    if not row["corners"]:
        return None
    return np.array([float(v) for v in row["corners"].split(",")], np.float32).reshape(4, 2)


def read_frame(root, row):
    """A frame and its quad. unet_leoluo has an inset printed above row 46: it is greyed out."""
    image = read_rgb(Path(root) / row["path"])
    if row["source"] == "unet_leoluo":
        image[:46] = 128
    return image, quad_of(row)


def letterbox(image, height, width, interpolation=cv2.INTER_LINEAR):
    """Frame resized to fit, aspect kept, at the top left of a grey [height,width] canvas. Returns it and the scale."""
    h, w = image.shape[:2]
    scale = min(width / w, height / h)
    small = cv2.resize(image, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=interpolation)
    canvas = np.full((height, width, 3), 128, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas, scale


def input_shape(height, width):
    """The network shape that the contract gives a whole frame."""
    if width > 1.2 * height:
        return 288, 512
    if height > 1.2 * width:
        return 512, 288
    return 384, 384


def build_cache(folder, root=None):
    """Write every full frame with corners, at LEVELS sizes, into one flat file, and its index beside it."""
    root, folder = Path(root or photo_root()), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    with open(folder / "frames.bin", "wb") as out:
        for row in manifest(root, kind="full_frame", split={"train", "dev"}):
            if not row["corners"]:
                continue
            image, quad = read_frame(root, row)
            scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
            if scale < 1:
                image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for level in range(LEVELS):
                if level:
                    image = cv2.resize(image, (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)),
                                       interpolation=cv2.INTER_AREA)
                if level == 0:
                    index.append([*(quad * scale).reshape(-1)])
                index[-1] += [out.tell(), *image.shape[:2]]
                out.write(image.tobytes())
            index[-1] = (row["split"], row["source"], row["colour"], row["path"], index[-1])
    np.savez(folder / "index.npz", **{name: np.array([r[i] for r in index])
                                      for i, name in enumerate(["split", "source", "colour", "path", "numbers"])})
    return len(index)


class FrameCache:
    """Frames of one split out of the cache; the file is mapped, not read, so it costs page cache only."""

    def __init__(self, folder, split):
        data = np.load(Path(folder) / "index.npz")
        keep = data["split"] == split
        self.source, self.colour, self.path = (data[k][keep] for k in ("source", "colour", "path"))
        self.numbers = data["numbers"][keep]
        self.bytes = np.memmap(Path(folder) / "frames.bin", np.uint8, "r")

    def __len__(self):
        return len(self.source)

    def quad(self, i):
        """Corners [4,2] in the full-size cached frame."""
        return self.numbers[i, :8].astype(np.float32).reshape(4, 2)

    def frame(self, i, level=0):
        """The cached frame at one of its sizes (read-only)."""
        at, h, w = (int(v) for v in self.numbers[i, 8 + 3 * level: 11 + 3 * level])
        return self.bytes[at: at + h * w * 3].reshape(h, w, 3)


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="Build the cache of shrunken frames.")
    args.add_argument("--cache", default="runs/frames")
    print(build_cache(args.parse_args().cache), "frames")
