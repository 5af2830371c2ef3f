"""What both trainings share: averaged weights, the learning rate's course, a log that resumes."""
import copy
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm


def pool(x):
    """[n,c,h,w] -> [n,c], each channel's mean: exported as GlobalAveragePool, which converters for NPUs know best."""
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def rate(done, top):
    """One cycle over the share `done` of the time: a short rise, then a cosine down to a hundredth."""
    if done < 0.03:
        return top * (0.1 + 0.9 * done / 0.03)
    return top * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.03) / 0.97))))


def keep(run, name, state):
    """Writes <run>/<name>.pt: a power cut must not leave half a file."""
    torch.save(state, run / f"{name}.tmp")
    (run / f"{name}.tmp").replace(run / f"{name}.pt")


def note(run, result):
    """Adds a line to <run>/log.jsonl."""
    with open(run / "log.jsonl", "a", encoding="utf-8") as f:
        f.write(json.dumps(result, ensure_ascii=False) + "\n")


class Ema:
    """A running average of the weights; it follows fast at first and slowly later."""

    def __init__(self, net, saved=None, decay=0.998):
        self.net, self.decay, self.n = copy.deepcopy(net).eval(), decay, 0
        if saved:
            self.net.load_state_dict(saved["ema"])
            self.n = 10_000

    @torch.no_grad()
    def update(self, net):
        self.n += 1
        d = min(self.decay, (1 + self.n) / (10 + self.n))
        for a, b in zip(self.net.state_dict().values(), net.state_dict().values()):
            a.lerp_(b, 1 - d) if a.dtype.is_floating_point else a.copy_(b)


class Log:
    """Writes <run>/log.jsonl, last.pt and best.pt; loads last.pt into the net when there is one, else <start>/best.pt."""

    def __init__(self, run, net, parameters, start=None):
        self.run, self.seen, self.best, self.saved = Path(run), 0, -1e9, None
        self.run.mkdir(parents=True, exist_ok=True)
        if (self.run / "last.pt").exists():
            self.saved = torch.load(self.run / "last.pt", weights_only=True)
            net.load_state_dict(self.saved["net"])
            self.seen, self.best = self.saved["seen"], self.saved["best"]
        elif start:  # the averaged weights: a restart with a high rate wanders from them anyway
            net.load_state_dict(torch.load(Path(start) / "best.pt", weights_only=True)["ema"])
        self.begin, self.first, self.losses = time.time(), self.seen, []
        print(f"{parameters} parameters, {self.seen} samples seen before", flush=True)
        self.bar = tqdm(total=1.0, mininterval=5, bar_format="{percentage:3.0f}% |{bar}| {elapsed} so far, {remaining} left{postfix}")

    def step(self, n, loss, done):
        """One batch of n samples, after which the share `done` of the time has gone."""
        self.bar.update(min(1.0, done) - self.bar.n)
        self.seen += n
        self.losses.append(loss)

    def save(self, net, ema, result, score):
        result = {"seen": self.seen, "seconds": round(time.time() - self.begin), "score": round(score, 5),
                  "per_second": round((self.seen - self.first) / (time.time() - self.begin), 1),
                  "loss": round(sum(self.losses) / max(1, len(self.losses)), 4), **result}
        self.losses = []
        better = score > self.best
        self.best = max(self.best, score)
        state = {"net": net.state_dict(), "ema": ema.net.state_dict(), "seen": self.seen, "best": self.best, "result": json.dumps(result, ensure_ascii=False)}
        for name in ["last"] + ["best"] * better:
            keep(self.run, name, state)
        note(self.run, result)
        print(json.dumps(result, ensure_ascii=False), flush=True)
