"""From what doubt on a frame's plate is looked at again, and how much the second reader's look counts (src/vision/judges.rs: SURE, SECOND_SHARE).

Photographs of cars are made into approaches much as `plategate simulate` makes them (a plate 61 to 126 pixels wide, by day and night, blurred,
noisy), with corners off as a detector's are, and read as the gate reads a frame, by the shipped networks. Told is, for each threshold of doubt
and each share, the mean negative log-likelihood of the truth's slots in the fused evidence after one, two, three, five and all frames, in
thousandths: the lower, the better. Every plate is read as one row.

    python calibration/doubt/share.py --split dev
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "models/training"), str(ROOT / "calibration/track")]
import data  # noqa: E402
import fit  # noqa: E402
import frames  # noqa: E402
import kinds  # noqa: E402

WIDTHS = [61, 68, 76, 84, 93, 103, 112, 119, 125, 126, 126, 126, 126]  # pixels: a car that brakes and stands
SECOND_START = (1.06, 1.1)  # src/vision/judges.rs
MOVED = 0.15  # src/vision/rectifier.rs
SURE, SHARES = (0.9, 0.95, 0.98, 0.99, 0.995), (0.0, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 1.0)
LEAST = -16.0  # log-probabilities, as the record keeps them


class Network:
    """A shipped network in INT8, on one thread."""

    def __init__(self, role, where):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(ROOT / f"models/{role}.int8.onnx"), options, providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.black, self.white = float(told["plategate.black"]), float(told["plategate.white"])
        self.where, self.size = where

    def __call__(self, image, quad):
        """The answers, and the flat picture [3,h,w], 0..1."""
        flat = data.warp(image, quad, self.where, self.size).astype(np.float32).transpose(2, 0, 1) / 255
        name = self.session.get_inputs()[0].name
        return self.session.run(None, {name: (self.black + flat * (self.white - self.black))[None]}), flat


def normalised(logits):
    logits = logits.astype(float)
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def grown(quad, along, across):
    """As `Quad::grown`."""
    a, b, c, d = quad
    u, v = (b - a + c - d) / 4 * (along - 1), (d - a + c - b) / 4 * (across - 1)
    return np.float32([a - u - v, b + u - v, c + u + v, d - u + v])


class Gate:
    """What the gate makes of a plate in a frame."""

    def __init__(self):
        self.corners = Network("corners", (data.PATCH_RECT, data.PATCH))
        self.first = Network("reader", (data.PLATE.rect, data.PLATE.size))
        self.second = Network("second_reader", (data.FINE.rect, data.FINE.size))

    def refine(self, image, quad):
        def look(quad):
            (corners, _), _ = self.corners(image, quad)
            back = cv2.getPerspectiveTransform(data.PATCH_RECT, quad.astype(np.float32))
            return cv2.perspectiveTransform(corners.reshape(1, 4, 2), back)[0]

        refined = look(quad)
        far = np.linalg.norm(refined - quad, axis=1).max() > MOVED * fit.width(quad)
        return look(refined) if far else refined

    def looks(self, image, rough):
        """Width, sharpness, and log-probabilities [3,8,75]: the reader's, the same from another start, the second reader's there."""
        quad = self.refine(image, rough)
        again = self.refine(image, grown(quad, *SECOND_START))
        (first, _), flat = self.first(image, quad)
        logits = [first, self.first(image, again)[0][0], self.second(image, again)[0][0]]
        return fit.width(quad), np.abs(np.diff(flat[1], axis=1)).mean(), np.maximum(normalised(np.concatenate(logits)), LEAST)


def approach(gate, image, quad, rng):
    """A car that comes up: (widths [N], sharpness [N], looks [N,3,8,75])."""
    night = rng.random() < 0.3
    gain = (rng.uniform(0.3, 0.55) if night else rng.uniform(0.65, 1.15)) * rng.uniform(0.92, 1.08, 3)
    noise, soft, turn = rng.uniform(*((4, 10) if night else (1, 5))), rng.uniform(0.75, 1.4), rng.uniform(-0.05, 0.05)
    seen = []
    for wide in WIDTHS:
        scale = wide / fit.width(quad)
        size = (int(2.6 * wide), int(1.5 * wide))
        m = scale * np.float32([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
        m[:, 2] = np.float32(size) / 2 + rng.uniform(-0.6, 0.6, 2) - m[:, :2] @ quad.mean(0)
        # Shrunk as a lens does it: each pixel is the mean of what it covers, or less, or more.
        blurred = cv2.GaussianBlur(image, (0, 0), 0.45 / (scale * soft)) if scale * soft < 1 else image
        frame = cv2.warpAffine(blurred, m, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * gain
        frame = np.clip(frame + rng.normal(0, noise / 2, frame.shape[:2])[..., None], 0, 255).astype(np.uint8)
        rough = data.jitter(quad @ m[:, :2].T + m[:, 2], rng, 0.025, 0.015)
        seen.append(gate.looks(frame, rough))
    return [np.array(part) for part in zip(*seen)]


def mixed(looks, sure, share):
    """What counts [N,8,75] of looks [N,3,8,75]: the first where it is sure of every slot, else all three."""
    doubted = np.exp(looks[:, 0].max(-1)).min(-1) < sure
    both = normalised((looks[:, 0] + looks[:, 1]) / 2)
    return np.where(doubted[:, None, None], normalised((1 - share) * both + share * looks[:, 2]), looks[:, 0])


def photographs(split):
    """(picture, corners, truth [8]) of the frames that show a plate wide and level enough, those left out left out."""
    left_out = fit.listed(ROOT / "calibration/approaches/left_out.tsv")
    for row in frames.manifest(split=split, kind="full_frame"):
        quad, truth = frames.quad_of(row), kinds.encode(row["text"])
        if quad is None or truth is None or row["path"] in left_out:
            continue
        lean = np.arctan2(*(quad[1] - quad[0])[::-1])
        if fit.width(quad) >= 80 and abs(lean) < 0.35:
            yield data.read_rgb(data.photo_root() / row["path"]), quad, np.array(truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=["dev", "eval"], required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    gate, rng = Gate(), np.random.default_rng(args.seed)
    seen = [(truth, *approach(gate, image, quad, rng)) for image, quad, truth in photographs(args.split)]
    print(f"{len(seen)} approaches of {args.split}; the second reader's share: " + ", ".join(f"{share:.2f}" for share in SHARES))
    for sure in SURE:
        doubted = np.mean([(np.exp(looks[:, 0].max(-1)).min(-1) < sure).mean() for *_, looks in seen])
        losses = [1e3 * fit.loss([(t, mixed(looks, sure, share), w, s) for t, w, s, looks in seen], fit.SHIPPED) for share in SHARES]
        print(f"in doubt below {sure}, {100 * doubted:.1f} % of readings: " + "  ".join(f"{loss:.2f}" for loss in losses))


if __name__ == "__main__":
    main()
