"""The corner refiner: a 48x144 cut-out around a found plate -> exact corners, is it a plate, has it two rows.

    python refiner.py --minutes 10 --run runs/refiner [--cache runs/items.pkl]

Resumes from <run>/last.pt. The learning rate falls to nothing at the end of the minutes given.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import samples
from training import Ema, Log, pool, rate


def conv(i, o, stride=1, k=3):
    return nn.Sequential(nn.Conv2d(i, o, k, stride, k // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Refiner(nn.Module):
    """[n,3,48,144] in 0..1 -> corners [n,8] in patch pixels, flags [n,2] as logits (see Exported for probabilities)."""

    def __init__(self):
        super().__init__()
        self.a = conv(3, 16, 2)
        self.b = conv(16, 24, 2)
        self.c = nn.Sequential(conv(24, 48, 2), conv(48, 48), conv(48, 48))
        self.d = conv(24 + 48, 32)
        self.heat = nn.Conv2d(32, 4, 1)
        self.offset = nn.Linear(48, 8)
        self.flags = nn.Linear(48, 2)
        nn.init.zeros_(self.offset.weight), nn.init.zeros_(self.offset.bias)
        y, x = torch.meshgrid(torch.arange(12) * 4 + 1.5, torch.arange(36) * 4 + 1.5, indexing="ij")
        self.register_buffer("grid", torch.stack((x.flatten(), y.flatten()), 1).float())

    def forward(self, x):
        b = self.b(self.a((x - 0.45) * 4))
        c = self.c(b)
        heat = self.heat(self.d(torch.cat((b, F.interpolate(c, scale_factor=2.0)), 1)))
        p = torch.softmax(heat.flatten(2), 2)
        pooled = pool(c)
        corners = (p @ self.grid).flatten(1) + self.offset(pooled)  # the offset reaches corners outside of the patch
        return corners, self.flags(pooled)


class Exported(nn.Module):
    """The same with the flags as probabilities."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, patch):
        corners, flags = self.net(patch)
        return corners, torch.sigmoid(flags)


def batch(sampler, n):
    patch, corners, known, is_plate, rows = zip(*(sampler.refiner() for _ in range(n)))
    x = torch.from_numpy(np.stack(patch)).permute(0, 3, 1, 2).float().div_(255)
    f = lambda v: torch.from_numpy(np.asarray(v, np.float32))
    return x, f(corners), f(known), f(is_plate), f(rows)


def loss_of(out, corners, known, is_plate, rows):
    err = F.smooth_l1_loss(out[0], corners, reduction="none", beta=1.0).mean(1)
    corner = (err * known).sum() / known.sum().clamp(min=1)
    plate = F.binary_cross_entropy_with_logits(out[1][:, 0], is_plate)
    has = (rows >= 0).float()
    two = (F.binary_cross_entropy_with_logits(out[1][:, 1], rows.clamp(min=0), reduction="none") * has).sum() / has.sum().clamp(min=1)
    return corner + plate + 0.5 * two


def check(net, items, backgrounds):
    """Mean corner error before and after, in per cent of the width, on photographs, and after errors that are far off; flags'
    accuracy."""
    far = judged(net, items, backgrounds, samples.FAR)
    return {**judged(net, items, backgrounds, dict(each=0.025, shift=0.02, scale=0.03, turn=0.02)), "after_far_pct": far["after_pct"],
            "kept_far": far["plate_kept"]}


@torch.no_grad()
def judged(net, items, backgrounds, errors):
    """The same with these errors, data.jitter's."""
    rng, net = np.random.default_rng(5), net.eval()
    patch, target = [], []
    for it in items:
        quad = data.jitter(it["quad"], rng, **errors)
        patch.append(data.warp(it["image"], quad, data.PATCH_RECT, data.PATCH))
        m = data.cv2.getPerspectiveTransform(quad, data.PATCH_RECT)
        target.append(data.cv2.perspectiveTransform(it["quad"][None], m)[0])
    for b in backgrounds:
        patch.append(data.warp(b, data.full_quad(b), data.PATCH_RECT, data.PATCH))
    x = torch.from_numpy(np.stack(patch)).permute(0, 3, 1, 2).float() / 255
    corners, flags = zip(*(net(x[i:i + 200]) for i in range(0, len(x), 200)))
    corners, flags, n = torch.cat(corners).view(-1, 4, 2).numpy(), torch.sigmoid(torch.cat(flags)).numpy(), len(items)
    before = np.linalg.norm(np.stack(target) - data.PATCH_RECT, axis=2).mean()
    after = np.linalg.norm(np.stack(target) - corners[:n], axis=2).mean(1)
    return {"before_pct": float(before), "after_pct": float(after.mean()), "p95_pct": float(np.percentile(after, 95)),
            "plate_kept": float((flags[:n, 0] > 0.5).mean()), "blank_refused": float((flags[n:, 0] < 0.5).mean()),
            "two_rows_said": float((flags[:n, 1] > 0.5).mean())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--run", type=Path, default=Path("runs/refiner"))
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--glyphs", help="the file of glyphs.py: painted plates wear photographed glyphs")
    parser.add_argument("--start", type=Path, help="a run whose weights to begin with, when this one is new")
    parser.add_argument("--top", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1), data.cv2.setNumThreads(1), torch.manual_seed(args.seed)
    loaded = data.load(args.cache)
    dev = [it for it in loaded["items"] if it["split"] == "dev" and it["exact"]]
    blanks = loaded["backgrounds"]["dev"][:400]
    net = Refiner().to(memory_format=torch.channels_last)
    log = Log(args.run, net, sum(p.numel() for p in net.parameters()), args.start)
    ema, start = Ema(net, log.saved), log.seen
    sampler = samples.Sampler(loaded, args.seed + start, pool=1200, stamped=args.glyphs)
    opt = torch.optim.AdamW(net.parameters(), lr=args.top, weight_decay=1e-3)
    begin = checked = time.time()
    while True:
        done = (time.time() - begin) / (args.minutes * 60)
        for g in opt.param_groups:
            g["lr"] = rate(done, args.top)
        x, *target = batch(sampler, 48)
        net.train()
        loss = loss_of(net(x.to(memory_format=torch.channels_last)), *target)
        opt.zero_grad(), loss.backward(), opt.step(), ema.update(net)
        log.step(48, float(loss.detach()), done)
        if time.time() - checked > 45 or done >= 1:
            result = check(ema.net, dev, blanks)
            log.save(net, ema, result, -result["after_pct"] - 0.2 * result["after_far_pct"])
            checked = time.time()
        if done >= 1:
            return


if __name__ == "__main__":
    main()
