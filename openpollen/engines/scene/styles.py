"""Ways to render a finished picture: eleven styles, each a function from image and generator to image.

Sizes of strokes, cells and dots follow the height, so a style looks the same at any resolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from .noise import Rng, child, fbm, texture
from .paint import add, blur, f32, grid, resize, smoothstep, to_bytes
from .types import Array

StylePainter = Callable[[Array, Rng], Array]


def luma(image: Array) -> Array:
    """Brightness, h x w."""
    return f32(0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2])


def saturated(image: Array, amount: float) -> Array:
    """The colours pushed away from grey (`amount` > 1) or towards it."""
    grey = luma(image)
    out = np.empty_like(image)
    for c in range(3):
        out[..., c] = grey + (image[..., c] - grey) * np.float32(amount)
    return out


def gradient(field: Array) -> tuple[Array, Array]:
    """The change of a field to the right and down, per pixel."""
    down, right = np.gradient(field)
    return f32(right), f32(down)


def edges(image: Array, radius: float) -> Array:
    """How strongly colours change at each place, seen at a scale of `radius` pixels."""
    total = np.zeros(image.shape[:2], np.float32)
    soft = blur(image, radius)
    for c in range(3):
        right, down = gradient(f32(soft[..., c]))
        total = np.maximum(total, np.hypot(right, down))
    return f32(total * max(1.0, radius))


def _summed(field: Array) -> Array:
    return np.pad(np.cumsum(np.cumsum(field, 0, dtype=np.float64), 1), ((1, 0), (1, 0)))


def kuwahara(image: Array, radius: int) -> Array:
    """Flat dabs of colour with sharp edges: each pixel takes the mean of its calmest neighbouring square."""
    h, w = image.shape[:2]
    r = max(1, radius)
    size = r + 1
    padded = np.pad(image, ((r, r), (r, r), (0, 0)), mode="edge")
    grey = luma(padded)

    def mean(field: Array) -> Array:
        s = _summed(field)
        return f32((s[size:, size:] - s[:-size, size:] - s[size:, :-size] + s[:-size, :-size]) / size**2)

    level = mean(grey)
    spread = mean(grey * grey) - level * level
    means = [mean(f32(padded[..., c])) for c in range(3)]
    best = np.full((h, w), np.inf, np.float32)
    out = np.empty((h, w, 3), np.float32)
    for dy, dx in ((0, 0), (0, r), (r, 0), (r, r)):
        part = spread[dy : dy + h, dx : dx + w]
        calmer = part < best
        best = np.where(calmer, part, best)
        for c in range(3):
            np.copyto(out[..., c], means[c][dy : dy + h, dx : dx + w], where=calmer)
    return out


def _lookup(field: Array, x: Array, y: Array) -> Array:
    h, w = field.shape[:2]
    xi = np.clip(x, 0, w - 1).astype(np.int32)
    yi = np.clip(y, 0, h - 1).astype(np.int32)
    picked = f32(field.reshape(h * w, -1).take(yi * w + xi, axis=0))
    return picked.reshape(h, w, -1)


def displaced(image: Array, rng: Rng, reach: float, cells: float) -> Array:
    """The picture with its outlines wandering by up to `reach` pixels."""
    h, w = image.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    dx, dy = fbm(rng, h, w, cells, 3), fbm(rng, h, w, cells, 3)
    return f32(_lookup(image, x + dx * reach, y + dy * reach))


def _strokes(image: Array, rng: Rng, steps: int, length: float) -> Array:
    """Streaks of brush bristles that follow the shapes in the picture, about -1..1."""
    h, w = image.shape[:2]
    ch, cw = max(2, min(h, 560)), max(2, round(w * min(h, 560) / h))
    grey = blur(luma(resize(image, ch, cw)), ch / 90)
    right, down = gradient(grey)
    right, down = blur(right, ch / 60), blur(down, ch / 60)
    size = np.hypot(right, down) + 1e-6
    fx, fy = -down / size, right / size
    wander = fbm(rng, ch, cw, 3, 2) * 1.4
    weak = np.exp(-size * 260)
    fx, fy = fx * (1 - weak) + np.cos(wander) * weak, fy * (1 - weak) + np.sin(wander) * weak
    noise = rng.standard_normal((ch, cw), dtype=np.float32)
    y, x = np.mgrid[0:ch, 0:cw].astype(np.float32)
    total = np.zeros((ch, cw), np.float32)
    for step in range(-steps, steps + 1):
        t = step * length * ch / steps
        total += _lookup(noise, x + fx * t, y + fy * t)[..., 0]
    return resize(f32(total / (2 * steps + 1) ** 0.5), h, w)


def oil(image: Array, rng: Rng) -> Array:
    """Oil on canvas: flat dabs, bristle marks that follow the forms, light on their ridges, a weave beneath."""
    h, w = image.shape[:2]
    dabs = kuwahara(displaced(image, rng, 0.004 * h, 26), max(1, round(h / 170)))
    dabs = kuwahara(dabs, max(1, round(h / 260)))
    marks = _strokes(image, rng, 6, 0.014)
    right, down = gradient(blur(marks, h / 900))
    relief = np.clip((right + down) * 0.55 * h / 768, -1, 1)
    v, u = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)[None, :]
    weave = np.sin(u * 2.2) * np.sin(v * 2.2) * 0.5
    out = saturated(dabs, 1.24)
    for c in range(3):
        out[..., c] = out[..., c] * (1 + 0.042 * marks) + 0.075 * relief + 0.01 * weave
    return f32((out - 0.5) * 1.06 + 0.51)


def watercolor(image: Array, rng: Rng) -> Array:
    """Washes on rough paper: wandering edges where pigment gathers, blooms, granulation, a ragged white border."""
    h, w = image.shape[:2]
    wash = kuwahara(displaced(image, rng, 0.007 * h, 16), max(1, round(h / 200)))
    rim = np.clip(edges(wash, h / 520) * 2.4, 0, 1)
    bloom = fbm(rng, h, w, 5, 5, 0.55)
    back = np.abs(fbm(rng, h, w, 3.2, 5, 0.5))
    tide = np.exp(-((back / 0.045) ** 2))
    grain = fbm(rng, h, w, 120, 2, 0.7)
    paper = 0.965 + 0.018 * grain
    thin = 0.26 + 0.13 * bloom + 0.05 * grain - 0.1 * tide
    border = _ragged(rng, h, w)
    out = np.empty_like(wash)
    vivid = saturated(wash, 1.3)
    for c in range(3):
        pigment = 1 - np.clip(vivid[..., c], 0, 1)
        density = pigment * (1 - thin) * (1 + 0.5 * rim) + 0.12 * rim * pigment
        out[..., c] = paper * (1.0, 0.992, 0.968)[c] - np.clip(density, 0, 1) * border * 0.97
    return f32(out)


def _ragged(rng: Rng, h: int, w: int) -> Array:
    """1 inside an irregular painted area, 0 on the bare paper around it."""
    u, v = grid(h, w)
    edge = np.minimum(np.minimum(u, w / h - u), np.minimum(v, 1 - v))
    wobble = 0.011 * fbm(rng, h, w, 5, 5, 0.6)
    return smoothstep(0.018, 0.027, edge + wobble)


def pixel(image: Array, rng: Rng) -> Array:
    """Pixel art: a coarse grid, a small palette, ordered dithering."""
    h, w = image.shape[:2]
    cells = int(np.clip(min(h, w) / 4, 24, 116))
    rows = max(2, round(cells * h / min(h, w)))
    cols = max(2, round(cells * w / min(h, w)))
    small = saturated(resize(image, rows, cols, smooth=False), 1.25)
    small = f32((small - 0.5) * 1.12 + 0.5)
    bayer = f32([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - np.float32(0.47)
    dither = np.tile(bayer, (rows // 4 + 1, cols // 4 + 1))[:rows, :cols, None] * np.float32(0.055)
    picture = Image.fromarray(to_bytes(f32(small + dither)))
    palette = Image.fromarray(to_bytes(small)).quantize(28, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    flat = picture.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    return f32(np.asarray(flat.resize((w, h), Image.Resampling.NEAREST), dtype=np.float32) / 255)


def sketch(image: Array, rng: Rng) -> Array:
    """Pencil on clean paper: outlines, and hatching that thickens with the dark."""
    h, w = image.shape[:2]
    smooth = kuwahara(image, max(1, round(h / 300)))
    grey = luma(smooth)
    low, high = np.percentile(grey, (2, 97))
    grey = np.clip((grey - low) / max(0.1, float(high - low)), 0, 1)
    outline = smoothstep(0.018, 0.1, edges(smooth, h / 620))
    fine = smoothstep(0.0, 0.085, blur(grey, h / 260) - blur(grey, h / 900) - 0.006)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(h)
    wobble = 0.0022 * fbm(rng, h, w, 9, 3)
    pressure = 0.75 + 0.25 * fbm(rng, h, w, 60, 2, 0.6)
    ink = np.zeros((h, w), np.float32)
    for angle, start, step in ((0.8, 0.72, 0.0088), (-0.7, 0.5, 0.0096), (0.12, 0.3, 0.008), (1.5, 0.16, 0.0085)):
        phase = (x * np.cos(angle) + y * np.sin(angle) + wobble) / step
        stripe = 0.5 + 0.5 * np.cos(phase * 2 * np.pi)
        weight = smoothstep(start, start - 0.34, grey)
        ink = np.maximum(ink, smoothstep(1 - 0.62 * weight, 1.1 - 0.5 * weight, stripe) * weight * 0.62)
    tone = np.clip(0.2 * (1 - grey) ** 1.6, 0, 0.3)
    dark = np.clip(1 - (1 - ink * pressure) * (1 - 0.88 * outline * pressure) * (1 - 0.5 * fine) * (1 - tone), 0, 1)
    out = np.empty_like(image)
    for c in range(3):
        out[..., c] = (0.985, 0.98, 0.965)[c] * (1 - dark) + (0.16, 0.16, 0.19)[c] * dark
    return out


def neon(image: Array, rng: Rng) -> Array:
    """Night and glowing tubes: outlines shine in hot colours, surfaces sink into violet dark."""
    h, w = image.shape[:2]
    smooth = kuwahara(image, max(1, round(h / 260)))
    change = edges(smooth, h / 560)
    top = max(0.05, float(np.percentile(change, 94)))  # only the strongest outlines, however busy the picture
    line = smoothstep(0.5 * top, 1.4 * top, change)
    grey = luma(smooth)
    u, v = grid(h, w)
    swing = 0.5 + 0.5 * np.sin(2.4 * u + 3.2 * v + 3.0 * grey)
    hot, cold = (1.0, 0.16, 0.72), (0.1, 0.92, 1.0)
    vivid = np.clip(saturated(smooth, 2.4), 0, 1)
    shadow = grey**1.4
    base, glow = np.empty_like(image), np.empty_like(image)
    for c in range(3):
        color = hot[c] + (cold[c] - hot[c]) * swing
        base[..., c] = (0.05, 0.015, 0.11)[c] + shadow * (0.26, 0.11, 0.4)[c] + 0.24 * vivid[..., c] * shadow
        glow[..., c] = line * (0.62 * color + 0.38 * vivid[..., c])
    bright = np.maximum(luma(image) - 0.8, 0) * 1.6
    add(glow, (1.0, 0.5, 0.9), f32(bright))
    out = base + glow + blur(glow, h / 160) * 0.95 + blur(glow, h / 38) * 0.75
    scan = 1 - 0.05 * (np.arange(h, dtype=np.int64) * 720 // max(h, 1) % 3 == 0)
    return f32(out * scan[:, None, None])


def vintage(image: Array, rng: Rng) -> Array:
    """A faded old print: sepia, lifted blacks, a burnt edge, dust and scratches."""
    h, w = image.shape[:2]
    soft = blur(image, h / 800)
    grey = luma(soft)
    u, v = grid(h, w)
    burn = np.clip(((u * h / w - 0.5) ** 2 + (v - 0.5) ** 2) / 0.5, 0, 1)
    stain = fbm(rng, h, w, 2.2, 5, 0.55)
    grain = rng.standard_normal((h, w), dtype=np.float32) * np.float32(0.028)
    dust = smoothstep(2.35, 2.7, fbm(rng, h, w, 170, 1)) * 0.5
    out = np.empty_like(image)
    for c in range(3):
        sepia = (0.17, 0.115, 0.075)[c] + grey * (0.92, 0.83, 0.66)[c]
        plane = sepia * 0.78 + soft[..., c] * 0.22
        plane = plane * (1 - 0.34 * burn**1.3) + 0.022 * stain + grain
        out[..., c] = plane + (0.95 - plane) * dust
    for _ in range(5):
        x, wide = rng.random() * w, max(0.6, h / 1400)
        line = np.exp(-(((np.arange(w, dtype=np.float32) - x) / wide) ** 2)) * 0.2
        reach = smoothstep(rng.random() * 0.6, 0.8, v)
        out += f32(reach * line[None, :])[..., None]
    return out


def noir(image: Array, rng: Rng) -> Array:
    """Black and white film: hard light, deep shadow, silver grain."""
    h, w = image.shape[:2]
    grey = f32(0.42 * image[..., 0] + 0.44 * image[..., 1] + 0.14 * image[..., 2])
    low, high = np.percentile(grey, (1, 99))
    grey = np.clip((grey - low) / max(0.08, float(high - low)), 0, 1)
    local = grey + 0.55 * (grey - blur(grey, h / 26))
    hard = smoothstep(0.08, 0.94, local)
    halo = blur(np.maximum(hard - 0.78, 0), h / 40) * 0.8
    u, v = grid(h, w)
    corner = 1 - 0.62 * np.clip(((u * h / w - 0.5) ** 2 + (v - 0.52) ** 2) / 0.5, 0, 1) ** 0.95
    grain = blur(rng.standard_normal((h, w), dtype=np.float32), h / 1400) * np.float32(0.045)
    tone = (hard * 0.97 + halo) * corner + grain
    return f32(np.repeat(tone[..., None], 3, axis=2))


def comic(image: Array, rng: Rng) -> Array:
    """Printed comic: flat inks, black outlines, a halftone screen in the shadows."""
    h, w = image.shape[:2]
    flat = kuwahara(kuwahara(image, max(1, round(h / 190))), max(1, round(h / 300)))
    vivid = np.clip(saturated(flat, 1.5), 0, 1)
    levels = 5
    inks = np.floor(vivid * levels + 0.5) / levels
    grey = luma(flat)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(h)
    pitch = 0.0115
    a, b = (x + y) * 0.7071 / pitch, (x - y) * 0.7071 / pitch
    cell = np.hypot(a - np.floor(a) - 0.5, b - np.floor(b) - 0.5)
    dot = smoothstep(0.05, -0.05, cell - 0.62 * np.sqrt(np.clip(0.56 - grey, 0, 1)))
    line = smoothstep(0.035, 0.075, edges(flat, h / 420))
    out = np.empty_like(image)
    for c in range(3):
        plane = inks[..., c] * 0.94 + 0.06
        plane = plane * (1 - 0.3 * dot * (1.0, 1.05, 0.8)[c])
        out[..., c] = plane * (1 - 0.95 * line) + 0.03 * line
    return out


def pastel(image: Array, rng: Rng) -> Array:
    """Soft chalk: pale colours rubbed over toothed paper."""
    h, w = image.shape[:2]
    soft = kuwahara(displaced(image, rng, 0.003 * h, 40), max(1, round(h / 260)))
    marks = _strokes(image, rng, 5, 0.02)
    tooth = fbm(rng, h, w, 150, 2, 0.7)
    cover = smoothstep(-1.5, 0.5, tooth + 0.5 * marks)
    mild = saturated(soft, 1.05)
    tint = blur(saturated(soft, 1.6), h / 30)
    out = np.empty_like(image)
    for c in range(3):
        chalk = 0.3 + 0.7 * np.clip(0.78 * mild[..., c] + 0.22 * tint[..., c], 0, 1)
        paper = (0.975, 0.955, 0.93)[c]
        out[..., c] = paper + (chalk - paper) * (0.72 + 0.28 * cover) + 0.018 * marks
    return out


def clay(image: Array, rng: Rng) -> Array:
    """Modelling clay: rounded flat shapes lit from the upper left, with the marks of fingers."""
    h, w = image.shape[:2]
    flat = kuwahara(kuwahara(image, max(1, round(h / 120))), max(1, round(h / 150)))
    flat = np.clip(saturated(flat, 1.28), 0, 1)
    body = luma(flat)
    height = blur(body, h / 130) * 0.6 + blur(body, h / 48) * 0.9
    prints = fbm(rng, h, w, 24, 3, 0.55)
    whorl = np.sin(fbm(rng, h, w, 9, 2) * 26) * smoothstep(0.35, 1.0, fbm(rng, h, w, 4, 2))
    height = height + 0.007 * prints + 0.0028 * whorl
    right, down = gradient(f32(height))
    slope = np.clip((right + down) * h * 0.052, -0.65, 0.65)
    shine = np.clip((right + down) * h * 0.05 - 0.14, 0, 1) ** 1.3
    seam = np.clip(edges(flat, h / 300) * 2.2, 0, 0.5)
    out = np.empty_like(image)
    for c in range(3):
        out[..., c] = flat[..., c] * (0.9 + 0.6 * slope) * (1 - 0.5 * seam) + 0.4 * shine + 0.03
    return out


def stained_glass(image: Array, rng: Rng) -> Array:
    """Leaded glass: cells of one glowing colour each, parted by dark lead."""
    h, w = image.shape[:2]
    rows = 42
    cols = max(3, round(rows * w / h))
    own = child(rng)
    jx, jy = f32(own.random((rows + 2, cols + 2))) * 0.86 + 0.07, f32(own.random((rows + 2, cols + 2))) * 0.86 + 0.07
    y, x = (
        (np.arange(h, dtype=np.float32)[:, None] + 0.5) * rows / h,
        (np.arange(w, dtype=np.float32)[None, :] + 0.5) * cols / w,
    )
    iy, ix = (
        np.broadcast_to(np.floor(y).astype(np.int32), (h, w)),
        np.broadcast_to(np.floor(x).astype(np.int32), (h, w)),
    )
    first = np.full((h, w), 9.0, np.float32)
    second = np.full((h, w), 9.0, np.float32)
    owner = np.zeros((h, w), np.int32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            cy, cx = iy + dy, ix + dx
            key = (cy + 1) * (cols + 2) + cx + 1
            distance = np.hypot(cy + jy.ravel().take(key) - y, cx + jx.ravel().take(key) - x)
            nearer = distance < first
            second = np.where(nearer, first, np.minimum(second, distance))
            first = np.where(nearer, distance, first)
            owner = np.where(nearer, key, owner)
    flat = owner.ravel()
    count = np.maximum(np.bincount(flat, minlength=jx.size), 1)
    vivid = np.clip(saturated(image, 1.7), 0, 1)
    gap = second - first
    lead = smoothstep(0.1, 0.055, gap)
    ripple = texture(own, 256, 1.7, 4)
    glass = 1 + 0.12 * np.tile(ripple, (h // 256 + 1, w // 256 + 1))[:h, :w] + 0.16 * smoothstep(0.5, 0.1, first)
    pick = 0.92 + 0.16 * f32(own.random(jx.size))
    out = np.empty_like(image)
    shine = np.clip(1 - np.abs(gap - 0.13) / 0.03, 0, 1) * 0.12
    for c in range(3):
        mean = np.bincount(flat, weights=vivid[..., c].ravel(), minlength=jx.size) / count
        plane = (0.06 + 1.05 * f32(mean) * pick).take(owner) * glass + shine
        out[..., c] = plane * (1 - lead) + (0.07, 0.065, 0.07)[c] * lead
    glow = blur(np.maximum(out - 0.6, 0), h / 50)
    return f32(out + 0.5 * glow)
