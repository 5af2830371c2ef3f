"""What a margin costs and what it keeps out: neighbours left standing, and look-alikes let in, at margins one after another.

In: what `plategate simulate --record FILE` wrote (approaches of cars; those of tailgaters and tricks are passed over). Each approach
is weighed twice: as a neighbour's, whose plate is registered, and as a stranger's beside whose plate a look-alike is registered, drawn as
`simulate` draws it (`cast::look_alike`). For the second the draw is not played but summed over: every plate that differs in one
character counts with the probability that it is drawn, so that rates far below one in the number of approaches can be told. Plates
that differ in two characters are left out: both would have to be misread.

A margin is three odds (src/gate/matching.rs): against characters that readers confuse, against others, against another province. It may be
another one once the plate was seen larger (src/vision/track.rs; that one which stands is no longer far is not looked at). Nor is the ratio
(wherever the margin is reached, it is too), nor what a track loses when it breaks.

    plategate simulate --photos DIR --manifest FILE --split dev --split eval --strangers 10000 --neighbours 1 --spoofs 0 --record readings.jsonl
    python calibration/track/margins.py readings.jsonl
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

import fit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/training"))
import kinds  # noqa: E402

PROVINCES, SERIAL = ([kinds.INDEX[c] for c in chars] for chars in (kinds.PROVINCES, kinds.DIGITS + kinds.LETTERS))
BLIND, ELSEWHERE = 2.18, 20  # how much less other characters and other provinces count (src/gate/matching.rs)
# Against look-alikes: while the plate is far, while it comes, and once it is near.
MARGINS = [(40, 40, 40), (100, 100, 100), (300, 300, 300), (1000, 1000, 100), (1000, 1000, 300), (1000, 1000, 1000), (10000, 1000, 100), (10000, 1000, 300), (10000, 10000, 100)]
OWN = [tuple(max(share * budget, 40) for share in (1, 0.03, 0.01)) for budget in (100, 1000, 10000, 100000)]  # the gate's own by this budget
FAR_PX, NEAR_PX, NEAR_FRAMES = 78.0, 117.0, 2  # src/vision/track.rs
LEAST_FUSED, READABLE = 2, 6  # frames; the third one that is readable has this index (simulate/paint.rs: READABLE_PX)
CONFUSED, STRANGERS = 0.7, 0.4  # of look-alikes those in confusable characters first; of strangers, the look-alikes (simulate/cast.rs)


def confusable():
    """[75,75] bool: characters that readers take for one another, by src/register/alike.rs."""
    text = (ROOT / "src/register/alike.rs").read_text(encoding="utf-8").split("const MOST")[0]
    alike = np.zeros((fit.CHARACTERS, fit.CHARACTERS), bool)
    for a, b in re.findall(r"\('(.)', '(.)'\)", text):
        i, j = kinds.INDEX[a], kinds.INDEX[b]
        alike[i, j] = alike[j, i] = True
    return alike


ALIKE = confusable()


def reached(fused, plate):
    """After each number of frames the three log-odds of this plate over the next best: fused [N,8,75] -> [N,3]."""
    least = np.full((len(fused), 3), 99.0)
    for slot, char in enumerate(plate):
        ahead = fused[:, slot, [char]] - fused[:, slot, :]
        ahead[:, char] = 99.0
        if slot == 0:
            least[:, 2] = ahead.min(1)
            continue
        alike = ALIKE[char]
        least[:, 0] = np.minimum(least[:, 0], ahead[:, alike].min(1, initial=99.0))
        least[:, 1] = np.minimum(least[:, 1], ahead[:, ~alike].min(1))
    return least


def drawn(truth, slot, char):
    """How often `cast::look_alike` puts this character there when it has chosen the place."""
    if slot == 0:
        return 1 / len(PROVINCES) if truth[0] in PROVINCES and char in PROVINCES else 0.0
    if char not in SERIAL:
        return 0.0
    pairs = ALIKE[truth[slot], SERIAL].sum()
    confused = CONFUSED if pairs else 0.0
    return (confused / pairs if ALIKE[truth[slot], char] else 0.0) + (1 - confused) / len(SERIAL)


def look_alikes(fused, truth):
    """(plate, probability that it is the one registered) of those that some number of frames makes likelier than the truth."""
    length = int(np.count_nonzero(truth))
    for slot in range(length):
        over = (fused[:, slot, :] > fused[:, slot, [truth[slot]]]).any(0)
        for char in np.flatnonzero(over):
            # One substitution half of the time; the second of two falls on the same place once in the plate's length.
            often = drawn(truth, slot, char) / length * (0.5 + 0.5 / length)
            if often:
                yield np.where(np.arange(8) == slot, char, truth), often


def approaches(paths, left_out):
    """(photograph, truth [8], log-probabilities fused after 2, 3, ... frames [N,8,75], the frames' indices [N], far, coming or near by then? [N])."""
    for path in paths:
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            if row["who"] not in ("neighbour", "stranger", "look_alike") or row.get("photo") in left_out:
                continue
            at, *seen = fit.looks(row)
            fused = fit.fuse(*seen, fit.SHIPPED, range(LEAST_FUSED, len(at) + 1))
            near = np.cumsum(seen[1] >= NEAR_PX) >= NEAR_FRAMES
            distance = near.astype(int) + (np.maximum.accumulate(seen[1]) >= FAR_PX)
            yield row.get("photo"), np.array(row["truth"]), np.array(fused).reshape(-1, 8, fit.CHARACTERS), at[LEAST_FUSED - 1 :], distance[LEAST_FUSED - 1 :]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+")
    parser.add_argument("--leave-out", type=Path, help="a table whose column `path` names photographs")
    args = parser.parse_args()
    left_out = fit.listed(args.leave_out) if args.leave_out else set()
    margins = sorted({*MARGINS, *OWN})
    each = np.log(np.array(margins, float)[:, :, None] / [1, BLIND, ELSEWHERE])  # [margins, far or coming or near, 3]
    count, let_in, early, taken = 0, np.zeros(len(margins), int), np.zeros(len(margins), int), np.zeros(len(margins))
    by_plate = {}
    for photo, truth, fused, at, distance in approaches(args.records, left_out):
        count += 1
        asked = each[:, distance]
        opens = (reached(fused, truth) >= asked).all(2)
        let_in += opens.any(1)
        early += (opens & (at <= READABLE)).any(1)
        for plate, often in look_alikes(fused, truth):
            rates = often * (reached(fused, plate) >= asked).all(2).any(1)
            taken += rates
            name = (photo, kinds.decode(truth))
            by_plate[name] = by_plate.get(name, 0.0) + rates
    print("margin against look-alikes (far, coming, near): neighbours in, by the third readable frame; strangers in 10,000 let in, of whom 4,000 look-alikes")
    for margin, n, third, rate in zip(margins, let_in, early, taken):
        mark = "*" if margin in OWN else " "
        print(f"{', '.join(f'{odds:.0f}' for odds in margin):>20}{mark} {100 * n / count:.2f} %, {100 * third / count:.2f} %; {1e4 * STRANGERS * rate / count:.3f}")
    print(f"of {count} approaches; what is most often let in:")
    for (photo, plate), rates in sorted(by_plate.items(), key=lambda item: -item[1].sum())[:12]:
        print(f"  {plate} ({photo}):", " ".join(f"{1e4 * STRANGERS * rate / count:.3f}" for rate in rates))


if __name__ == "__main__":
    main()
