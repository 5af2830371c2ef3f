"""Fits the reader's temperature on dev photographs and draws its reliability diagram.

    python calibrate.py --run runs/reader --refiner runs/refiner --out ../../calibration/confidence

One number T divides all slot logits so that the mean negative log-likelihood of the true characters is least (Guo et al.,
On Calibration of Modern Neural Networks, 2017). Photographs are cut at the refiner's corners, as in use.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import data
import kinds
import reader
import refine


def logits_and_truth(run, refiner, cache):
    """Slot logits [n,8,75] and the true indices [n,8] of the dev photographs."""
    loaded = data.load(cache)
    dev = [it for it in loaded["items"] if it["split"] == "dev"]
    refine.attach(refine.load_refiner(refiner)[0], dev)
    cut = [dict(it, quad=(it["refined"] or [it["quad"]])[0]) if it["exact"] else it for it in dev]
    net = reader.load(run)
    slots, _ = reader.read(net, reader.tensors(cut, layout=reader.layout(net)))
    return torch.from_numpy(slots), torch.tensor([kinds.encode(it["text"]) for it in dev])


def fit(slots, truth):
    """The temperature with the least mean negative log-likelihood, by a search on a grid."""
    grid = np.exp(np.linspace(np.log(0.4), np.log(3.0), 120))
    nll = [float(F.cross_entropy((slots / t).flatten(0, 1), truth.flatten())) for t in grid]
    return float(grid[int(np.argmin(nll))]), nll[int(np.argmin(nll))], float(F.cross_entropy(slots.flatten(0, 1), truth.flatten()))


def reliability(slots, truth):
    """Rows (from, to, slots, mean claimed, share right) over the claimed probability of the likeliest character."""
    p, best = torch.softmax(slots, 2).max(2)
    p, right = p.flatten().numpy(), (best == truth).flatten().numpy()
    edges = [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0001]
    rows = []
    for a, b in zip(edges, edges[1:]):
        at = (p >= a) & (p < b)
        if at.any():
            rows.append((a, min(b, 1.0), int(at.sum()), round(float(p[at].mean()), 4), round(float(right[at].mean()), 4)))
    return rows


def expected_error(slots, truth, bins=15):
    """Expected calibration error (Naeini et al., 2015): the mean distance of claimed and true share over equal bins."""
    p, best = torch.softmax(slots, 2).max(2)
    p, right = p.flatten().numpy(), (best == truth).flatten().numpy()
    at = np.minimum((p * bins).astype(int), bins - 1)
    return float(sum(abs(p[at == b].sum() - right[at == b].sum()) for b in range(bins)) / len(p))


def draw(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([r[3] for r in rows], [r[4] for r in rows], marker="o")
    axes.set(xlabel="claimed", ylabel="right", title="characters of dev photographs")
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--refiner", required=True)
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    slots, truth = logits_and_truth(args.run, args.refiner, args.cache)
    temperature, after, before = fit(slots, truth)
    rows = reliability(slots / temperature, truth)
    args.out.mkdir(parents=True, exist_ok=True)
    record = {"temperature": round(temperature, 4), "nll": round(after, 5), "nll_without": round(before, 5), "photographs": len(truth),
              "expected_calibration_error": round(expected_error(slots / temperature, truth), 5),
              "reliability": [dict(zip(("from", "to", "slots", "claimed", "right"), r)) for r in rows]}
    (args.out / "temperature.json").write_text(json.dumps(record, indent=1) + "\n")
    draw(rows, args.out / "reliability.png")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
