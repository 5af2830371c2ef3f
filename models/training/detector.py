"""Trains the plate detector.

    python detector.py --minutes 60 --run runs/detector --cache runs/frames

Resumes from <run>/last.pt. The learning rate falls to nothing at the end of the minutes given.
"""
import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import detector_net
import frames
import scenes
from training import Ema, Log, rate


def batch(source, n):
    """n pictures and their targets as tensors."""
    drawn = [source.draw() for _ in range(n)]
    x = torch.from_numpy(np.stack([d[0] for d in drawn])).permute(0, 3, 1, 2).float().div_(255)
    marks = [detector_net.targets(d[1], *scenes.CANVAS) for d in drawn]
    heat, corner, weight = (torch.from_numpy(np.stack(m)) for m in zip(*marks))
    care = torch.tensor([d[2] for d in drawn])[:, None, None].expand_as(heat)
    return x, heat, corner, weight, care


def dev_pictures(cache, most=420):
    """(input [1,3,H,W], quad on it, source) of dev frames, letterboxed as the product does."""
    dev = frames.FrameCache(cache, "dev")
    out = []
    for i in range(0, len(dev), max(1, len(dev) // most)):
        frame = dev.frame(i)
        h, w = frames.input_shape(*frame.shape[:2])
        canvas, scale = frames.letterbox(frame, h, w, cv2.INTER_AREA)
        out.append((canvas, dev.quad(i) * scale, dev.source[i]))
    return out


@torch.no_grad()
def check(net, pictures, threshold=0.3):
    """Share of plates found (centre inside, corners off by under 15 % of the width), by source, and corner error."""
    net.eval()
    found, error = {}, []
    for canvas, quad, source in pictures:
        x = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
        out = net(x)[0]
        out[0] = torch.sigmoid(out[0])
        width = np.linalg.norm(quad[1] - quad[0])
        off = [np.linalg.norm(q - quad, axis=1).mean() / width for _, q in detector_net.decode(out.numpy(), threshold)]
        hit = min(off, default=9.0) < 0.15
        found.setdefault(str(source), []).append(hit)
        if hit:
            error.append(min(off))
    by = {k: round(float(np.mean(v)), 4) for k, v in sorted(found.items())}
    return {"recall": by, "corner_pct": round(100 * float(np.mean(error or [1])), 3)}, float(np.mean(list(by.values())))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--run", type=Path, default=Path("runs/detector"))
    parser.add_argument("--cache", default="runs/frames")
    parser.add_argument("--size", default="base", choices=list(detector_net.SIZES))
    parser.add_argument("--top", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--glyphs", help="the file of glyphs.py: painted plates wear photographed glyphs")
    parser.add_argument("--start", type=Path, help="a run whose weights to begin with, when this one is new")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1), cv2.setNumThreads(1), torch.manual_seed(args.seed)
    net = detector_net.Detector(args.size).to(memory_format=torch.channels_last)
    log = Log(args.run, net, sum(p.numel() for p in net.parameters()), args.start)
    ema = Ema(net, log.saved)
    source, pictures = scenes.Scenes(args.cache, args.seed + log.seen, stamped=args.glyphs), dev_pictures(args.cache)
    opt = torch.optim.AdamW(net.parameters(), lr=args.top, weight_decay=1e-3)
    begin = checked = time.time()
    while True:
        done = (time.time() - begin) / (args.minutes * 60)
        for g in opt.param_groups:
            g["lr"] = rate(done, args.top)
        x, heat, corner, weight, care = batch(source, 16)
        net.train()
        out = net(x.to(memory_format=torch.channels_last))
        loss, _, _ = detector_net.loss(out, heat, corner, weight, care, lenient=True)
        opt.zero_grad(), loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step(), ema.update(net)
        log.step(16, float(loss.detach()), done)
        if time.time() - checked > 240 or done >= 1:
            result, score = check(ema.net, pictures)
            log.save(net, ema, result, score - 0.02 * result["corner_pct"])
            checked = time.time()
        if done >= 1:
            return


if __name__ == "__main__":
    main()
