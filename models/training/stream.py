"""Training samples for the reader from as many processes as there are cores, and a buffer of them on the GPU.

A core draws a few hundred samples a second, a GPU trains on tens of thousands. So each sample is drawn without weather
(samples.Sampler.clean), kept, and used again, each time with other weather and other errors of the finder (batch_augment.py).
"""
import ctypes
import multiprocessing

import numpy as np
import torch

import batch_augment
import data
import kinds
import samples

CHUNK = 128  # samples handed over at once
AHEAD = 6  # chunks that a process may be ahead
WIDTH, HEIGHT = data.MARGIN.size


def shared(context, kind, shape):
    """An array that forked processes share."""
    return np.frombuffer(context.RawArray(kind, int(np.prod(shape))), dtype=kind).reshape(shape)


class Stream:
    """Processes that draw samples into shared memory."""

    def __init__(self, loaded, processes, seed, **how):
        """how: what samples.Sampler takes. The processes are forked: they share the loaded pictures."""
        context = multiprocessing.get_context("fork")
        self.images = shared(context, ctypes.c_uint8, (processes * AHEAD, CHUNK, HEIGHT, WIDTH, 3))
        self.truth = shared(context, ctypes.c_float, (processes * AHEAD, CHUNK, kinds.SLOTS + 2))  # characters, colour, spread
        self.full, self.free = context.SimpleQueue(), []
        for n in range(processes):
            self.free.append(context.Semaphore(AHEAD))
            context.Process(target=self._draw, args=(loaded, n, seed + 1000 * (n + 1), how), daemon=True).start()

    def _draw(self, loaded, n, seed, how):
        data.cv2.setNumThreads(1), torch.set_num_threads(1)
        sampler, turn = samples.Sampler(loaded, seed, **how), 0
        while True:
            self.free[n].acquire()
            chunk = n * AHEAD + turn % AHEAD
            for i in range(CHUNK):
                image, text, colour, spread = sampler.clean()
                self.images[chunk, i] = image
                self.truth[chunk, i] = [*text, colour, spread]
            self.full.put(chunk)
            turn += 1

    def take(self, most, wait=False):
        """Chunks that are ready, `most` at once: (images [128,64,256,3] uint8, truth [128,10]); copy them before asking for the next."""
        while most and (wait or not self.full.empty()):
            chunk, wait, most = self.full.get(), False, most - 1
            yield self.images[chunk], self.truth[chunk]
            self.free[chunk // AHEAD].release()


class Buffer:
    """The last `size` samples, on the GPU; older ones are written over."""

    def __init__(self, size, device):
        self.size, self.device, self.written = size // CHUNK * CHUNK, device, 0
        self.images = torch.empty((self.size, HEIGHT, WIDTH, 3), dtype=torch.uint8, device=device)
        self.truth = torch.empty((self.size, kinds.SLOTS + 2), device=device)

    def fill(self, stream, most=40, wait=False):
        """Takes what the stream has ready."""
        for images, truth in stream.take(most, wait):
            at = self.written % self.size
            self.images[at:at + CHUNK].copy_(torch.from_numpy(images))
            self.truth[at:at + CHUNK].copy_(torch.from_numpy(truth))
            self.written += CHUNK

    def draw(self, n):
        """(plates [n,3,48,192] in 0..1, characters [n,8], colours [n]), with weather."""
        at = torch.randint(min(self.written, self.size), (n,), device=self.device)
        truth = self.truth[at]
        x = self.images[at].permute(0, 3, 1, 2).float().div_(255)
        return batch_augment.degrade(x, truth[:, -1]), truth[:, :-2].long(), truth[:, -2].long()
