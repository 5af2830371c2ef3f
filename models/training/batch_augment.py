"""What augment.py does to one patch, done to a whole batch on the GPU: the finder's errors, cameras and weather.

`degrade(x, spread)` takes plates with their surroundings, [n,3,64,256] in 0..1, and gives the reader's input in the finer layout, [n,3,48,192].
"""
import math

import torch
import torch.nn.functional as F

import data

UNIT = data.FINE.size[0] / data.PLATE.size[0]  # sizes in augment.py are given in pixels of a patch 144 wide
SCALES = (0.27, 0.34, 0.43, 0.54, 0.68, 0.85)  # how small a plate was in its frame


class Dice:
    """Random numbers for a batch, shaped to be multiplied with it."""

    def __init__(self, n, device):
        self.n, self.device = n, device

    def normal(self, *shape):
        return torch.randn((self.n, *(shape or (1, 1, 1))), device=self.device)

    def uniform(self, low, high):
        return torch.rand((self.n, 1, 1, 1), device=self.device) * (high - low) + low

    def some(self, share):
        """1 for this share of the batch, 0 for the others."""
        return (torch.rand((self.n, 1, 1, 1), device=self.device) < share).float()


def place(x, spread, dice):
    """Cuts the reader's input where a finder with errors would have: data.jitter, the four corners blended bilinearly."""
    (w, h), (mw, mh) = data.FINE.size, data.MARGIN.size
    off = (data.MARGIN.rect[0] - data.FINE.rect[0]).tolist()
    wide = float(data.FINE.rect[1, 0] - data.FINE.rect[0, 0])
    spread = spread.view(-1, 1, 1, 1)
    far = torch.where(dice.uniform(0, 1) < 0.8, 1.0, 2.1) * spread
    each = dice.normal(2, 2, 2) * 0.01 * far  # [n, top or bottom, left or right, x or y]
    ratio = torch.tensor([1.0, 0.7], device=x.device)
    move = dice.normal(1, 1, 2) * torch.tensor([1.0, 0.5], device=x.device) * 0.006 * far
    corners = (each * ratio + move) * wide
    grow = dice.normal(1, 1, 2) * 0.012 * spread
    v, u = torch.meshgrid(torch.linspace(0, 1, h, device=x.device), torch.linspace(0, 1, w, device=x.device), indexing="ij")
    u, v = u[None, ..., None], v[None, ..., None]
    at = corners[:, 0, 0, None, None] * (1 - u) * (1 - v) + corners[:, 0, 1, None, None] * u * (1 - v)
    at = at + corners[:, 1, 0, None, None] * (1 - u) * v + corners[:, 1, 1, None, None] * u * v
    middle = torch.tensor([(w - 1) / 2, (h - 1) / 2], device=x.device)
    own = torch.cat([u * (w - 1) + 0 * v, v * (h - 1) + 0 * u], 3)
    at = at + (own - middle) * torch.exp(grow) + middle + torch.tensor(off, device=x.device)
    grid = at * 2 / torch.tensor([mw - 1, mh - 1], device=x.device) - 1
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def light(x, dice):
    """Exposure, contrast, colour cast, a shadow's edge, glare, night, one's own headlights."""
    h, w = x.shape[2:]
    ys, xs = (torch.arange(h, device=x.device).view(1, 1, h, 1) / h, torch.arange(w, device=x.device).view(1, 1, 1, w) / w)
    cast = torch.where(dice.uniform(0, 1) < 0.85, 0.08, 0.25)
    x = x * torch.exp((dice.normal() * 0.3 + dice.normal(3, 1, 1) * cast) * dice.some(0.7))
    low = 1 - dice.some(0.3) * (1 - dice.uniform(0.3, 0.9))
    x = x * low + (1 - low) * dice.uniform(0.08, 0.86)
    x = x + (x.mean(1, keepdim=True) - x) * dice.uniform(0.2, 1.0) * dice.some(0.15)
    angle = dice.uniform(0, 2 * math.pi)
    edge = (xs - dice.uniform(0, 1)) * torch.cos(angle) + (ys - dice.uniform(0, 1)) * torch.sin(angle)
    x = x * (1 - dice.some(0.15) * dice.uniform(0.2, 0.65) * torch.sigmoid(edge * dice.uniform(15, 90)))
    size = dice.uniform(0.06, 0.4)
    near = torch.exp(-((xs - dice.uniform(-0.1, 1.1)) ** 2 + ((ys - dice.uniform(-0.4, 1.4)) / 3) ** 2) / (size * size))
    x = x + dice.some(0.12) * near * dice.uniform(0.16, 0.9)
    night = dice.some(0.08)
    x = x * (1 - night * (1 - dice.uniform(0.07, 0.4)))
    return x * (1 + dice.some(0.05) * (1 - night) * dice.uniform(0.3, 1.4))


def blur(x, dice):
    """Out of focus (by a Gaussian) or moving (along a line)."""
    reach = 5
    taps = torch.arange(-reach, reach + 1, device=x.device).float().view(1, -1)
    which = dice.uniform(0, 1).view(-1, 1)
    sigma = (dice.uniform(0.4, 1.7) * UNIT).view(-1, 1)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = torch.where(which < 0.18, kernel / kernel.sum(1, keepdim=True), (taps == 0).float())
    for axis in (3, 2):
        x = sum(torch.roll(x, t - reach, axis) * kernel[:, t].view(-1, 1, 1, 1) for t in range(2 * reach + 1))
    length, angle = dice.uniform(3, 10).view(-1) * UNIT, dice.uniform(0, math.pi).view(-1)
    length = length * ((which >= 0.18) & (which < 0.33)).float().view(-1)
    h, w = x.shape[2:]
    moved, theta = 0, torch.eye(2, 3, device=x.device).repeat(len(x), 1, 1)
    for t in torch.linspace(-0.5, 0.5, 7).tolist():
        shifted = theta.clone()
        shifted[:, 0, 2], shifted[:, 1, 2] = t * length * torch.cos(angle) * 2 / w, t * length * torch.sin(angle) * 2 / h
        moved = moved + F.grid_sample(x, F.affine_grid(shifted, list(x.shape), align_corners=False), padding_mode="border", align_corners=False)
    return torch.where((length > 0).view(-1, 1, 1, 1), moved / 7, x)


def noise(x, dice, share=0.35):
    return x + torch.randn_like(x) * dice.some(share) * dice.uniform(0.008, 0.086)


def shrink(x, dice):
    """Some of the plates were small in their frame: down and up again, for a part with the noise of the small one."""
    n, size = len(x), x.shape[2:]
    each = max(1, int(0.4 * n / len(SCALES)))
    parts = []
    for i, s in enumerate(SCALES):  # the batch comes in no order
        part = x[i * each:(i + 1) * each]
        to = (max(8, round(size[0] * s)), max(8, round(size[1] * s)))
        small = F.interpolate(part, to, mode="bilinear", antialias=True, align_corners=False)
        small = noise(small.clamp(0, 1), Dice(len(part), x.device), 0.25)
        parts.append(F.interpolate(small, size, mode="bicubic" if i % 3 == 1 else "bilinear", align_corners=False))
    return torch.cat([*parts, x[len(SCALES) * each:]])


def dirt(x, dice):
    """Dark or light spots of mud, on an eighth of the plates."""
    h, w = x.shape[2:]
    ys, xs = torch.arange(h, device=x.device).view(1, 1, h, 1), torch.arange(w, device=x.device).view(1, 1, 1, w)
    some = dice.some(0.12)
    for _ in range(2):
        a, b = dice.uniform(1, 6) * UNIT, dice.uniform(1, 4) * UNIT
        d = ((xs - dice.uniform(0, w)) / a) ** 2 + ((ys - dice.uniform(0, h)) / b) ** 2
        cover = ((1.2 - d) * 3).clamp(0, 1) * some * dice.some(0.7)
        x = x * (1 - cover) + cover * dice.uniform(0.08, 0.63)
    return x


@torch.no_grad()
def degrade(x, spread):
    """Plates with their surroundings [n,3,64,256] in 0..1 -> what a reader gets to see of them, [n,3,48,192]."""
    dice = Dice(len(x), x.device)
    flat = place(x, spread, dice)
    seen = blur(light(dirt(flat, dice), dice), dice).clamp(0, 1)
    untouched = dice.some(0.15)
    seen = seen * (1 - untouched) + flat * untouched
    seen = shrink(seen, dice)
    return noise(seen, dice, 0.25).clamp(0, 1).mul(255).round().div(255)
