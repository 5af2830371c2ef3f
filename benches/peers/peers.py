"""Reads labelled pictures with several systems, one after the other, and compares accuracy and time.

Called by `run`, which makes the environment and keeps everything to one core.
"""

import argparse
import contextlib
import csv
import importlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
PLATE = re.compile(f"[{PROVINCES}][A-Z][A-Z0-9]{{4,5}}[A-Z0-9学警挂港澳领]")


def plates(texts):
    """Plates among recognised texts: separators dropped, a plate anywhere in a line."""
    for text in texts:
        found = PLATE.search(re.sub(r"[^0-9A-Z\u4e00-\u9fff]", "", text.upper()))
        if found:
            yield found.group()


def one_thread():
    """Every session of ONNX Runtime gets one thread, whatever its maker asked for."""
    import onnxruntime

    original = onnxruntime.InferenceSession.__init__

    def init(self, path_or_bytes, sess_options=None, *args, **more):
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        original(self, path_or_bytes, options, *args, **more)

    onnxruntime.InferenceSession.__init__ = init


def rapidocr():
    engine = importlib.import_module("rapidocr_onnxruntime").RapidOCR()

    def read(picture, _path):
        lines, _ = engine(picture)
        return list(plates(line[1] for line in lines or []))

    return read


def hyperlpr():
    import numpy

    # It was written for a NumPy that still had these.
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if name not in numpy.__dict__:
            setattr(numpy, name, kind)
    module = importlib.import_module("hyperlpr")
    engine = getattr(module, "HyperLPR_plate_recognition", None) or getattr(module, "HyperLPR_PlateRecogntion")
    return lambda picture, _path: [found[0] for found in sorted(engine(picture), key=lambda f: -f[1])]


def hyperlpr3():
    engine = importlib.import_module("hyperlpr3").LicensePlateCatcher()
    return lambda picture, _path: [found[0] for found in sorted(engine(picture), key=lambda f: -f[1])]


def agentclpr():
    engine = importlib.import_module("agentclpr").CLPSystem()

    def read(picture, path):
        found = engine(picture)
        return list(plates(part[1][0] for part in flat(found)))

    return read


def flat(found):
    """[corners, (text, score)] pairs however deep they are wrapped."""
    if isinstance(found, (list, tuple)):
        if len(found) == 2 and isinstance(found[1], (list, tuple)) and found[1] and isinstance(found[1][0], str):
            yield found
        else:
            for part in found:
                yield from flat(part)


PEERS = {"rapidocr": rapidocr, "hyperlpr": hyperlpr, "hyperlpr3": hyperlpr3, "agentclpr": agentclpr}


def quantile(sorted_values, q):
    return sorted_values[round((len(sorted_values) - 1) * q)] if sorted_values else 0.0


def measure(read, rows):
    import cv2

    times, exact, bare, found, failed = [], 0, 0, 0, 0
    for n, (path, text) in enumerate(rows):
        picture = cv2.imread(str(path))
        if picture is None:
            failed += 1
            continue
        if n == 0:
            read(picture, path)  # the first picture is not what a picture takes
        begun = time.perf_counter()
        try:
            texts = read(picture, path)
        except Exception:  # a peer's own fault on one picture counts as not read
            texts, failed = [], failed + 1
        times.append((time.perf_counter() - begun) * 1e3)
        best = texts[0] if texts else ""
        found += bool(texts)
        exact += best == text
        bare += best[1:] == text[1:]
    times.sort()
    return {"pictures": len(rows), "exact": exact, "exact_without_province": bare, "detected": found, "failed": failed,
            "p50_ms": quantile(times, 0.5), "p95_ms": quantile(times, 0.95)}


def ours(rows, columns, threads=1):
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "list.tsv"
        with open(manifest, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
            writer.writerow(["path", "text"])
            writer.writerows([str(path), text] for path, text in rows)
        program = os.environ.get("PLATEGATE", "target/release/plategate")
        told = subprocess.run([program, "eval", "--manifest", str(manifest), "--json", "--threads", str(threads)],
                              capture_output=True, text=True)
        if not told.stdout:
            sys.exit(f"peers: {program}: {told.stderr.strip()}")
        report = json.loads(told.stdout)
    return {"pictures": report["pictures"], "exact": report["exact"], "detected": report["detected"],
            "exact_without_province": report["exact_without_province"], "failed": report["unreadable_files"],
            "p50_ms": report["ms"]["p50"], "p95_ms": report["ms"]["p95"]}


def selection(manifest, wanted, most):
    folder = manifest.parent.resolve()
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                if row["text"] and all(row.get(c) == v for c, v in wanted)]
    if not rows:
        sys.exit(f"peers: {manifest}: no such rows with a text")
    step = max(len(rows) / most, 1.0)
    rows = [rows[int(n * step)] for n in range(min(most, len(rows)))]
    return [(folder / row["path"], row["text"]) for row in rows]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("manifest", type=Path)
    arguments.add_argument("--most", type=int, default=150)
    arguments.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE")
    arguments.add_argument("--peers", default=",".join(PEERS))
    arguments.add_argument("--markdown", action="store_true")
    args = arguments.parse_args()
    rows = selection(args.manifest, [tuple(w.split("=", 1)) for w in args.where], args.most)
    results = {"plategate": ours(rows, None)}
    one_thread()
    logging.disable(logging.CRITICAL)
    import cv2

    cv2.setNumThreads(1)
    for name in args.peers.split(","):
        try:
            # Some of them talk while they work; standard output is for the table.
            with contextlib.redirect_stdout(sys.stderr):
                results[name] = measure(PEERS[name](), rows)
        except Exception as error:  # not to be had here: say so and go on
            print(f"peers: {name} does not run here and is left out: {str(error).splitlines()[0][:160]}", file=sys.stderr)
        else:
            print(f"peers: {name} done", file=sys.stderr)
    mine = results["plategate"]
    bar, edge = ("| ", " |") if args.markdown else ("", "")
    columns = ["", "exact", "without province", "found", "p50, ms", "p95, ms", "times as long"]
    print(bar + " | ".join(columns) + edge)
    if args.markdown:
        print("|---" * len(columns) + "|")
    for name, r in results.items():
        share = lambda n: f"{100 * n / r['pictures']:.1f} %"
        cells = [name, share(r["exact"]), share(r["exact_without_province"]), share(r["detected"]),
                 f"{r['p50_ms']:.1f}", f"{r['p95_ms']:.1f}", f"{r['p50_ms'] / mine['p50_ms']:.1f}"]
        print(bar + " | ".join(cells) + edge)
    print(json.dumps({"pictures": len(rows), "results": results}), file=sys.stderr)


if __name__ == "__main__":
    main()
