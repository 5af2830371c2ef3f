"""Makes Rockchip's `.rknn` forms of the three networks, and says how well they read in the toolkit's simulator.

    python rockchip.py --out DIR [--target rk3588] [--precision fp16] [--cache runs/items.pkl --frames runs/frames]

Wants rknn-toolkit2 (rockchip.txt beside this file; Linux on x86-64 needs no board). Calibrated on the photographs of list.tsv, judged
on photographs of `dev` by what the float32 networks say of the same inputs; the simulator computes what the NPU does.
"""
import argparse
import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from rknn.api import RKNN

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "models/training"))
import data  # noqa: E402
import frames  # noqa: E402
import kinds  # noqa: E402

if np.__version__.startswith("1."):  # the toolkit wants NumPy 1, the cache of photographs may have been written by NumPy 2
    for part in ("", ".numeric", ".multiarray"):
        sys.modules.setdefault(f"numpy._core{part}", importlib.import_module(f"numpy.core{part}"))

# the input's name and shape, and what of a byte is taken away and what it is divided by (models/README.md: black and white)
CONTRACTS = {
    "detector": ("image", [1, 3, 352, 608], 127.5, 255.0),
    "corners": ("patch", [1, 3, 48, 144], 114.75, 63.75),
    "reader": ("plate", [1, 3, 40, 144], 114.75, 63.75),
}
CALIBRATION = 200  # pictures: the simulator's calibration is slow
FOUND = np.log(0.3 / 0.7)  # the detector's threshold as a logit


def cut(role, item, rng):
    """The network's input for a photograph, [H,W,3] bytes."""
    quad = data.jitter(item["quad"], rng, 0.015, 0.01)
    if role == "reader":
        return data.flatten(item["image"], quad, item["rows"])
    return data.warp(item["image"], quad, data.PATCH_RECT, data.PATCH)


def pictures(role, args, split, most):
    """(inputs as bytes, their items or None) of photographs: those of list.tsv for `train`, else all of the split."""
    rng = np.random.default_rng(20)
    listed = {row["path"] for row in csv.DictReader(open(HERE / "list.tsv", encoding="utf-8"), delimiter="\t") if row["network"] == role}
    wanted = lambda path: path in listed if split == "train" else True
    if role == "detector":
        cache = frames.FrameCache(args.frames, split)
        which = [i for i in range(len(cache.path)) if wanted(cache.path[i])]
        height, width = CONTRACTS[role][1][2:]
        laid = lambda frame: frames.letterbox(frame, height, width, data.cv2.INTER_AREA)[0]
        return [laid(cache.frame(int(i))) for i in rng.permutation(which)[:most]], None
    items = [it for it in data.load(args.cache)["items"] if it["split"] == split and wanted(it["path"]) and (it["exact"] or role == "reader")]
    items = [items[i] for i in rng.permutation(len(items))[:most]]
    return [cut(role, it, rng) for it in items], items


def convert(role, args, folder):
    """The converted network, ready to run in the simulator; its file lies in the folder."""
    name, shape, mean, divisor = CONTRACTS[role]
    rknn = RKNN(verbose=False)
    rknn.config(target_platform=args.target, mean_values=[[mean] * 3], std_values=[[divisor] * 3])
    loaded = rknn.load_onnx(str(args.models / f"{role}.onnx"), inputs=[name], input_size_list=[shape])
    if args.precision == "int8":
        lines = []
        for n, image in enumerate(pictures(role, args, "train", CALIBRATION)[0]):
            lines.append(str((folder / f"{role}-{n}.png").resolve()))
            data.cv2.imwrite(lines[-1], image[:, :, ::-1])
        (folder / f"{role}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    built = loaded or rknn.build(do_quantization=args.precision == "int8", dataset=str(folder / f"{role}.txt"))
    if built or rknn.export_rknn(str(folder / f"{role}.rknn")) or rknn.init_runtime():
        raise SystemExit(f"{role}: the toolkit did not take it")
    return rknn


def answers(role, args, rknn, images):
    """(of the float32 network, of the converted one) for each picture, lists of outputs."""
    name, _, mean, divisor = CONTRACTS[role]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(args.models / f"{role}.onnx"), options, providers=["CPUExecutionProvider"])
    for image in images:
        x = ((image.astype(np.float32) - mean) / divisor).transpose(2, 0, 1)[None]
        exact = session.run(None, {name: np.ascontiguousarray(x)})
        got = rknn.inference(inputs=[image[None]], data_format=["nhwc"])
        yield exact, [np.asarray(g).reshape(e.shape) for g, e in zip(got, exact, strict=True)]


def judge(role, args, rknn):
    """What is told of a converted network, as text."""
    images, items = pictures(role, args, "dev", args.most)
    both = list(answers(role, args, rknn, images))
    if role == "reader":
        right = [np.mean([kinds.decode(b[k][0][0].argmax(1)) == it["text"] for b, it in zip(both, items)]) for k in (0, 1)]
        return f"{len(items)} plates, exact: float32 {100 * right[0]:.2f} %, converted {100 * right[1]:.2f} %"
    if role == "corners":
        off = [np.linalg.norm((b[1][0] - b[0][0]).reshape(4, 2), axis=1).mean() for b in both]
        return f"{len(items)} plates, corners differ by {np.mean(off):.2f} % of the width on average, {np.percentile(off, 99):.2f} at the 99th percentile"
    scores = [[outputs[0][0, 0] for outputs in pair] for pair in both]  # logits [32,56] of the float32 network and the converted one
    sure = [(exact, got) for exact, got in scores if exact.max() > 0]
    place = lambda score: np.array(np.unravel_index(score.argmax(), score.shape))
    same = np.mean([got.max() > FOUND and np.abs(place(exact) - place(got)).max() <= 1 for exact, got in sure])
    return f"{len(images)} scenes, {len(sure)} with a find in float32; found in the same place: {100 * same:.2f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--target", default="rk3588")
    parser.add_argument("--precision", choices=["fp16", "int8"], default="fp16")
    parser.add_argument("--cache", default="runs/items.pkl")
    parser.add_argument("--frames", default="runs/frames")
    parser.add_argument("--models", type=Path, default=HERE.parents[1] / "models")
    parser.add_argument("--most", type=int, default=400, help="photographs that each network is judged on")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for role in CONTRACTS:
        rknn = convert(role, args, args.out)
        print(f"{role}.rknn, {args.target}, {args.precision}: {judge(role, args, rknn)}", flush=True)
        rknn.release()


if __name__ == "__main__":
    main()
