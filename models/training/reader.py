"""The reader: a flattened plate 40x144 -> eight slots over the alphabet, and the plate's colour.

    python reader.py --minutes 60 --run runs/reader [--cache runs/items.pkl]

Resumes from <run>/last.pt. Plain convolutions down to 5x18, then each slot looks where its attention says.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import kinds
import refine
import samples
from training import Ema, Log, pool, rate


WIDTHS = (16, 24, 48, 96)  # channels at strides 2, 2, 4 and 8


def conv(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Res(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a = conv(c, c)
        self.b = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return F.relu(x + self.b(self.a(x)))


def evened(x):
    """The pictures with the same mean and contrast each, whatever the light; between the colours all stays."""
    x = x - x.mean((1, 2, 3), keepdim=True)
    return x / (x.square().mean((1, 2, 3), keepdim=True).sqrt() + 0.02)


class Reader(nn.Module):
    """[n,3,40,144] in 0..1 -> slots [n,8,75] logits, colour [n,6] logits. Other inputs: `grid` is an eighth of them.
    even: does it see every plate at the same brightness and contrast?"""

    def __init__(self, widths=WIDTHS, grid=(5, 18), even=False):
        super().__init__()
        c1, c2, c3, c4 = widths
        self.grid = grid
        self.register_buffer("even", torch.ones(()) if even else None)
        self.stem = nn.Sequential(conv(3, c1, 2), conv(c1, c2))
        self.mid = nn.Sequential(conv(c2, c3, 2), Res(c3))
        self.deep = nn.Sequential(conv(c3, c4, 2), Res(c4))
        self.attend = nn.Conv2d(c4, kinds.SLOTS, 1)
        self.layout = nn.Linear(c4, kinds.SLOTS * grid[1])  # the whole picture says which layout it is, that says where to look
        # a slot starts out looking where its character stands on most plates, so that it needs not find it
        at = torch.tensor([1.6, 3.6, 6.2, 8.2, 10.2, 12.2, 14.4, 15.9]) + 0.5  # of eighteen columns
        prior = -0.5 * (((torch.arange(grid[1])[None] + 0.5) * 18 / grid[1] - at[:, None]) / 1.3) ** 2
        self.where = nn.Parameter(prior.clamp(min=-6)[:, None, :].repeat(1, grid[0], 1))
        self.slot = nn.Parameter(torch.zeros(kinds.SLOTS, c4))
        self.hidden = nn.Linear(c4, c4)
        self.char = nn.Linear(c4, len(kinds.ALPHABET))
        self.colour = nn.Linear(c4 + c2, len(kinds.COLOURS))
        nn.init.zeros_(self.layout.weight), nn.init.zeros_(self.layout.bias)

    def forward(self, x):
        low = self.stem((x - 0.45) * 4 if self.even is None else evened(x))
        f = self.deep(self.mid(low))
        pooled = pool(f)
        look = self.attend(f) + self.where + self.layout(pooled).view(-1, kinds.SLOTS, 1, self.grid[1])
        p = torch.softmax(look.flatten(2), 2)
        seen = p @ f.flatten(2).transpose(1, 2) + self.slot
        slots = self.char(F.relu(self.hidden(seen)) + seen)
        return slots, self.colour(torch.cat((pooled, pool(low)), 1))


def of(weights):
    """The reader that these weights are of."""
    widths = tuple(weights[f"{name}.0.weight"].shape[0] for name in ("stem.0", "stem.1", "mid.0", "deep.0"))
    net = Reader(widths, tuple(weights["where"].shape[1:]), "even" in weights)
    net.load_state_dict(weights)
    return net


def layout(net):
    """How plates are laid flat for this reader."""
    return next(each for each in (data.PLATE, data.FINE) if (each.size[1] // 8, each.size[0] // 8) == net.grid)


def on_grid(weights, grid):
    """These weights for an input of another size: what depends on the place is interpolated."""
    old, (slots, channels) = weights["where"], (kinds.SLOTS, weights["layout.weight"].shape[1])
    columns = lambda x: F.interpolate(x, grid[1], mode="linear", align_corners=False)
    layout = weights["layout.weight"].view(slots, old.shape[2], channels).transpose(1, 2)
    bias = weights["layout.bias"].view(slots, 1, old.shape[2])
    return {**weights, "where": F.interpolate(old[None], grid, mode="bilinear", align_corners=False)[0],
            "layout.weight": columns(layout).transpose(1, 2).reshape(-1, channels), "layout.bias": columns(bias).reshape(-1)}


def load(run):
    """The averaged net of <run>/best.pt."""
    return of(torch.load(Path(run) / "best.pt", weights_only=True)["ema"])


def batch(sampler, n):
    image, text, colour = zip(*(sampler.reader() for _ in range(n)))
    x = torch.from_numpy(np.stack(image)).permute(0, 3, 1, 2).float().div_(255)
    return x, torch.tensor(text), torch.tensor(colour)


def tensors(items, spread=0.0, seed=7, layout=data.PLATE):
    """The reader's inputs of these items, cut at their corners with errors of this share of the width."""
    rng = np.random.default_rng(seed)
    quads = [data.jitter(it["quad"], rng, spread) if it["exact"] and spread else it["quad"] for it in items]
    flat = [data.flatten(it["image"], quad, it["rows"], layout=layout) for it, quad in zip(items, quads)]
    return torch.from_numpy(np.stack(flat)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def read(net, x):
    """Slot logits [n,8,75] and colour logits [n,6] as numpy."""
    net.eval()
    out = [net(x[i:i + 100]) for i in range(0, len(x), 100)]
    return torch.cat([o[0] for o in out]).numpy(), torch.cat([o[1] for o in out]).numpy()


def check(net, items, x):
    """Exact match, all and by source; the score is the mean of the sources with at least 20 pictures."""
    return judge(read(net, x)[0], items)


def judge(slots, items):
    """The same of slot logits [n,8,75]."""
    right = np.array([kinds.decode(s.argmax(1)) == it["text"] for s, it in zip(slots, items)])
    by = {}
    for r, it in zip(right, items):
        by.setdefault(it["source"], []).append(r)
    score = float(np.mean([np.mean(v) for v in by.values() if len(v) >= 20]))
    return {"exact": float(right.mean().round(4)), **{k: round(float(np.mean(v)), 4) for k, v in sorted(by.items())}}, score


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--run", type=Path, default=Path("runs/reader"))
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--refiner", help="a refiner's run: trains on, and is judged on, its corners too")
    parser.add_argument("--top", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--glyphs", help="the file of glyphs.py: painted plates wear photographed glyphs")
    parser.add_argument("--start", type=Path, help="a run whose weights to begin with, when this one is new")
    parser.add_argument("--province", type=float, default=2.0, help="how much the first slot counts, the others one each")
    parser.add_argument("--transplanted", type=float, default=0.0, help="the share of photographs that get characters of others")
    parser.add_argument("--every", type=float, default=90, help="seconds between two looks at dev")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1), data.cv2.setNumThreads(1), torch.manual_seed(args.seed)
    loaded = data.load(args.cache)
    dev = [it for it in loaded["items"] if it["split"] == "dev"]
    views = [tensors(dev, 0.01)]
    if args.refiner:
        refine.attach(refine.load_refiner(args.refiner)[0], loaded["items"])
        views.append(tensors([dict(it, quad=(it["refined"] or [it["quad"]])[0]) for it in dev]))
    net = (load(args.start) if args.start else Reader()).to(memory_format=torch.channels_last)
    log = Log(args.run, net, sum(p.numel() for p in net.parameters()))
    ema = Ema(net, log.saved)
    sampler = samples.Sampler(loaded, args.seed + log.seen, stamped=args.glyphs, transplanted=args.transplanted)
    opt = torch.optim.AdamW(net.parameters(), lr=args.top, weight_decay=1e-3)
    weights = torch.ones(kinds.SLOTS)
    weights[0] = args.province
    begin = checked = time.time()
    while True:
        done = (time.time() - begin) / (args.minutes * 60)
        for g in opt.param_groups:
            g["lr"] = rate(done, args.top)
        x, text, colour = batch(sampler, 48)
        net.train()
        slots, hue = net(x.to(memory_format=torch.channels_last))
        each = F.cross_entropy(slots.flatten(0, 1), text.flatten(), label_smoothing=0.01, reduction="none")
        # the province is the hardest: many strokes, and few photographs of most
        loss = (each.view(-1, kinds.SLOTS) * weights).mean() + 0.1 * F.cross_entropy(hue, colour, ignore_index=data.IGNORE)
        opt.zero_grad(), loss.backward(), opt.step(), ema.update(net)
        log.step(48, float(loss.detach()), done)
        if time.time() - checked > args.every or done >= 1:
            checks = [check(ema.net, dev, x) for x in views]
            result = {"whole": checks[0][0], "refined": checks[-1][0]}
            log.save(net, ema, result, sum(c[1] for c in checks) / len(checks))
            checked = time.time()
        if done >= 1:
            return


if __name__ == "__main__":
    main()
