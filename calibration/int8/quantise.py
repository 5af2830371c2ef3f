"""Makes the INT8 forms of the three networks: static, per channel, QDQ, calibrated on training photographs.

    python quantise.py --cache runs/items.pkl --frames runs/frames [--role reader] [--models ../../models]

Reads <models>/<role>.onnx and writes <models>/<role>.int8.onnx and list.tsv, the photographs it was calibrated on (paths
in the photograph folder; none of them was kept for judging). Only convolutions and what stands between them become
integers; the last layers, attention and softmax stay float32: they are a per cent of the work and carry the answer.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "models/training"))
import augment  # noqa: E402
import data  # noqa: E402
import frames  # noqa: E402
import samples  # noqa: E402
import scenes  # noqa: E402
import trim  # noqa: E402

SEED = 20
# how many calibration inputs: photographs, and plates or scenes from the painter
COUNT = {"detector": (96, 64), "corners": (300, 200), "reader": (500, 300), "second_reader": (500, 300)}
INPUT = {"detector": "image", "corners": "patch", "reader": "plate", "second_reader": "plate"}
# Become integers; everything else stays float32.
OPERATORS = ["Conv", "Add", "Relu", "Resize", "Concat"]


def planar(image):
    """[H,W,3] bytes -> the network's input [1,3,H,W]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def detector_inputs(args, used):
    cache, rng = frames.FrameCache(args.frames, "train"), np.random.default_rng(SEED)
    photographs, painted = COUNT["detector"]
    by_source = {s: np.flatnonzero(cache.source == s) for s in np.unique(cache.source)}
    for n in range(photographs):  # sources in turn, so that none is the only one
        at = by_source[sorted(by_source)[n % len(by_source)]]
        i = int(rng.choice(at))
        used.append(("detector", cache.path[i]))
        frame = cache.frame(i)
        canvas, _ = frames.letterbox(frame, *frames.input_shape(*frame.shape[:2]), frames.cv2.INTER_AREA)
        yield planar(canvas)
    scene = scenes.Scenes(args.frames, SEED, pool=200, stamped=args.glyphs)
    for _ in range(painted):
        yield planar(scene.draw()[0])


def plate_inputs(args, role, used):
    loaded, rng = data.load(args.cache), np.random.default_rng(SEED)
    sampler = samples.Sampler(loaded, SEED, pool=300, stamped=args.glyphs)
    photographs, painted = COUNT[role]
    items = [it for it in loaded["items"] if it["split"] == "train" and (it["exact"] or role.endswith("reader"))]
    by_source = {}
    for it in items:
        by_source.setdefault(it["source"], []).append(it)
    for n in range(photographs):
        mine = by_source[sorted(by_source)[n % len(by_source)]]
        it = mine[int(rng.integers(len(mine)))]
        used.append((role, it["path"]))
        quad = data.jitter(it["quad"], rng, 0.015, 0.01)
        if role.endswith("reader"):
            layout = data.PLATE if role == "reader" else data.FINE
            yield planar(data.flatten(it["image"], quad, it["rows"], layout=layout))
        else:
            yield planar(data.warp(it["image"], quad, data.PATCH_RECT, data.PATCH))
    for _ in range(painted):
        yield planar(painted_plate(sampler, role))


def painted_plate(sampler, role):
    """A painted plate as this network gets to see it."""
    if role == "second_reader":
        (width, height), (left, top) = data.FINE.size, (data.MARGIN.rect[0] - data.FINE.rect[0]).astype(int)
        return augment.degrade(sampler.clean(real=0.0)[0][top:top + height, left:left + width], sampler.rng, 0.97)
    return (sampler.reader(real=0.0) if role == "reader" else sampler.refiner())[0]


class Inputs(CalibrationDataReader):
    """Hands the inputs (0..1) to the quantiser one by one, with the network's own black and white."""

    def __init__(self, name, inputs, levels):
        self.name, self.inputs, (self.black, self.white) = name, iter(inputs), levels

    def get_next(self):
        value = next(self.inputs, None)
        return None if value is None else {self.name: self.black + value * np.float32(self.white - self.black)}


def last_nodes(model):
    """Names of the nodes whose output no convolution sees, convolutions among them: they carry the answer."""
    users = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    led_on = {}

    def leads_on(node):
        if id(node) not in led_on:
            after = [n for name in node.output for n in users.get(name, [])]
            led_on[id(node)] = any(n.op_type == "Conv" or leads_on(n) for n in after)
        return led_on[id(node)]

    return [n.name for n in model.graph.node if not leads_on(n)]


def first_layer(model):
    """The convolution over the picture, and what comes before it: three channels are too few to gain by integers, and it sees
    the finest steps."""
    first = next(i for i, n in enumerate(model.graph.node) if n.op_type == "Conv")
    return [n.name for n in model.graph.node[:first + 1]]


def double_by_copying(model):
    """Puts copies in the place of each doubling (Resize, nearest): ONNX Runtime's own is slow on bytes whose channels come last, as
    its INT8 convolutions want them. The doubled tensor is Q -> DQ -> Resize -> Q' with one scale, so that bytes may be copied."""
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "Resize"]:
        before = next(n for n in graph.node if node.input[0] in n.output)
        after, = (n for n in graph.node if node.output[0] in n.input)
        assert before.op_type == "DequantizeLinear" and after.op_type == "QuantizeLinear"
        assert all(constants[a] == constants[b] for a, b in zip(before.input[1:], after.input[1:], strict=True))

        def number(what, value):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), f"{node.name}/{what}"))
            return f"{node.name}/{what}"

        def put(op, inputs, what, **attributes):
            added = helper.make_node(op, inputs, [f"{node.name}/{what}"], f"{node.name}/{what}", **attributes)
            graph.node.insert(list(graph.node).index(node), added)
            return added.output[0]

        last = put("Transpose", [before.input[0]], "channels_last", perm=[0, 2, 3, 1])
        size = put("Mul", [put("Shape", [last], "size"), number("factors", [1, 2, 2, 1])], "doubled_size")
        columns = put("Unsqueeze", [last, number("beside", [3])], "columns")
        columns = put("Concat", [columns, columns], "doubled_columns", axis=3)
        rows = put("Unsqueeze", [columns, number("below", [2])], "rows")
        rows = put("Reshape", [put("Concat", [rows, rows], "doubled_rows", axis=2), size], "doubled")
        put("Transpose", [rows], "channels_first", perm=[0, 3, 1, 2])
        for user in graph.node:
            user.input[:] = [f"{node.name}/channels_first" if name == after.output[0] else name for name in user.input]
        graph.node.remove(node)
        graph.node.remove(after)
    trim.Graph(model).sweep()


def quantise(role, args, used):
    source, target = args.models / f"{role}.onnx", args.models / f"{role}.int8.onnx"
    prepared = target.with_suffix(".prepared")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    inputs = detector_inputs(args, used) if role == "detector" else plate_inputs(args, role, used)
    graph = onnx.load(str(prepared))
    keep = first_layer(graph) + last_nodes(graph)
    quantize_static(
        str(prepared), str(target), Inputs(INPUT[role], inputs, trim.levels(graph)), quant_format=QuantFormat.QDQ, per_channel=True,
        # Seven bits for weights: AVX2 without VNNI adds pairs of 8 x 8 bit products in 16 bits, which would saturate.
        reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=keep,
        # The whole range: a moving average of ranges cut the rare bright plates off and cost four points.
        calibrate_method=CalibrationMethod.MinMax, op_types_to_quantize=OPERATORS,
    )
    prepared.unlink()
    model, told = onnx.load(str(target)), {p.key: p.value for p in onnx.load(str(source)).metadata_props}
    helper.set_model_props(model, {**told, "plategate.precision": "int8"})
    double_by_copying(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    print(f"{target.name}: {target.stat().st_size} bytes; float32 kept: {keep}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--frames", default="runs/frames")
    parser.add_argument("--glyphs", help="the file of glyphs.py")
    parser.add_argument("--models", type=Path, default=HERE.parents[1] / "models")
    parser.add_argument("--role", choices=list(INPUT), action="append")
    args = parser.parse_args()
    data.cv2.setNumThreads(1)
    used = []
    for role in args.role or list(INPUT):
        quantise(role, args, used)
    if not args.role:
        rows = "".join(f"{role}\t{path}\n" for role, path in sorted(set(used)))
        (HERE / "list.tsv").write_text("network\tpath\n" + rows, encoding="utf-8")


if __name__ == "__main__":
    main()
