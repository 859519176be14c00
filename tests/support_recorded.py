"""Recordings without a GPU: a replay computes again, with the addresses of a CUDA graph."""

import torch


class Recorders:
    """A `dialogpt.train.recorded.Recorder` for passes on some parameters, which counts."""

    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.num_recordings = 0
        self.num_replays = 0
        self.fail = None

    def __call__(self, function, beside):
        if self.fail is not None:
            self.fail(function, beside)
        self.num_recordings += 1
        former = [p.grad for p in self.parameters]
        kept = [None if grad is None else grad.clone() for grad in former]
        sums = function()
        tape = Tape(self, function, sums, adds=former[0] is not None)
        for grad, value in zip(tape.gradients, kept, strict=True):
            # Recording computes nothing: what it leaves must not be read before a replay.
            grad.fill_(float("nan")) if value is None else grad.copy_(value)
        for value in sums.values():
            value.fill_(float("nan"))
        return tape, sums


class Tape:
    def __init__(self, recorders, function, sums, *, adds):
        self.recorders = recorders
        self.function = function
        self.parameters = recorders.parameters
        self.sums = sums
        self.adds = adds
        self.gradients = [p.grad for p in self.parameters]

    def replay(self):
        self.recorders.num_replays += 1
        found = [p.grad for p in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient if self.adds else None
        sums = self.function()
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
                gradient.copy_(parameter.grad)
            for name, value in self.sums.items():
                value.copy_(sums[name])
        for parameter, gradient in zip(self.parameters, found, strict=True):
            parameter.grad = gradient
