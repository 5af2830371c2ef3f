"""Fits the constants of the fusion of a car's frames (src/vision/track.rs) and says how well they are calibrated.

In: what `plategate simulate --record FILE` wrote (approaches of registered cars: the truth, and for each frame with a plate
its width, its sharpness and the log-probabilities by slot and character). Out: the constants under which the truth is
likeliest after one, two, ... frames (mean negative log-likelihood of the eight slots), found by coordinate descent on
two halves: fitted on one, told for the other.

    plategate simulate --photos DIR --manifest FILE --split dev --strangers 0 --spoofs 0 --neighbours 400 --record readings.jsonl
    python calibration/track/fit.py readings.jsonl
"""

import json
import sys

import numpy as np

START = {"likeness": 0.5, "bad_look": 0.02, "width_power": 2.0, "sharpness_power": 1.0}
GRID = {
    "likeness": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "bad_look": [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05],
    "width_power": [0.0, 0.5, 1.0, 1.5, 2.0, 3.0],
    "sharpness_power": [0.0, 0.5, 1.0, 2.0],
}
FULL_WIDTH_PX, FULL_SHARPNESS, CHARACTERS = 130.0, 0.06, 75


def load(path):
    approaches = []
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        if row["frames"]:
            logs = np.array([f["slots"] for f in row["frames"]], dtype=np.float64)
            width = np.array([f["width"] for f in row["frames"]])
            sharp = np.array([f["sharpness"] for f in row["frames"]])
            approaches.append((np.array(row["truth"]), logs, width, sharp))
    return approaches


def fuse(logs, width, sharp, c):
    """As `Track::fused`."""
    w = np.clip(width / FULL_WIDTH_PX, 0.1, 1.0) ** c["width_power"]
    w = w * np.clip(sharp / FULL_SHARPNESS, 0.2, 1.0) ** c["sharpness_power"]
    p = (1 - c["bad_look"]) * np.exp(logs) + c["bad_look"] / CHARACTERS
    total = np.tensordot(w, np.log(p), axes=1)
    n = w.sum() / w.max()
    looks = n if n <= 1 else n / (1 + c["likeness"] * (n - 1))
    fused = total * looks / w.sum()
    fused -= fused.max(axis=1, keepdims=True)
    return fused - np.log(np.exp(fused).sum(axis=1, keepdims=True))


def loss(approaches, c):
    sums = []
    for truth, logs, width, sharp in approaches:
        for n in sorted({1, 2, 3, 5, len(logs)}):
            if n <= len(logs):
                fused = fuse(logs[:n], width[:n], sharp[:n], c)
                sums.append(-fused[np.arange(8), truth].mean())
    return float(np.mean(sums))


def fit(approaches):
    best = dict(START)
    lowest = loss(approaches, best)
    for _ in range(3):
        for key, values in GRID.items():
            for value in values:
                now = loss(approaches, {**best, key: value})
                if now < lowest - 1e-9:
                    lowest, best = now, {**best, key: value}
    return best


def main():
    approaches = load(sys.argv[1])
    halves = approaches[0::2], approaches[1::2]
    for a, b in (halves, halves[::-1]):
        best = fit(a)
        print(json.dumps({"fitted_on": len(a), "constants": best, "loss": loss(a, best), "loss_of_the_other_half": loss(b, best),
                          "loss_of_the_other_half_as_shipped": loss(b, START)}))
    print(json.dumps({"fitted_on": len(approaches), "constants": fit(approaches)}))


if __name__ == "__main__":
    main()
