"""Runs a trained refiner over items: better corners for crops, and the refiner's own errors to train the reader on."""
import json
from pathlib import Path

import cv2
import numpy as np
import torch

import data
from refiner import Refiner


def load_refiner(run):
    """The averaged net of <run>/best.pt, ready to use."""
    saved = torch.load(Path(run) / "best.pt", weights_only=True)
    net = Refiner()
    net.load_state_dict(saved["ema"])
    return net.eval(), json.loads(saved["result"])


def patches(items, quads):
    """The refiner's inputs [n,3,48,144]."""
    cut = [data.warp(it["image"], q, data.PATCH_RECT, data.PATCH) for it, q in zip(items, quads)]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255


def back(quad, corners):
    """Corners in patch pixels [4,2] -> in the picture's pixels."""
    m = cv2.getPerspectiveTransform(data.PATCH_RECT, np.asarray(quad, np.float32))
    return cv2.perspectiveTransform(np.asarray(corners, np.float32).reshape(1, 4, 2), m)[0]


@torch.no_grad()
def refine(net, items, quads, chunk=256):
    """Refined quads and flags [n,2] (probabilities)."""
    out, flags = [], []
    for i in range(0, len(items), chunk):
        c, f = net(patches(items[i:i + chunk], quads[i:i + chunk]))
        out += [back(q, k) for q, k in zip(quads[i:i + chunk], c.numpy())]
        flags.append(torch.sigmoid(f).numpy())
    return out, np.concatenate(flags)


def rough_quads(items, seed, grow=0.0):
    """Where a finder would have said the plate is: true corners with errors; a crop whole, `grow` larger all round."""
    rng, out = np.random.default_rng(seed), []
    for it in items:
        q = it["quad"]
        if it["exact"]:
            out.append(data.jitter(q, rng, 0.025, 0.02, 0.03, 0.02))
        else:
            out.append(((q - q.mean(0)) * (1 + grow) + q.mean(0)).astype(np.float32))
    return out


def attach(net, items, seeds=(1, 2)):
    """Gives every item a list `refined` of quads; for a crop only where they are believable."""
    for it in items:
        it["refined"] = []
    for seed in seeds:
        quads, flags = refine(net, items, rough_quads(items, seed, 0.06 if seed == seeds[-1] else 0.0))
        for it, q, f in zip(items, quads, flags):
            size = np.array(it["image"].shape[1::-1])
            inside = (q > -0.15 * size).all() and (q < 1.15 * size).all()
            wide = np.linalg.norm(q[1] - q[0]) > 0.45 * np.linalg.norm(it["quad"][1] - it["quad"][0])
            if f[0] > 0.5 and inside and wide:
                it["refined"].append(q)
