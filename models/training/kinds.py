"""The alphabet the reader answers in, and the plates of GA 36 as a grammar that texts are drawn from.

Every draw is uniform over the 31 provinces: the photographs are half 皖, and a network that learns that prior
reads strangers' plates as 皖.
"""
ALPHABET = "_0123456789ABCDEFGHJKLMNPQRSTUVWXYZ京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼警学挂港澳使领应急"
INDEX = {c: i for i, c in enumerate(ALPHABET)}
SLOTS = 8
COLOURS = ("blue", "green", "yellow_green", "yellow", "white", "black")
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
MILITARY = "VZHEKBSLNGCQ"  # first letters of the military plates in use
# what is taken for one another when the picture is small or blurred
ALIKE = ("0QDCGU", "8B3", "5S", "2Z7", "17TYJL", "6G", "4A", "EFP", "KXRH", "MNWH", "VYUT")

# kind: (colour, rows, how often it is drawn when no kind is asked for)
KINDS = {
    "blue": ("blue", 1, 26),
    "green_small": ("green", 1, 18),
    "green_large": ("yellow_green", 1, 7),
    "yellow": ("yellow", 1, 12),
    "yellow_double": ("yellow", 2, 10),
    "trailer": ("yellow", 2, 4),
    "learner": ("yellow", 1, 3),
    "police": ("white", 1, 5),
    "emergency": ("white", 1, 3),
    "embassy": ("black", 1, 3),
    "consulate": ("black", 1, 2),
    "cross_border": ("black", 1, 4),
    "armed_police": ("white", 1, 2),
    "armed_police_double": ("white", 2, 1),
    "military": ("white", 1, 3),
    "military_double": ("white", 2, 2),
}


def _pick(rng, letters):
    return letters[int(rng.integers(len(letters)))]


def _tail(rng, n, letter_share=0.35):
    """n characters, mostly digits; letters come up far more often than on the street so that all are learnt."""
    if rng.random() < 0.06:  # the numbers people pay for: 66666, 8888
        return _tail(rng, 1) * (n - 1) + _tail(rng, 1) if rng.random() < 0.3 else _digits(rng, 1) * n
    if rng.random() < 0.3:  # look-alikes side by side
        some = ALIKE[int(rng.integers(len(ALIKE)))] + ALIKE[int(rng.integers(len(ALIKE)))]
        return "".join(_pick(rng, some) for _ in range(n))
    if rng.random() < 0.02:  # letters alone, as on show plates
        letter_share = 1.0
    return "".join(_pick(rng, LETTERS if rng.random() < letter_share else DIGITS) for _ in range(n))


def _digits(rng, n):
    return "".join(_pick(rng, DIGITS) for _ in range(n))


def draw_kind(rng):
    """A kind's name, by the weights above."""
    names = list(KINDS)
    weights = [KINDS[k][2] for k in names]
    return names[int(rng.choice(len(names), p=[w / sum(weights) for w in weights]))]


def draw_text(kind, rng):
    """A plate text of this kind."""
    # O stands on old plates of the authorities, as the letter of the city only
    head = _pick(rng, PROVINCES) + ("O" if rng.random() < 0.005 else _pick(rng, LETTERS))
    if kind in ("blue", "yellow", "yellow_double"):
        return head + _tail(rng, 5)
    if kind == "green_small":
        first = _pick(rng, "DF") if rng.random() < 0.6 else _pick(rng, "ABCEGHJK")
        second = _pick(rng, LETTERS) if rng.random() < 0.35 else _pick(rng, DIGITS)
        return head + first + second + _digits(rng, 4)
    if kind == "green_large":
        return head + _digits(rng, 5) + (_pick(rng, "DF") if rng.random() < 0.8 else _pick(rng, "ABCEGHJK"))
    if kind == "trailer":
        return head + _tail(rng, 4) + "挂"
    if kind == "learner":
        return head + _tail(rng, 4) + "学"
    if kind == "police":
        return head + _tail(rng, 4) + "警"
    if kind == "emergency":  # 应急 stands stacked in the last place and is read as two characters
        return head + _tail(rng, 4) + "应急"
    if kind == "embassy":
        return _digits(rng, 6) + "使"
    if kind == "consulate":
        return head + _tail(rng, 4, 0.1) + "领"
    if kind == "cross_border":
        return "粤Z" + _tail(rng, 4) + _pick(rng, "港澳")
    if kind.startswith("armed_police"):
        last = _pick(rng, LETTERS) if rng.random() < 0.4 else _pick(rng, DIGITS)
        return "WJ" + _pick(rng, PROVINCES) + _digits(rng, 4) + last
    if kind.startswith("military"):
        return _pick(rng, MILITARY) + _pick(rng, LETTERS) + _digits(rng, 5)
    raise ValueError(f"no such kind of plate: {kind}")


def encode(text):
    """Eight alphabet indices, filled from the left; None where the text cannot be written so.

    The letter O is stamped with the die of the digit 0 and has its index: after a province only a letter can stand.
    """
    if text and text[0] in PROVINCES and text[1:2] == "O":
        text = text[0] + "0" + text[2:]
    if not 1 <= len(text) <= SLOTS or any(c not in INDEX or c == "_" for c in text):
        return None
    return [INDEX[c] for c in text] + [0] * (SLOTS - len(text))


def decode(indices):
    """The text of eight alphabet indices; empty slots are left out."""
    text = "".join(ALPHABET[i] for i in indices if i)
    return text[0] + "O" + text[2:] if text and text[0] in PROVINCES and text[1:2] == "0" else text
