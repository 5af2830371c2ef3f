"""Trains readers of several sizes on one stream of samples, on a GPU.

    python reader_gpu.py --cache runs/packed.pkl --glyphs runs/glyphs.npz --minutes 9 --out runs [--start low=RUN wide=RUN]
        [--taught-by RUN RUN]

Writes <out>/reader_<name>/best.pt for each. All see the same samples. What is not the true characters' of a student's loss, half of
it, is how far it is from what a teacher says of the picture (Hinton et al., Distilling the knowledge in a neural network, 2015):
the teacher says what a blurred 冀 could be taken for. That is a large network which learns along and is not shipped, or the mean
of the networks of --taught-by.
"""
import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import data
import kinds
import reader
import stream
from training import keep, note, rate

TEACHER = "teacher"
# name: (channels, input height and width, is its input evened?, its highest learning rate as a share of --top)
NETS = {
    TEACHER: ((40, 64, 112, 224), (48, 192), False, 0.65),
    "small": (reader.WIDTHS, (48, 192), False, 0.7),
    "wide": ((24, 32, 64, 128), (48, 192), False, 0.9),
    "even": ((24, 32, 64, 128), (48, 192), True, 0.9),
    "low": (reader.WIDTHS, (40, 144), False, 0.3),
}
TAUGHT_FROM = 0.25  # of the time; before that the teacher knows too little
DECAY = 0.999  # of the running average


def at_size(x, size):
    """These plates at a network's size."""
    if x.shape[2:] != size:
        x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)


class Board:
    """Networks that learn no more: what they say together, the mean of their log-probabilities, teaches."""

    def __init__(self, runs, n, device):
        self.name, self.device = "board", device
        self.nets = [reader.load(run).to(device, memory_format=torch.channels_last).eval() for run in runs]
        for net in self.nets:
            net.requires_grad_(False)
        self.x = torch.zeros((n, 3, *data.FINE.size[::-1]), device=device)
        self.said, self.graph = torch.zeros((n, kinds.SLOTS, len(kinds.ALPHABET)), device=device), None

    @torch.no_grad()
    def _step(self):
        with torch.autocast(self.device.type, torch.bfloat16, self.device.type == "cuda", cache_enabled=False):
            each = [net(at_size(self.x, reader.layout(net).size[::-1]))[0] for net in self.nets]
        mean = sum(torch.log_softmax(slots.float(), 2) for slots in each) / len(each)
        self.said.copy_(torch.softmax(mean, 2))

    def record(self):
        """Records it as a CUDA graph."""
        self.graph = recording(self._step, lambda: None)

    def look(self, x):
        """Reads these plates into `said`."""
        self.x.copy_(x)
        self.graph.replay() if self.graph else self._step()


def recording(step, before):
    """A CUDA graph of this step (https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture)."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            before()
            step()
    torch.cuda.current_stream().wait_stream(side)
    before()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


class Pupil:
    """One network with its optimiser and running average; a step is recorded once and replayed, since launching it costs more."""

    def __init__(self, name, n, device, top, start):
        widths, self.size, even, share = NETS[name]
        self.name, self.device, self.top, grid = name, device, top * share, (self.size[0] // 8, self.size[1] // 8)
        make = lambda: reader.Reader(widths, grid, even)
        self.net, self.mean = make(), make()
        if start:
            weights = reader.on_grid(reader.load(start).state_dict(), grid)
            self.net.load_state_dict({**weights, "even": self.net.even} if even else weights)
        self.mean.load_state_dict(self.net.state_dict())
        self.net.to(device, memory_format=torch.channels_last).train()
        self.mean.to(device, memory_format=torch.channels_last).eval()
        floats = lambda net: [t for t in (*net.parameters(), *net.buffers()) if t.dtype.is_floating_point]
        self.pairs = [t.detach() for t in floats(self.mean)], [t.detach() for t in floats(self.net)]
        self.rate = torch.tensor(1e-5, device=device)
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=self.rate, weight_decay=3e-3, fused=True, capturable=device.type == "cuda")
        # what a recorded step reads and writes
        self.x = torch.zeros((n, 3, *data.FINE.size[::-1]), device=device)
        self.text = torch.zeros((n, kinds.SLOTS), dtype=torch.int64, device=device)
        self.colour = torch.zeros(n, dtype=torch.int64, device=device)
        self.taught = torch.full((n, kinds.SLOTS, len(kinds.ALPHABET)), 1 / len(kinds.ALPHABET), device=device)
        self.trust = torch.zeros((), device=device)  # in the teacher
        self.said, self.loss = torch.zeros_like(self.taught), torch.zeros((), device=device)
        self.weights = torch.ones(kinds.SLOTS, device=device)
        self.graph, self.steps, self.losses = None, 0, []

    def see(self, x):
        """These plates at its own size."""
        return at_size(x, self.size)

    def _step(self):
        with torch.autocast(self.device.type, torch.bfloat16, self.device.type == "cuda", cache_enabled=False):
            slots, hue = self.net(self.see(self.x))
        slots, hue = slots.float(), hue.float()
        each = F.cross_entropy(slots.flatten(0, 1), self.text.flatten(), label_smoothing=0.01, reduction="none").view(-1, kinds.SLOTS)
        if self.name != TEACHER:
            said = F.kl_div(F.log_softmax(slots, 2), self.taught, reduction="none").sum(2)
            each = each + (said - each) * self.trust
        loss = (each * self.weights).mean() + 0.1 * F.cross_entropy(hue, self.colour, ignore_index=data.IGNORE)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0, foreach=True)
        self.opt.step()
        self.said.copy_(torch.softmax(slots.detach(), 2)), self.loss.copy_(loss.detach())

    def record(self):
        """Records a step."""
        self.graph = recording(self._step, lambda: self.opt.zero_grad(set_to_none=True))

    def learn(self, x, text, colour, done, teacher=None):
        """One step; teacher: whose answer about the same plates counts half, or None."""
        self.rate.fill_(rate(done, self.top))
        self.x.copy_(x), self.text.copy_(text), self.colour.copy_(colour)
        if teacher:
            self.taught.copy_(teacher.said)
        self.trust.fill_(0.5 if teacher else 0.0)
        if self.graph:
            self.graph.replay()
        else:
            self.opt.zero_grad(set_to_none=True)
            self._step()
        self.steps += 1
        torch._foreach_lerp_(*self.pairs, 1 - min(DECAY, (1 + self.steps) / (10 + self.steps)))
        if self.steps % 10 == 0:
            self.losses.append(self.loss.clone())

    @torch.no_grad()
    def check(self, dev, views):
        """reader.check over each view, on this device."""
        out = []
        for x in views:
            said = torch.cat([self.mean(self.see(x[i:i + 200].float() / 255))[0] for i in range(0, len(x), 200)]).cpu().numpy()
            out.append(reader.judge(said, dev))
        return {"whole": out[0][0], "refined": out[-1][0]}, sum(score for _, score in out) / len(out)

    def save(self, out, result):
        run = out / f"reader_{self.name}"
        run.mkdir(parents=True, exist_ok=True)
        loss = float(torch.stack(self.losses).mean()) if self.losses else 0.0
        result, self.losses = {**result, "loss": round(loss, 4)}, []
        plain = lambda t: t.cpu().contiguous() if t.dim() else t.cpu()
        keep(run, "best", {"ema": {k: plain(v) for k, v in self.mean.state_dict().items()}, "result": json.dumps(result, ensure_ascii=False)})
        note(run, result)
        brief = {k: result[k]["exact"] for k in ("whole", "refined")}
        print(self.name, brief, {k: result[k] for k in ("seen", "drawn", "per_second", "seconds", "score", "loss")}, flush=True)


def recorded(one):
    """Records the step of a pupil or of the board where that can be done."""
    if one.device.type != "cuda":
        return
    try:
        one.record()
    except RuntimeError as error:
        print(f"{one.name}: not recorded: {error}", flush=True)
        one.graph = None


def begins(text):
    """NAME=RUN"""
    name, run = text.split("=", 1)
    return name, Path(run)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/packed.pkl")
    parser.add_argument("--glyphs", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--buffer", type=int, default=1_000_000, help="samples kept on the GPU, 49 kB each")
    parser.add_argument("--top", type=float, default=4e-3)
    parser.add_argument("--transplanted", type=float, default=0.5)
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks at dev")
    parser.add_argument("--nets", nargs="+", default=[TEACHER, "small", "wide", "low"], choices=list(NETS), help="the teacher first, if at all")
    parser.add_argument("--start", nargs="+", type=begins, default=[], metavar="NAME=RUN", help="what these begin with: a run of their widths")
    parser.add_argument("--taught-by", nargs="+", type=Path, default=[], help="runs whose mean teaches from the beginning")
    parser.add_argument("--province", type=float, default=2.0, help="how much the first slot counts, the others one each")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    args = parser.parse_args()
    begin = time.time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data.cv2.setNumThreads(1), torch.manual_seed(7)
    loaded = data.load(args.cache)
    dev = [it for it in loaded["items"] if it["split"] == "dev"]
    # forked before the GPU is touched
    feed = stream.Stream(loaded, args.processes, 7, stamped=args.glyphs, transplanted=args.transplanted, pool=600)
    refined = [dict(it, quad=(it["refined"] or [it["quad"]])[0]) for it in dev]
    views = [reader.tensors(dev, 0.01, layout=data.FINE), reader.tensors(refined, layout=data.FINE)]
    views = [(x * 255).round().to(torch.uint8).to(device) for x in views]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    start = dict(args.start)
    pupils = [Pupil(name, args.batch, device, args.top, start.get(name)) for name in args.nets]
    for pupil in pupils:
        pupil.weights[0] = args.province  # the hardest
    board = Board(args.taught_by, args.batch, device) if args.taught_by else None
    buffer = stream.Buffer(args.buffer, device)
    while buffer.written < min(buffer.size, 4 * args.batch):
        buffer.fill(feed, wait=True)
    print(f"{buffer.written} samples after {time.time() - begin:.0f} s, {args.processes} processes, {device}", flush=True)
    for one in [*pupils, *([board] if board else [])]:
        recorded(one)
    print(f"ready after {time.time() - begin:.0f} s", flush=True)
    seen, last, checked = 0, 0, time.time()
    while True:
        done = (time.time() - begin) / (args.minutes * 60)
        buffer.fill(feed)
        x, text, colour = buffer.draw(args.batch)
        teacher = board or (pupils[0] if pupils[0].name == TEACHER and done > TAUGHT_FROM else None)
        if board:
            board.look(x)
        for pupil in pupils:
            pupil.learn(x, text, colour, done, teacher)
        seen += args.batch
        if device.type == "cuda" and seen // args.batch % 8 == 0:
            torch.cuda.synchronize()  # else the clock runs ahead of the work
        if time.time() - checked > args.every or done >= 1:
            took = time.time() - checked
            for pupil in pupils:
                result, score = pupil.check(dev, views)
                pupil.save(args.out, {"seen": seen, "drawn": buffer.written, "seconds": round(time.time() - begin),
                                      "per_second": round((seen - last) / took), "score": round(score, 5), **result})
            last, checked = seen, time.time()
        if done >= 1:
            return


if __name__ == "__main__":
    main()
