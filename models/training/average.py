"""The mean of two readers' weights, one trained on from the other.

    python average.py --runs runs/shipped_reader runs/reader_parts --share 0.75 --glyphs runs/glyphs.npz --out runs/reader_mean

`share` is the second one's. Nets on the way from one to the other read other cameras' plates better than either end (Wortsman
et al., Robust fine-tuning of zero-shot models, 2022). The batch norms' statistics are taken anew from training samples: they are
not those of either.
"""
import argparse
import json
from pathlib import Path

import torch
from torch import nn

import data
import reader
import samples


def averaged(runs, share):
    """The weights on the way from the first run to the second."""
    first, second = (torch.load(Path(run) / "best.pt", weights_only=True)["ema"] for run in runs)
    return {name: a.lerp(second[name], share) if a.dtype.is_floating_point else a for name, a in first.items()}


@torch.no_grad()
def settle(net, batches):
    """Takes the batch norms' statistics from these inputs."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over all batches
    net.train()
    for x in batches:
        net(x)
    return net.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs=2, type=Path, required=True)
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--glyphs")
    parser.add_argument("--batches", type=int, default=20, help="of 200 samples each")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1), data.cv2.setNumThreads(1)
    net = reader.of(averaged(args.runs, args.share))
    sampler = samples.Sampler(data.load(args.cache), 5, stamped=args.glyphs)
    settle(net, (reader.batch(sampler, 200)[0] for _ in range(args.batches)))
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"of": [run.name for run in args.runs], "share": args.share}
    torch.save({"ema": net.state_dict(), "result": json.dumps(result)}, args.out / "best.pt")


if __name__ == "__main__":
    main()
