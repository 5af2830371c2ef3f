"""Writes assets/glyphs.png: one 45x90 cell per alphabet character, in alphabet order in one row, white on black.

    python make_atlas.py [--out ../../assets/glyphs.png]
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

import kinds
import synth


def main():
    default = Path(__file__).resolve().parents[2] / "assets" / "glyphs.png"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=default)
    out = parser.parse_args().out
    latin, chinese = synth.load_faces(synth.LATIN)[0], synth.load_faces(synth.CHINESE)[0]
    cells = [np.zeros((90, 45), np.float32)]  # "_" is an empty cell
    cells += [synth.glyph(c, *(latin if c.isascii() else chinese)) for c in kinds.ALPHABET[1:]]
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), (np.hstack(cells) * 255).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{out}: {len(cells)} cells, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
