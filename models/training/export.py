"""Writes one of the networks' files from a run's best weights, and checks it against PyTorch.

    python export.py detector --run runs/detector --out ../detector.onnx
    python export.py corners  --run runs/refiner  --out ../corners.onnx
    python export.py reader   --run runs/reader   --out ../reader.onnx [--temperature temperature.json]
    python export.py second_reader --run runs/reader_even --out ../second_reader.onnx [--temperature temperature.json]
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
import kinds
import reader
import trim
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


class Scored(nn.Module):
    """The detector with its score as a probability, and its input's factor folded into the first layer: on a whole frame
    that multiplication alone took a twentieth of the time."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        with torch.no_grad():
            net.stem[0].weight *= 4.0

    def forward(self, image):
        out = self.net.from_centred(image - 0.5)
        return (torch.cat([torch.sigmoid(out[:, :1]), out[:, 1:]], 1),)


# role: input name, output names, the input shapes in use
CONTRACTS = {
    "detector": ("image", ["plates"], [(1, 3, 288, 512), (1, 3, 512, 288), (1, 3, 384, 384), (1, 3, 160, 256)]),
    "corners": ("patch", ["corners", "flags"], [(1, 3, 48, 144)]),
    "reader": ("plate", ["slots", "colour"], [(1, 3, 40, 144)]),
    "second_reader": ("plate", ["slots", "colour"], [(1, 3, 48, 192)]),
}
# the detector's input may have any size
AXES = {"image": {2: "height", 3: "width"}, "plates": {2: "height/8", 3: "width/8"}}


def build(role, run, temperature):
    """The network of the run's best weights, as it is exported."""
    weights = torch.load(Path(run) / "best.pt", weights_only=True)["ema"]
    if role == "detector":
        # The sizes differ in the widths of the layers at strides 16 and 32.
        widths = tuple(weights[f"{layer}.0.0.weight"].shape[0] for layer in ("to16", "to32"))
        fits = lambda size: detector_net.SIZES[size][2:4] == widths
        net = detector_net.Detector(next(size for size in detector_net.SIZES if fits(size)))
    else:
        net = Refiner() if role == "corners" else reader.of(weights)
    net.load_state_dict(weights)
    net.eval()
    wrapped = {"detector": Scored, "corners": Exported}.get(role, lambda n: Tempered(n, temperature))
    return wrapped(net).eval()


def stamp(path, role, recipe):
    """Writes the metadata that the Rust side checks, and trims the network to what the Rust side leaves to it."""
    model = onnx.load(str(path))
    keys = {"plategate.role": role, "plategate.version": "1", "plategate.trained": f"{datetime.date.today()} {recipe}"}
    if role.endswith("reader"):
        keys["plategate.alphabet"] = kinds.ALPHABET
    onnx.helper.set_model_props(model, keys)
    trim.trim(model)
    onnx.save(model, str(path))


def verify(path, net, name, shapes):
    """(largest difference from PyTorch over these shapes, median milliseconds at the first one on one thread)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng, worst, times = np.random.default_rng(0), 0.0, []
    black, white = trim.levels(onnx.load(str(path)))
    levelled = lambda x: (black + x * (white - black)).astype(np.float32)
    for shape in shapes:
        for _ in range(20):
            x = rng.random(shape, np.float32)
            with torch.no_grad():
                wanted = net(torch.from_numpy(x))
            out = session.run(None, {name: levelled(x)})
            if name == "image":
                out[0][:, 0] = 1 / (1 + np.exp(-out[0][:, 0]))
            worst = max(worst, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(out, wanted, strict=True)))
    x = levelled(rng.random(shapes[0], np.float32))
    for _ in range(200):
        begin = time.perf_counter()
        session.run(None, {name: x})
        times.append(time.perf_counter() - begin)
    return worst, float(np.median(times)) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=list(CONTRACTS))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--temperature", type=Path, help="calibrate.py's file; without it the temperature is 1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    temperature = json.loads(args.temperature.read_text())["temperature"] if args.temperature else 1.0
    net = build(args.role, args.run, temperature)
    name, outputs, shapes = CONTRACTS[args.role]
    axes = AXES if args.role == "detector" else None
    partial = args.out.with_suffix(".partial")
    torch.onnx.export(net, torch.zeros(shapes[0]), str(partial), opset_version=17, dynamo=False, input_names=[name],
                      output_names=outputs, dynamic_axes=axes)
    stamp(partial, args.role, args.run.name)
    worst, ms = verify(partial, net, name, shapes)
    if worst > 1e-3:
        raise SystemExit(f"{partial}: differs from PyTorch by {worst}")
    partial.replace(args.out)
    print(json.dumps({"file": args.out.name, "bytes": args.out.stat().st_size, "worst_difference": worst, "ms_one_thread": round(ms, 3)}))


if __name__ == "__main__":
    main()
