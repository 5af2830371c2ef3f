"""The plate detector's network: what it is, what it is taught, and how its answer is read.

Picture in:  float32 [N,3,H,W], RGB, 0..1, H and W multiples of 32.
Answer out:  float32 [N,9,H/8,W/8]: channel 0 the score (a logit while training, 0..1 in the exported file); channels
1..8 the four corners (top left, top right, bottom right, bottom left; x then y) as offsets from the cell's centre,
counted in cells of 8 input pixels.

Plain 3x3 convolutions with few channels throughout: depthwise ones have fewer multiplications but are slower on AVX2
and lose more when quantised to INT8. Most of the work is done at strides 16 and 32, where a cell sees a car's front
and not only a plate's letters.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STRIDE = 8
# Corner offsets are learnt as a quarter of their size so that a big plate's ten cells are within easy reach of the
# last layer's weights; the export folds the factor into that layer.
OFFSET_SCALE = 4.0
# Widths and depths by name: (stem, stride 8, stride 16, stride 32, merge, head, residual blocks at 16, at 32)
SIZES = {
    "small": (16, 24, 32, 64, 24, 24, 1, 2),
    "base": (16, 24, 40, 64, 24, 24, 1, 2),
    "large": (16, 24, 40, 80, 24, 24, 1, 2),
}


def conv(cin, cout, k=3, stride=1, pad=None):
    """Convolution, batch norm, ReLU."""
    pad = (k - 1) // 2 if pad is None else pad
    return nn.Sequential(nn.Conv2d(cin, cout, k, stride, pad, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, c):
        super().__init__()
        self.first = conv(c, c)
        self.second = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Detector(nn.Module):
    """Picture [N,3,H,W] to logits and offsets [N,9,H/8,W/8]; see the module's text."""

    def __init__(self, size="base"):
        super().__init__()
        stem, c8, c16, c32, merge, head, n16, n32 = SIZES[size]
        self.size = size
        # Straight to stride 4 with overlapping 6x6 windows: two stride-2 layers cost more time for the same result.
        self.stem = conv(3, stem, 6, 4, pad=1)
        self.to8 = conv(stem, c8, 3, 2)
        self.to16 = nn.Sequential(conv(c8, c16, 3, 2), *[Residual(c16) for _ in range(n16)])
        self.to32 = nn.Sequential(conv(c16, c32, 3, 2), *[Residual(c32) for _ in range(n32)])
        self.side8 = nn.Conv2d(c8, merge, 1)
        self.side16 = nn.Conv2d(c16, 2 * merge, 1)
        self.side32 = nn.Conv2d(c32, 2 * merge, 1)
        self.join16 = conv(2 * merge, 2 * merge)
        self.down16 = nn.Conv2d(2 * merge, merge, 1)
        self.join8 = conv(merge, head)
        # Two last layers rather than one, so that a quantiser can give the score and the offsets their own ranges.
        self.score = nn.Conv2d(head, 1, 1)
        self.corners = nn.Conv2d(head, 8, 1)
        nn.init.constant_(self.score.bias, -4.0)  # plates are rare: start from "nothing here"

    def forward(self, x):
        return self.from_centred(x * 4.0 - 2.0)

    def from_centred(self, x):
        """The answer for a picture whose values are -2..2."""
        at8 = self.to8(self.stem(x))
        at16 = self.to16(at8)
        at32 = self.to32(at16)
        up = F.interpolate(self.side32(at32), scale_factor=2.0, mode="nearest")
        mid = self.join16(F.relu(self.side16(at16) + up))
        up = F.interpolate(self.down16(mid), scale_factor=2.0, mode="nearest")
        top = self.join8(F.relu(self.side8(at8) + up))
        return torch.cat([self.score(top), self.corners(top) * OFFSET_SCALE], 1)


def targets(quads, height, width):
    """What the network should answer for one picture.

    quads: [P,4,2] corners in input pixels. Returns heat [h,w] (1 in the centre cell, falling off over the plate),
    corners [8,h,w] in cells, and weight [h,w]: how much each cell's corners count.
    """
    h, w = height // STRIDE, width // STRIDE
    heat = np.zeros((h, w), np.float32)
    corner = np.zeros((8, h, w), np.float32)
    weight = np.zeros((h, w), np.float32)
    cy, cx = np.mgrid[0:h, 0:w].astype(np.float32) + 0.5
    for quad in np.asarray(quads, np.float32).reshape(-1, 4, 2) / STRIDE:
        mx, my = quad.mean(0)
        if not (0 <= mx < w and 0 <= my < h):
            continue
        sx = max(0.6, 0.12 * np.linalg.norm(quad[1] - quad[0]))
        sy = max(0.6, 0.16 * np.linalg.norm(quad[3] - quad[0]))
        ix, iy = int(mx), int(my)
        near = np.exp(-((cx - ix - 0.5) ** 2) / (2 * sx * sx) - ((cy - iy - 0.5) ** 2) / (2 * sy * sy))
        near[iy, ix] = 1.0
        mine = (near > heat) & (near > 0.3)
        heat = np.maximum(heat, near)
        for i in range(4):
            corner[2 * i][mine] = quad[i, 0] - cx[mine]
            corner[2 * i + 1][mine] = quad[i, 1] - cy[mine]
        size = max(2.5, float(np.linalg.norm(quad[1] - quad[0])))
        weight[mine] = near[mine] / size
    return heat, corner, weight


def loss(out, heat, corner, weight, care, lenient, corner_gain=2.0):
    """Penalty-reduced focal loss for the score, smooth L1 in parts of the plate's width for the corners.

    out [N,9,h,w]; heat, weight, care [N,h,w]; corner [N,8,h,w]. care: how much an empty cell counts (0 to ignore it).
    lenient: where the picture's plates are not all annotated (0 < care < 1), do not punish a confident find.
    """
    logit = out[:, 0]
    p = torch.sigmoid(logit)
    found = (heat >= 1.0).float()
    if lenient:
        care = torch.where((care < 1.0) & (p.detach() > 0.5), torch.zeros_like(care), care)
    hit = F.softplus(-logit) * (1 - p) ** 2 * found
    miss = F.softplus(logit) * p ** 2 * (1 - heat) ** 4 * (1 - found) * care
    plates = found.sum().clamp(min=1.0)
    score = (hit.sum() + miss.sum()) / plates
    gap = (out[:, 1:] - corner) * weight.unsqueeze(1).clamp(min=0)
    place = F.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.02, reduction="sum") / (8 * weight_cells(weight))
    return score + corner_gain * 10 * place, score.detach(), place.detach()


def weight_cells(weight):
    """How many cells have corners to learn (at least one)."""
    return (weight > 0).float().sum().clamp(min=1.0)


def decode(answer, threshold=0.3, limit=20):
    """Plates out of one answer [9,h,w] whose channel 0 is already 0..1.

    Returns a list of (score, quad [4,2] in input pixels), best first: local maxima over 3x3 cells, then a find whose
    centre lies in a better one's extent is dropped.
    """
    score = answer[0]
    h, w = score.shape
    ring = np.pad(score, 1, constant_values=-1)
    top = np.max([ring[dy:dy + h, dx:dx + w] for dy in range(3) for dx in range(3)], 0)
    ys, xs = np.nonzero((score >= top) & (score >= threshold))
    found = []
    for i in np.argsort(-score[ys, xs])[:4 * limit]:
        y, x = ys[i], xs[i]
        quad = (answer[1:, y, x].reshape(4, 2) + (x + 0.5, y + 0.5)) * STRIDE
        mid = quad.mean(0)
        inside = any((k.min(0) <= mid).all() and (mid <= k.max(0)).all() for _, k in found)
        if not inside:
            found.append((float(score[y, x]), quad))
    return found[:limit]
