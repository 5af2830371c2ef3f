"""A shipped network back as weights to train on: makes <run>/best.pt of an .onnx file, for `--start <run>`.

    python from_onnx.py reader ../reader.onnx --run runs/shipped_reader --cache runs/items.pkl

The export folds batch norms into the convolutions before them. Here each is made anew so that the network computes the
same: with the mean m and deviation s of its input on training samples as running statistics, s as its factor and
b + m as its offset (b: the folded bias).
"""
import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

import data
import detector_net
import reader
import refiner
import samples
import scenes
import trim


def folded(path):
    """(weights and biases of the graph's Conv nodes in order, {name: array} of all other initialisers, metadata)."""
    model = onnx.load(str(path))
    arrays = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    convs, used = [], set()
    for node in model.graph.node:
        if node.op_type == "Conv":
            names = list(node.input[1:])
            used.update(names)
            convs.append([arrays[n] for n in names])
    rest = {n: a for n, a in arrays.items() if n not in used}
    return convs, rest, {p.key: p.value for p in model.metadata_props}


def in_order(net, x):
    """The net's convolutions as they are run, each with the batch norm that follows it or None."""
    ran, hooks = [], []
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            hooks.append(module.register_forward_hook(lambda m, _i, _o: ran.append(m)))
    with torch.no_grad():
        net.eval()(x)
    for hook in hooks:
        hook.remove()
    after = ran[1:] + [None]
    return [(m, n if isinstance(n, nn.BatchNorm2d) else None) for m, n in zip(ran, after) if isinstance(m, nn.Conv2d)]


def fill(net, convs, x):
    """Puts the folded convolutions into the net, and gives its batch norms statistics that change nothing."""
    pairs = in_order(net, x)
    if len(pairs) != len(convs):
        raise SystemExit(f"the file has {len(convs)} convolutions, the network {len(pairs)}")
    hooks = []
    with torch.no_grad():
        for (conv, norm), (weight, *bias) in zip(pairs, convs):
            conv.weight.copy_(torch.from_numpy(weight.copy()))
            if norm is None:
                conv.bias.copy_(torch.from_numpy(bias[0].copy()))
            else:
                hooks.append(conv.register_forward_hook(neutral(norm, torch.from_numpy(bias[0].copy()))))
        net.eval()(x)
    for hook in hooks:
        hook.remove()


def neutral(norm, bias):
    """A hook for the convolution before `norm`: sets the norm so that it adds the bias and no more."""

    def hook(_module, _input, out):
        mean, var = out.mean((0, 2, 3)), out.var((0, 2, 3)) + 1e-6
        norm.running_mean.copy_(mean), norm.running_var.copy_(var)
        norm.weight.copy_(torch.sqrt(var + norm.eps)), norm.bias.copy_(bias + mean)

    return hook


def others(net, rest, temperature):
    """Fills what is no convolution: by name where the export kept it, linear layers by their shape."""
    named = dict(net.named_parameters())
    conv = {f"{n}.{p}" for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) for p in ("weight", "bias")}
    with torch.no_grad():
        for name, parameter in named.items():
            if name in conv:
                continue
            found = [a for n, a in rest.items() if n.removeprefix("net.") == name]
            if not found:
                turned = tuple(parameter.shape)[::-1]  # a product's second factor is written turned
                found = [a.T for n, a in rest.items() if not n.startswith("net.") and a.shape == turned]
            if len(found) != 1:
                raise SystemExit(f"{name} {tuple(parameter.shape)}: {len(found)} arrays of the file may be it")
            parameter.copy_(torch.from_numpy(found[0].copy()))
        if isinstance(net, reader.Reader):
            net.char.weight *= temperature
            net.char.bias *= temperature


def samples_of(role, args):
    """A batch of training samples, for the statistics."""
    if role == "detector":
        source = scenes.Scenes(args.cache, 1, stamped=args.glyphs)
        drawn = [source.draw()[0] for _ in range(48)]
        return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    sampler = samples.Sampler(data.load(args.cache), 1, pool=400, stamped=args.glyphs)
    return (reader if role == "reader" else refiner).batch(sampler, 400)[0]


def compare(role, net, path, x):
    """Ends with an error if the network does not compute what the file does (corners or slots; their scale is the file's)."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name, (black, white) = session.get_inputs()[0].name, trim.levels(onnx.load(str(path)))
    wanted = np.concatenate([session.run(None, {name: black + one[None].numpy() * np.float32(white - black)})[0] for one in x])
    with torch.no_grad():
        out = net.eval()(x)
    out = (out[0] if isinstance(out, tuple) else out).numpy()
    if role == "detector":
        out, wanted = out[:, 1:], wanted[:, 1:]
    if role == "reader":  # the file's logits are sharpened by the temperature
        out, wanted = out.argmax(2), wanted.argmax(2)
    worst = np.abs(out - wanted).max()
    if worst > 1e-2:
        raise SystemExit(f"the network made of {path} differs from it by {worst}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["detector", "corners", "reader"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--cache", default="runs/items.pkl", help="of data.py; for the detector that of frames.py")
    parser.add_argument("--glyphs")
    parser.add_argument("--temperature", type=float, default=1.0, help="the one that was folded into the reader's last layer")
    args = parser.parse_args()
    torch.set_num_threads(1), torch.manual_seed(1)
    convs, rest, told = folded(args.file)
    x = samples_of(args.role, args)
    net = {"detector": detector_net.Detector, "corners": refiner.Refiner, "reader": reader.Reader}[args.role]()
    if args.role == "detector":
        convs[0] = [convs[0][0] / 4.0, *convs[0][1:]]  # the export folds the input's factor in
        if len(convs[-1][1]) == 9:  # trimmed: score and corners are one layer
            heads = convs.pop()
            convs += [[a[:1] for a in heads], [a[1:] / detector_net.OFFSET_SCALE for a in heads]]
    fill(net, convs, x)
    others(net, rest, args.temperature)
    compare(args.role, net, args.file, x[:16])
    args.run.mkdir(parents=True, exist_ok=True)
    state = {"net": net.state_dict(), "ema": net.state_dict(), "seen": 0, "best": -1e9, "result": json.dumps(told)}
    torch.save(state, args.run / "best.pt")
    print(args.run, "is", told.get("plategate.trained"))


if __name__ == "__main__":
    main()
