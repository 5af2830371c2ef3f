"""Keeps a run's log and draws its curve: record.py runs/reader records/"""
import json
import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

run, out = Path(sys.argv[1]), Path(sys.argv[2])
name = sys.argv[3] if len(sys.argv) > 3 else run.name
out.mkdir(parents=True, exist_ok=True)
shutil.copy(run / "log.jsonl", out / f"{name}.jsonl")
rows = [json.loads(line) for line in open(run / "log.jsonl", encoding="utf-8")]
figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3))
left.plot([r["seen"] for r in rows], [r["loss"] for r in rows])
left.set(xlabel="samples", ylabel="loss", yscale="log", title=name)
right.plot([r["seen"] for r in rows], [r["score"] for r in rows])
right.set(xlabel="samples", ylabel="score on dev")
figure.tight_layout()
figure.savefig(out / f"{name}.png", dpi=80)
