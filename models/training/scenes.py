"""Training scenes for the detector: photographs cut and shrunk at random, plates of every kind painted in.

    Scenes(cache, seed).draw() -> (image uint8 [H,W,3], quads [P,4,2], care, lenient)

The photographs show blue and green plates almost only. Rendered yellow, white, black and double-row plates are therefore
warped over the photographed ones (they take over the place, the perspective and the light), and some photographed
plates are painted away, so that a bumper alone is no reason to find one.
"""
import cv2
import numpy as np

import augment
import frames
import synth

CANVAS = (256, 352)  # height and width of a training picture; the network takes any multiple of 32
SOURCES = {"web_passerby": 3.5, "ccpd_green_djq": 2.0, "ccpd_base_zk": 2.0, "ccpd_jk": 0.8, "ccpd_misc": 0.7}
NARROWEST, WIDEST = 14, 230  # a plate's width in the network's input, pixels


def rendered_quad(quad, rows):
    """The place for a rendered plate: double-row ones are half again as high as single-row ones."""
    if rows == 1:
        return quad
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    return quad + np.array([-0.3 * down, -0.3 * down, 0.3 * down, 0.3 * down])


def inside(quad, shape, share=0.0):
    """Does the whole quad lie on the picture (with this share of its width to spare)?"""
    pad = share * np.linalg.norm(quad[1] - quad[0])
    return (quad >= pad).all() and (quad[:, 0] < shape[1] - pad).all() and (quad[:, 1] < shape[0] - pad).all()


class Scenes:
    """Draws training pictures; one process, one generator, a pool of rendered plates that slowly changes."""

    def __init__(self, cache, seed, pool=800, stamped=None):
        self.rng = np.random.default_rng(seed)
        self.cache = frames.FrameCache(cache, "train")
        weights = np.zeros(len(self.cache))
        for source, share in SOURCES.items():
            at = self.cache.source == source
            weights[at] = share / max(1, at.sum())
        self.weights = np.cumsum(weights / weights.sum())
        self.pool = synth.PlatePool(seed, self.rng, pool, stamped)
        root = frames.photo_root()
        rows = [r for r in frames.manifest(root, kind="background", split="train")]
        self.blanks = [frames.read_rgb(root / r["path"]) for r in rows[:1500]]
        self.noise = (self.rng.standard_normal((12, *CANVAS, 3)) * 16).astype(np.int16)

    def draw(self):
        """One training picture."""
        rng = self.rng
        if rng.random() < 0.08:
            image, quads = self._block_car()
            return self._weather(image), quads, 1.0, 0.0
        i = min(len(self.cache) - 1, int(np.searchsorted(self.weights, rng.random())))
        image, quad, others = self._cut(i)
        quads = [quad]
        r = rng.random()
        if r < 0.50:
            quads = [self._paste(image, quad, like_place=True)]
        elif r < 0.58:
            self._erase(image, quad)
            quads = []
        quads += others
        if rng.random() < 0.2:
            extra = self._anywhere(quads)
            if extra is not None:
                quads.append(self._paste(image, extra, like_place=False))
        if rng.random() < 0.3:
            self._distract(image, quads)
        ccpd = self.cache.source[i].startswith("ccpd")  # other plates in these frames are not annotated
        return self._weather(image), quads, 0.5 if ccpd else 1.0, 1.0

    def _cut(self, i):
        """A part of frame i at a random scale and a slight turn, mostly with another frame behind it where it does not
        reach: (canvas, the plate's quad on it, the quads of the frame behind)."""
        rng, quad = self.rng, self.cache.quad(i)
        width = float(np.linalg.norm(quad[1] - quad[0]))
        wanted = float(np.exp(rng.uniform(np.log(NARROWEST), np.log(min(WIDEST, 1.25 * width)))))
        scale = wanted / width
        level = 0
        while level + 1 < frames.LEVELS and scale * 2 ** (level + 1) <= 1.0:
            level += 1
        source = self.cache.frame(i, level)
        a, s = rng.normal(0, 0.06 if rng.random() < 0.8 else 0.25), scale * 2 ** level  # cars stand askew in a bend
        turn = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        h, w = CANVAS
        to = np.array([rng.uniform(0.08, 0.92) * w, rng.uniform(0.08, 0.92) * h])
        m = np.hstack([turn, (to - turn @ (quad.mean(0) / 2 ** level))[:, None]])
        if rng.random() < 0.75:
            image, others = self._behind()
        else:
            image, others = np.full((h, w, 3), 128 if rng.random() < 0.6 else int(rng.integers(0, 255)), np.uint8), []
        cv2.warpAffine(source, m, (w, h), dst=image, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)
        back = cv2.invertAffineTransform(m)
        covered = lambda p: (0 <= back @ [*p, 1]).all() and (back @ [*p, 1] < source.shape[1::-1]).all()
        others = [q for q in others if not covered(q.mean(0))]
        return image, (quad / 2 ** level @ turn.T + m[:, 2]).astype(np.float32), others

    def _behind(self):
        """Another frame that fills the canvas: (canvas, quads)."""
        rng, (h, w) = self.rng, CANVAS
        j = min(len(self.cache) - 1, int(np.searchsorted(self.weights, rng.random())))
        level = 1 if rng.random() < 0.5 else 2
        source, quad = self.cache.frame(j, level), self.cache.quad(j) / 2 ** level
        scale = max(h / source.shape[0], w / source.shape[1])
        size = (max(w, round(source.shape[1] * scale)), max(h, round(source.shape[0] * scale)))
        x, y = int(rng.integers(0, size[0] - w + 1)), int(rng.integers(0, size[1] - h + 1))
        image = cv2.resize(source, size, interpolation=cv2.INTER_LINEAR)[y:y + h, x:x + w].copy()
        quad = (quad * scale - (x, y)).astype(np.float32)
        visible = NARROWEST <= np.linalg.norm(quad[1] - quad[0]) and (quad.mean(0) >= 0).all() and (quad.mean(0) < (w, h)).all()
        return image, [quad] if visible else []

    def _paste(self, image, quad, like_place):
        """Warps a rendered plate over `quad`; returns the quad it then has."""
        rng, plate = self.rng, self.pool.draw()
        quad = rendered_quad(quad, plate.rows).astype(np.float32)
        h, w = plate.image.shape[:2]
        span = max(8.0, float(np.linalg.norm(quad[1] - quad[0])))
        flat = plate.image
        if span * 1.5 < w:  # shrink first: a warp alone would alias
            k = span * 1.5 / w
            flat = cv2.resize(flat, (max(8, int(w * k)), max(6, int(h * k))), interpolation=cv2.INTER_AREA)
        if like_place:  # take over the light of the plate that was there
            x0, y0, x1, y1 = [int(v) for v in (*np.maximum(0, quad.min(0)), *quad.max(0))]
            there = image[y0:y1 + 1, x0:x1 + 1]
            gain = (np.percentile(there, 85) + 25) / 215 if there.size else 1.0
        else:
            gain = rng.uniform(0.4, 1.1)
        flat = cv2.convertScaleAbs(flat, alpha=float(np.clip(gain * rng.uniform(0.85, 1.2), 0.2, 1.2)))
        if rng.random() < 0.5:
            flat = cv2.GaussianBlur(flat, (0, 0), float(rng.uniform(0.4, 1.3)))
        fh, fw = flat.shape[:2]
        m = cv2.getPerspectiveTransform(np.array([[0, 0], [fw - 1, 0], [fw - 1, fh - 1], [0, fh - 1]], np.float32), quad)
        size = (image.shape[1], image.shape[0])
        layer = cv2.warpPerspective(flat, m, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(image.shape[:2], np.uint8)
        grown = (quad - quad.mean(0)) * (1.06 if like_place else 1.0) + quad.mean(0)
        cv2.fillConvexPoly(mask, np.round(grown * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        cv2.copyTo(layer, mask, image)
        return quad

    def _erase(self, image, quad):
        """Paints the plate away: the bumper's blur, or a patch that looks like a plate and is none."""
        rng = self.rng
        grown = ((quad - quad.mean(0)) * 1.15 + quad.mean(0)).astype(np.float32)
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, np.round(grown).astype(np.int32), 255)
        if rng.random() < 0.5 and self.blanks:
            b = self.blanks[int(rng.integers(len(self.blanks)))]
            m = cv2.getPerspectiveTransform(np.array([[0, 0], [b.shape[1], 0], [b.shape[1], b.shape[0]], [0, b.shape[0]]], np.float32), grown)
            layer = cv2.warpPerspective(b, m, (image.shape[1], image.shape[0]))
        else:
            edge = image[(cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0) & (mask == 0)]
            colour = np.median(edge, 0) if len(edge) else np.full(3, 90)
            layer = np.full_like(image, 0)
            layer[:] = colour
        cv2.copyTo(layer, mask, image)

    def _anywhere(self, quads):
        """A free place for another plate, or None."""
        rng, (h, w) = self.rng, CANVAS
        width = float(np.exp(rng.uniform(np.log(NARROWEST), np.log(140))))
        tall = width * rng.uniform(0.27, 0.36)
        quad = np.array([[0, 0], [width, 0], [width, tall], [0, tall]], np.float32)
        quad += rng.normal(0, 0.03 * width, (4, 2)) * np.array([1, 0.6])
        quad += np.array([[0, 0], [0, 1], [0, 1], [0, 0]]) * rng.normal(0, 0.1) * width
        quad += np.array([rng.uniform(0, max(1, w - width)), rng.uniform(0, max(1, h - tall))])
        for other in quads:
            reach = (np.linalg.norm(other[1] - other[0]) + width) * 0.7
            if np.linalg.norm(other.mean(0) - quad.mean(0)) < reach:
                return None
        return quad.astype(np.float32) if inside(quad, CANVAS) else None

    def _distract(self, image, quads):
        """Things that are no plates: printed text, and patches that fooled a detector before."""
        rng, spot = self.rng, self._anywhere(quads)
        if spot is None:
            return
        x, y = (int(v) for v in spot[0])
        if rng.random() < 0.5 or not self.blanks:
            text = "".join(rng.choice(list("0123456789-: ABCPRKMH"), int(rng.integers(4, 19))))
            shade = int(rng.integers(0, 255))
            cv2.putText(image, text, (x, y + 8), int(rng.integers(0, 5)), float(rng.uniform(0.3, 0.9)), (shade, shade, int(rng.integers(0, 255))), int(rng.integers(1, 3)), cv2.LINE_AA)
        else:
            b = self.blanks[int(rng.integers(len(self.blanks)))]
            w = int(np.clip(np.linalg.norm(spot[1] - spot[0]), 16, 140))
            b = cv2.resize(b, (w, max(6, w * b.shape[0] // b.shape[1])), interpolation=cv2.INTER_AREA)
            part = image[y:y + b.shape[0], x:x + b.shape[1]]
            part[:] = b[:part.shape[0], :part.shape[1]]

    def _block_car(self):
        """A car made of blocks on a road, by day or night, with a rendered plate in its place."""
        rng, (h, w) = self.rng, CANVAS
        night = rng.random() < 0.5
        light = rng.uniform(0.12, 0.4) if night else rng.uniform(0.6, 1.1)
        tint = lambda a, b: tuple(float(v) for v in np.clip(rng.uniform(a, b) * light + rng.normal(0, 6, 3), 0, 255))
        image = np.empty((h, w, 3), np.uint8)
        horizon = int(rng.uniform(0.1, 0.5) * h)
        image[:horizon], image[horizon:] = tint(90, 230), tint(60, 140)
        for _ in range(int(rng.integers(1, 6))):
            a, b = rng.integers(0, w, 2), rng.integers(0, h, 2)
            cv2.rectangle(image, (int(a[0]), int(b[0])), (int(a[1]), int(b[1])), tint(40, 220), -1)
        wide = float(np.exp(rng.uniform(np.log(60), np.log(500))))
        cx, cy, tall = rng.uniform(0.2, 0.8) * w, rng.uniform(0.4, 0.85) * h, wide * rng.uniform(0.55, 0.85)
        box = lambda l, t, r, b, c: cv2.rectangle(image, (int(cx + l * wide), int(cy + t * tall)), (int(cx + r * wide), int(cy + b * tall)), c, -1)
        colour = np.clip(rng.uniform(10, 245, 3) * light, 0, 255)
        body, dark = tuple(map(float, colour)), tint(10, 60)
        box(-0.5, -0.6, 0.5, 0.25, body), box(-0.38, -0.95, 0.38, -0.35, tint(20, 110))
        box(-0.5, -0.02, 0.5, 0.22, tuple(float(v * 0.8) for v in colour)), box(-0.3, -0.3, 0.3, -0.12, dark)
        box(-0.48, 0.22, -0.34, 0.36, dark), box(0.34, 0.22, 0.48, 0.36, dark)
        lamp = (255.0, 250.0, 225.0) if night else tint(170, 255)
        for side in (-1, 1):
            at = (int(cx + side * 0.4 * wide), int(cy - 0.2 * tall))
            cv2.ellipse(image, at, (max(1, int(0.08 * wide)), max(1, int(0.06 * wide))), 0, 0, 360, lamp, -1, cv2.LINE_AA)
        pw = wide * rng.uniform(0.2, 0.32)
        ph, py = pw * rng.uniform(0.29, 0.34), cy + rng.uniform(0.0, 0.1) * tall
        lean, roll = rng.normal(0, 0.05), rng.normal(0, 0.03)
        quad = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * np.array([pw, ph])
        quad = quad + np.stack([quad[:, 1] * lean, quad[:, 0] * roll], 1) + np.array([cx, py])
        quads = [quad.astype(np.float32)]
        if inside(quads[0], CANVAS) and pw >= NARROWEST:
            quads = [self._paste(image, quads[0], like_place=False)] if rng.random() < 0.9 else []
        else:
            quads = []
        if night:
            self._bloom(image, [(cx - 0.4 * wide, cy - 0.2 * tall), (cx + 0.4 * wide, cy - 0.2 * tall)], wide * rng.uniform(0.08, 0.25))
        return image, quads

    def _bloom(self, image, lamps, radius):
        glow = np.zeros(image.shape[:2], np.float32)
        for x, y in lamps:
            cv2.circle(glow, (int(x), int(y)), max(2, int(radius)), 160.0, -1)
        glow = cv2.GaussianBlur(cv2.resize(glow, None, fx=0.25, fy=0.25), (0, 0), max(1.0, radius / 8))
        glow = cv2.resize(glow, (image.shape[1], image.shape[0]))
        image[:] = np.minimum(255, image.astype(np.float32) + glow[:, :, None])

    def _weather(self, image):
        """Light, blur, noise and compression, cheap ones only: this is most of a sample's cost."""
        rng = self.rng
        if rng.random() < 0.75:
            gain, gamma = np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.07, 3)), np.exp(rng.normal(0, 0.25))
            if rng.random() < 0.12:
                gain, gamma = gain * rng.uniform(0.25, 0.6), gamma * rng.uniform(1.0, 1.6)
            ramp = (np.arange(256, dtype=np.float32) / 255) ** gamma
            table = np.clip(ramp[:, None] * 255 * gain + rng.normal(0, 8), 0, 255).astype(np.uint8)
            image = cv2.LUT(image, table[None])
        if rng.random() < 0.1:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if rng.random() < 0.2:
            image = augment.blur(image, rng)
        if rng.random() < 0.25:
            noise = self.noise[int(rng.integers(len(self.noise)))]
            image = np.clip(image + (noise * float(rng.uniform(0.1, 1.1))).astype(np.int16), 0, 255).astype(np.uint8)
        if rng.random() < 0.15:
            ok, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
            image = cv2.imdecode(code, cv2.IMREAD_COLOR) if ok else image
        return image
