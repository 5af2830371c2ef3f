"""Writes corners.onnx or reader.onnx from a run's best weights, and checks the file against PyTorch.

    python export.py corners --run runs/refiner --out ../corners.onnx
    python export.py reader  --run runs/reader  --out ../reader.onnx [--temperature temperature.json]
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

import kinds
from reader import Reader
from refiner import Exported, Refiner


class Tempered(nn.Module):
    """The reader with its slot logits divided by the temperature; the division is folded into the last layer."""

    def __init__(self, net, temperature):
        super().__init__()
        self.net = net
        with torch.no_grad():
            net.char.weight /= temperature
            net.char.bias /= temperature

    def forward(self, plate):
        return self.net(plate)


def build(role, run, temperature):
    """(module, input name, shape, output names)."""
    saved = torch.load(Path(run) / "best.pt", weights_only=True)
    net = Reader() if role == "reader" else Refiner()
    net.load_state_dict(saved["ema"])
    net.eval()
    if role == "reader":
        return Tempered(net, temperature).eval(), "plate", (1, 3, 40, 144), ["slots", "colour"]
    return Exported(net).eval(), "patch", (1, 3, 48, 144), ["corners", "flags"]


def stamp(path, role, recipe):
    """Writes the metadata that the Rust side checks."""
    model = onnx.load(str(path))
    keys = {"plategate.role": role, "plategate.version": "1", "plategate.trained": f"{datetime.date.today()} {recipe}"}
    if role == "reader":
        keys["plategate.alphabet"] = kinds.ALPHABET
    onnx.helper.set_model_props(model, keys)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def verify(path, net, name, shape):
    """(largest difference from PyTorch, median milliseconds on one thread)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng, worst, times = np.random.default_rng(0), 0.0, []
    for _ in range(200):
        x = rng.random(shape, np.float32)
        begin = time.perf_counter()
        out = session.run(None, {name: x})
        times.append(time.perf_counter() - begin)
        if len(times) <= 20:
            with torch.no_grad():
                worst = max(worst, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(out, net(torch.from_numpy(x)))))
    return worst, float(np.median(times)) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["corners", "reader"])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--temperature", type=Path, help="calibrate.py's file; without it the temperature is 1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    temperature = json.loads(args.temperature.read_text())["temperature"] if args.temperature else 1.0
    net, name, shape, outputs = build(args.role, args.run, temperature)
    partial = args.out.with_suffix(".partial")
    torch.onnx.export(net, torch.zeros(shape), str(partial), opset_version=17, dynamo=False, input_names=[name], output_names=outputs)
    stamp(partial, args.role, args.run.name)
    worst, ms = verify(partial, net, name, shape)
    if worst > 1e-3:
        raise SystemExit(f"{partial}: differs from PyTorch by {worst}")
    partial.replace(args.out)
    print(json.dumps({"file": args.out.name, "bytes": args.out.stat().st_size, "worst_difference": worst, "ms_one_thread": round(ms, 3)}))


if __name__ == "__main__":
    main()
