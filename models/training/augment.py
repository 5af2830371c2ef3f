"""What cameras and weather do to a plate: degrade(image, rng) on a small RGB uint8 patch, well under a millisecond.

Every effect is drawn independently and rarely, so that about one patch in five comes through almost clean.
"""
import cv2
import numpy as np

_YX = {}


def _grid(shape):
    if shape not in _YX:
        y, x = np.mgrid[0:shape[0], 0:shape[1]].astype(np.float32)
        _YX[shape] = (y / shape[0], x / shape[1])
    return _YX[shape]


def motion_kernel(length, angle):
    """A line of this many pixels, normalised."""
    size = int(length) | 1
    kernel = np.zeros((size, size), np.float32)
    c = size // 2
    dx, dy = np.cos(angle) * c, np.sin(angle) * c
    cv2.line(kernel, (int(round(c - dx)), int(round(c - dy))), (int(round(c + dx)), int(round(c + dy))), 1.0)
    return kernel / kernel.sum()


def fineness(image):
    """How many pixels of this patch one of a patch 144 wide has become: sizes below are given in those."""
    return image.shape[1] / 144


def blur(image, rng):
    r, k = rng.random(), fineness(image)
    if r < 0.18:
        return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.7) * k))
    if r < 0.33:
        return cv2.filter2D(image, -1, motion_kernel(round(rng.integers(3, 10) * k), rng.uniform(0, np.pi)))
    return image


def shrink(image, rng):
    """As if the plate had been small in the frame: down to 50 pixels wide and up again."""
    if rng.random() > 0.4:
        return image
    h, w = image.shape[:2]
    s = rng.uniform(0.36 / fineness(image), 0.95)
    how = (cv2.INTER_AREA, cv2.INTER_LINEAR)[int(rng.random() < 0.3)]
    small = cv2.resize(image, (max(8, int(w * s)), max(6, int(h * s))), interpolation=how)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC)


def light(image, rng):
    """Exposure, contrast, colour cast, a shadow's edge, glare, a headlight's bloom; float in, float out."""
    y, x = _grid(image.shape[:2])
    if rng.random() < 0.7:
        gain = np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.08 if rng.random() < 0.85 else 0.25, 3))
        image = image * gain.astype(np.float32)
    if rng.random() < 0.3:  # low contrast
        c = rng.uniform(0.3, 0.9)
        image = image * c + (1 - c) * rng.uniform(20, 220)
    if rng.random() < 0.15:
        grey = image.mean(2, keepdims=True)
        k = rng.uniform(0.2, 1.0)
        image = image * (1 - k) + grey * k
    if rng.random() < 0.15:  # a shadow with a straight edge
        a = rng.uniform(0, 2 * np.pi)
        edge = (x - rng.random()) * np.cos(a) + (y - rng.random()) * np.sin(a)
        image = image * (1 - rng.uniform(0.2, 0.65) / (1 + np.exp(np.clip(-edge * rng.uniform(15, 90), -30, 30))))[..., None]
    if rng.random() < 0.12:  # glare or a lamp's bloom
        cx, cy, r = rng.uniform(-0.1, 1.1), rng.uniform(-0.4, 1.4), rng.uniform(0.06, 0.4)
        d = ((x - cx) ** 2 + ((y - cy) / 3) ** 2) / (r * r)
        image = image + (np.exp(-d) * rng.uniform(40, 230))[..., None]
    if rng.random() < 0.09:  # night, and no lamp near
        image = image * np.float32(rng.uniform(0.07, 0.4))
    elif rng.random() < 0.06:  # lit by one's own headlights: paper and ink overexposed, and running into one another
        image = cv2.GaussianBlur(image * np.float32(rng.uniform(1.3, 2.4)), (0, 0), float(rng.uniform(0.3, 1.2) * fineness(image)))
    return image


def sensor(image, rng):
    """Gain noise, rain streaks, dirt spots; float in, float out."""
    if rng.random() < 0.35:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 22))
    if rng.random() < 0.06:
        h, w = image.shape[:2]
        image = np.ascontiguousarray(image)
        for _ in range(int(rng.integers(3, 12))):
            px, py, n = int(rng.integers(w)), int(rng.integers(h)), int(rng.integers(3, 12))
            cv2.line(image, (px, py), (px + int(rng.integers(-2, 3)), py + n), (200, 200, 205), 1)
    if rng.random() < 0.12:
        h, w = image.shape[:2]
        image = np.ascontiguousarray(image)
        for _ in range(int(rng.integers(1, 4))):
            c = float(rng.uniform(20, 160))
            at = (int(rng.integers(w)), int(rng.integers(h)))
            cv2.ellipse(image, at, (int(rng.integers(1, 6)), int(rng.integers(1, 4))), 0, 0, 360, (c, c * 0.95, c * 0.85), -1)
    return image


def holder(image, rng, rect):
    """A plate holder laid over a flattened plate's edges: bare metal, white or black plastic, as a rule with the dealer's name.

    RGB uint8 in and out; `rect`: the plate's corners in the picture, clockwise from the top left. Stamped characters begin a
    sixth of the height from the edge, and holders reach up to them: the foot of an E is what goes first.
    """
    (left, top), (right, bottom) = rect[0], rect[2]
    height, width = bottom - top, right - left
    out = rng.uniform(0.03, 0.2) * height  # how thick it is outside of the plate
    over = height * np.array([rng.uniform(0, 0.08), rng.uniform(0, 0.15), rng.uniform(0, 0.08), rng.uniform(0.03, 0.2)])
    scale = 3
    h, w = image.shape[:2]
    cover = np.zeros((h * scale, w * scale), np.float32)
    at = lambda x, y: (int(round(x * scale)), int(round(y * scale)))
    cv2.rectangle(cover, at(left - out, top - out), at(right + out, bottom + 2 * out), 1.0, -1)
    cv2.rectangle(cover, at(left + over[0], top + over[1]), at(right - over[2], bottom - over[3]), 0.0, -1)
    base = rng.choice([rng.uniform(20, 60), rng.uniform(130, 190), rng.uniform(215, 250)])
    paint = np.full((h * scale, w * scale, 3), base, np.float32) + rng.normal(0, 6, 3).astype(np.float32)
    paint += (np.linspace(rng.uniform(-40, 40), rng.uniform(-40, 40), h * scale, dtype=np.float32))[:, None, None]  # it shines
    if rng.random() < 0.6:  # letters, as a row of strokes
        ink = 230.0 if base < 100 else 40.0
        y, size = bottom - over[3] * 0.5 + out, max(1.0, 0.3 * (over[3] + out))
        x = left + width * rng.uniform(0.1, 0.6)
        for _ in range(int(rng.integers(3, 9))):
            cv2.line(paint, at(x, y - size), at(x + rng.uniform(-1, 1), y + size), (ink, ink, ink), 2)
            x += rng.uniform(1.5, 4)
    for x in (0.25, 0.75):  # its bolts
        if rng.random() < 0.5:
            c = float(rng.uniform(60, 200))
            cv2.circle(paint, at(left + width * (x + rng.uniform(-0.05, 0.05)), top + over[1] * 0.5), int(0.06 * height * scale), (c, c, c), -1)
    cover, paint = (cv2.resize(a, (w, h), interpolation=cv2.INTER_AREA) for a in (cover, paint))
    return np.clip(image * (1 - cover[..., None]) + paint * cover[..., None], 0, 255).astype(np.uint8)


def recess(image, rng, corners):
    """A bumper's recess, a broad holder or lamps around a plate: what a finder may take for the plate itself.

    RGB uint8 in and out; `corners` [4,2]: the plate's in the picture. The plate stays as it is, and often loses its edge.
    """
    h, w = image.shape[:2]
    centre = corners.mean(0)
    size = np.linalg.norm(corners[1] - corners[0])
    grown = (corners - centre) * np.array([rng.uniform(1.1, 1.7), rng.uniform(1.05, 1.8)])
    outer = (grown + centre + rng.normal(0, 0.04, 2) * size).astype(np.float32)
    cover, inner = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    fixed = lambda quad: np.round(quad * 16).astype(np.int32)
    cv2.fillConvexPoly(cover, fixed(outer), 1.0, cv2.LINE_AA, 4)
    cv2.fillConvexPoly(inner, fixed(corners), 1.0, cv2.LINE_AA, 4)
    cover = np.clip(cover - inner, 0, 1) * rng.uniform(0.7, 1.0)
    ground = image[inner > 0.9].mean(0) if (inner > 0.9).any() else np.full(3, 90.0)
    base = ground * rng.uniform(0.5, 1.2) if rng.random() < 0.4 else np.full(3, rng.uniform(10, 235)) + rng.normal(0, 8, 3)
    paint = np.full((h, w, 3), base, np.float32) + np.linspace(rng.uniform(-30, 30), rng.uniform(-30, 30), h, dtype=np.float32)[:, None, None]
    if rng.random() < 0.5:  # lamps to both sides, or above
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        spots = [(corners[0] + corners[3]) / 2 + [-0.1 * size, 0], (corners[1] + corners[2]) / 2 + [0.1 * size, 0]]
        for sx, sy in spots if rng.random() < 0.7 else [(corners[0] + corners[1]) / 2 - [0, 0.08 * size]]:
            near = np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * (rng.uniform(0.04, 0.12) * size) ** 2))
            paint += (near * rng.uniform(60, 220))[..., None]
    out = np.clip(image * (1 - cover[..., None]) + paint * cover[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        cv2.polylines(out, [fixed(outer)], True, tuple(float(v) for v in rng.uniform(0, 255) + rng.normal(0, 8, 3)), 1, cv2.LINE_AA, 4)
    return out


def degrade(image, rng, strength=1.0):
    """RGB uint8 in and out. `strength` below 1 leaves that share of patches untouched."""
    if rng.random() > strength:
        return image
    image = np.clip(light(image.astype(np.float32), rng), 0, 255)
    image = blur(image, rng)
    if rng.random() < 0.5:  # a small plate's noise is enlarged with it
        image = sensor(shrink(image, rng), rng)
    else:
        image = shrink(np.clip(sensor(image, rng), 0, 255), rng)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        ok, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 85))])
        if ok:
            image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return image
