"""Fits the constants of the fusion of a car's frames (src/vision/track.rs) and says how well they are calibrated.

In: what `plategate simulate --record FILE` wrote (approaches of cars: the truth, and what was read in each frame). Out: the
constants under which the truth is likeliest after one, two, three, five and all frames (mean negative log-likelihood of
the eight slots), found by coordinate descent, fitted on one half and told for the other; and how often a fused slot was
wrong that was claimed right with odds of so many to one.

    plategate simulate --photos DIR --manifest FILE --split dev --neighbours 0 --strangers 900 --spoofs 0 --record readings.jsonl
    python calibration/track/fit.py readings.jsonl
"""

import csv
import json
import sys

import numpy as np

SHIPPED = {"likeness": 0.4, "bad_look": 0.001, "temper": 1.0, "width_power": 3.0, "sharpness_power": 1.0}
GRID = {
    "likeness": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "bad_look": [1e-5, 1e-4, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05],
    "temper": [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4],
    "width_power": [0.0, 0.5, 1.0, 1.5, 2.0, 3.0],
    "sharpness_power": [0.0, 0.25, 0.5, 1.0, 2.0],
}
FULL_WIDTH_PX, FULL_SHARPNESS, CHARACTERS, LEAST = 130.0, 0.06, 75, 1e-6
AFTER = (1, 2, 3, 5, 99)


def width(quad):
    (a, b, c, d) = np.array(quad)
    return (np.linalg.norm(b - a) + np.linalg.norm(c - d)) / 2


def dense(slots):
    rows = np.empty((8, CHARACTERS))
    for row, kept in zip(rows, slots):
        rest = max(1.0 - sum(np.exp(l) for _, l in kept), 1e-9) / CHARACTERS
        row[:] = np.log(min(rest, LEAST))
        for i, l in kept:
            row[i] = l
    return rows


def looks(row):
    """Of an approach's frames that a plate was read in: indices [N], log-probabilities [N,8,75], widths and sharpness [N]."""
    seen = [(at, looks[0]) for at, looks in enumerate(row["frames"]) if looks]
    logs = np.array([dense(look["slots"]) for _, look in seen]).reshape(-1, 8, CHARACTERS)
    return np.array([at for at, _ in seen], int), logs, np.array([width(look["quad"]) for _, look in seen]), np.array([look["sharpness"] for _, look in seen])


def listed(table):
    """The photographs that a table's column `path` names."""
    with open(table, encoding="utf-8", newline="") as f:
        return {row["path"] for row in csv.DictReader(f, delimiter="\t")}


def load(path):
    approaches = []
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        if row["who"] not in ("neighbour", "stranger", "look_alike"):
            continue
        at, *seen = looks(row)
        if len(at):
            approaches.append((np.array(row["truth"]), *seen))
    return approaches


def fuse(logs, sizes, sharp, c, after=AFTER):
    """As `Track::fused`, after each of these numbers of frames."""
    w = np.clip(sizes / FULL_WIDTH_PX, 0.1, 1.0) ** c["width_power"]
    w = w * np.clip(sharp / FULL_SHARPNESS, 0.2, 1.0) ** c["sharpness_power"]
    if c["temper"] != 1.0:
        logs = logs * c["temper"]
        logs = logs - np.log(np.exp(logs).sum(axis=2, keepdims=True))
    sums = np.cumsum(w[:, None, None] * np.log((1 - c["bad_look"]) * np.exp(logs) + c["bad_look"] / CHARACTERS), axis=0)
    weight, heaviest = np.cumsum(w), np.maximum.accumulate(w)
    out = []
    for n in sorted({min(n, len(logs)) for n in after}):
        looks = weight[n - 1] / heaviest[n - 1]
        looks = looks if looks <= 1 else looks / (1 + c["likeness"] * (looks - 1))
        fused = sums[n - 1] * looks / weight[n - 1]
        fused = fused - fused.max(axis=1, keepdims=True)
        out.append(fused - np.log(np.exp(fused).sum(axis=1, keepdims=True)))
    return out


def loss(approaches, c):
    sums = []
    for truth, logs, sizes, sharp in approaches:
        sums.extend(-fused[np.arange(8), truth].mean() for fused in fuse(logs, sizes, sharp, c))
    return float(np.mean(sums))


def fit(approaches):
    best = dict(SHIPPED)
    lowest = loss(approaches, best)
    for _ in range(2):
        for key, values in GRID.items():
            for value in values:
                now = loss(approaches, {**best, key: value})
                if now < lowest - 1e-9:
                    lowest, best = now, {**best, key: value}
    return best


def tail(approaches, c):
    """Odds claimed for a slot's favourite over the truth, where the favourite is wrong; and the slots in all."""
    worst, slots = [], 0
    for truth, logs, sizes, sharp in approaches:
        fused = fuse(logs, sizes, sharp, c)[-1]
        slots += 8
        best = fused.argmax(axis=1)
        worst += [float(np.exp(fused[s, best[s]] - fused[s, truth[s]])) for s in range(8) if best[s] != truth[s]]
    return {"slots": slots, "wrong": len(worst), **{f"wrong_at_{t:g}_to_1": sum(w >= t for w in worst) for t in (1e1, 1e2, 1e3, 1e4)}}


def main():
    approaches = load(sys.argv[1])
    print(json.dumps({"approaches": len(approaches), "shipped": SHIPPED, "loss": loss(approaches, SHIPPED), **tail(approaches, SHIPPED)}))
    for a, b in ((approaches[0::2], approaches[1::2]), (approaches[1::2], approaches[0::2])):
        best = fit(a)
        print(json.dumps({"fitted_on": len(a), "constants": best, "loss": loss(a, best), "loss_of_the_other_half": loss(b, best),
                          "loss_of_the_other_half_as_shipped": loss(b, SHIPPED), **tail(b, best)}))
    best = fit(approaches)
    print(json.dumps({"fitted_on": len(approaches), "constants": best, **tail(approaches, best)}))


if __name__ == "__main__":
    main()
