"""Writes detector.onnx from a run's best weights, and checks the file against PyTorch at every shape in use.

    python export_detector.py --run runs/detector --out ../detector.onnx
"""
import argparse
import datetime
import json
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

import detector_net

SHAPES = [(288, 512), (512, 288), (384, 384), (160, 256)]


class Exported(nn.Module):
    """The detector with its score as a probability."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        out = self.net(image)
        return torch.cat([torch.sigmoid(out[:, :1]), out[:, 1:]], 1)


def session(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def verify(path, net):
    """(largest difference from PyTorch over all shapes, median milliseconds at the first one on one thread)."""
    run, rng, worst = session(path), np.random.default_rng(0), 0.0
    for shape in SHAPES:
        x = rng.random((1, 3, *shape), np.float32)
        with torch.no_grad():
            worst = max(worst, float(np.abs(run.run(None, {"image": x})[0] - net(torch.from_numpy(x)).numpy()).max()))
    x, times = rng.random((1, 3, *SHAPES[0]), np.float32), []
    for _ in range(100):
        begin = time.perf_counter()
        run.run(None, {"image": x})
        times.append(time.perf_counter() - begin)
    return worst, float(np.median(times)) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    saved = torch.load(args.run / "best.pt", weights_only=True)
    for size in detector_net.SIZES:
        try:
            net = detector_net.Detector(size)
            net.load_state_dict(saved["ema"])
            break
        except RuntimeError:
            continue
    exported = Exported(net).eval()
    partial = args.out.with_suffix(".partial")
    axes = {"image": {2: "height", 3: "width"}, "plates": {2: "height/8", 3: "width/8"}}
    torch.onnx.export(exported, torch.zeros(1, 3, 288, 512), str(partial), opset_version=17, dynamo=False,
                      input_names=["image"], output_names=["plates"], dynamic_axes=axes)
    model = onnx.load(str(partial))
    onnx.helper.set_model_props(model, {"plategate.role": "detector", "plategate.version": "1",
                                        "plategate.trained": f"{datetime.date.today()} {args.run.name}"})
    onnx.save(model, str(partial))
    worst, ms = verify(partial, exported)
    if worst > 1e-3:
        raise SystemExit(f"{partial}: differs from PyTorch by {worst}")
    partial.replace(args.out)
    print(json.dumps({"file": args.out.name, "bytes": args.out.stat().st_size, "worst_difference": worst, "ms_one_thread": round(ms, 3)}))


if __name__ == "__main__":
    main()
