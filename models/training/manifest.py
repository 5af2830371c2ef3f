"""Writes a manifest for `plategate eval` from the photograph folder's own: the rows of one split.

    python manifest.py --split dev --out dev.tsv
    plategate eval --manifest dev.tsv --html dev.html

`dev` rows chose the weights and the temperature; `eval` rows were only looked at. Crops and frames of one source are
told apart by the column `set`.
"""
import argparse
import csv
import os
from pathlib import Path

import data
import frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["dev", "eval"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    root = data.photo_root().resolve()
    with open(args.out, "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
        out.writerow(["path", "text", "corners", "kind", "set"])
        for row in frames.manifest(root, split=args.split):
            path = os.path.relpath(root / row["path"], args.out.resolve().parent)
            out.writerow([path, row["text"], row["corners"], row["colour"], f"{row['source']}/{row['kind']}"])


if __name__ == "__main__":
    main()
