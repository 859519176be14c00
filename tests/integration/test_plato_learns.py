"""Two latents of a trained PLATO give both replies that a context has; without them it cannot."""

import numpy as np
import pytest
import torch

from dialogpt.config.plato import PlatoConfig
from dialogpt.plato.batch import PlatoExample, make_batch
from dialogpt.plato.latent import usage
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork
from dialogpt.plato.sequence import Context, context_columns, response_columns
from tests.support_plato import BOU, EOU, FIRST_WORD, sizes

NUM_CONTEXTS, NUM_WORDS, NUM_STEPS = 6, 30, 450


class Task:
    """Contexts of four words, each with two replies of three."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.contexts = [self.words(4) for _ in range(NUM_CONTEXTS)]
        self.replies = [[self.words(3), self.words(3)] for _ in range(NUM_CONTEXTS)]

    def words(self, number):
        return self.rng.integers(FIRST_WORD, NUM_WORDS, number)

    def example(self, context, reply, negative=None):
        columns = context_columns(
            Context(turns=[self.contexts[context]], speakers=[], replier=-1),
            PlatoConfig().sequence,
            eou_id=EOU,
        )
        return PlatoExample(
            index=context,
            prefix=columns,
            response=reply,
            negative=negative,
            num_words=1.0,
            num_chars=1.0,
        )

    def batch(self, plato):
        examples = []
        for context in range(NUM_CONTEXTS):
            for reply in self.replies[context]:
                other = (context + int(self.rng.integers(1, NUM_CONTEXTS))) % NUM_CONTEXTS
                negative = self.replies[other][int(self.rng.integers(2))]
                columns = [
                    response_columns(ids, bou_id=BOU, eou_id=EOU) for ids in (reply, negative)
                ]
                if not plato.has_latent:
                    columns[1] = None
                examples.append(self.example(context, *columns))
        return make_batch(examples, plato.layout())


def trained(task, num_latents):
    torch.manual_seed(0)
    config = PlatoConfig(num_latents=num_latents)
    shape = sizes(
        hidden_size=64, num_heads=4, inner_size=128, vocab_size=NUM_WORDS, num_latents=num_latents
    )
    plato = PlatoModel(PlatoNetwork(shape, dropout=0.0), config)
    optimizer = torch.optim.AdamW(plato.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(NUM_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 50) * (1.0 if step < 350 else 0.2)
        losses = plato(task.batch(plato))
        optimizer.zero_grad()
        (sum(losses.values()) / (2 * NUM_CONTEXTS)).backward()
        torch.nn.utils.clip_grad_norm_(plato.parameters(), 1.0)
        optimizer.step()
    return plato.eval()


@torch.no_grad()
def greedy_reply(plato, task, context, latent):
    words = []
    while len(words) < 6:
        columns = response_columns(np.array(words, np.int64), bou_id=BOU, eou_id=EOU)[:, :-1]
        made = make_batch([task.example(context, columns)], plato.layout())
        given = None if latent is None else plato.network.latents.weight[latent : latent + 1]
        states = plato.generate(made, given, torch.float32)
        word = int((states[-1] @ plato.network.tokens.weight.T).argmax())
        if word == EOU:
            break
        words.append(word)
    return tuple(words)


@pytest.mark.parametrize(("num_latents", "least", "most"), [(2, 5, 6), (0, 0, 0)])
def test_each_of_two_latents_has_its_reply_and_one_model_without_has_one(num_latents, least, most):
    task = Task()
    plato = trained(task, num_latents)
    latents = range(num_latents) if num_latents else [None]
    num_both, num_right = 0, 0
    for context in range(NUM_CONTEXTS):
        replies = {greedy_reply(plato, task, context, latent) for latent in latents}
        right = {tuple(ids.tolist()) for ids in task.replies[context]}
        num_both += right <= replies
        num_right += bool(right & replies)
    assert least <= num_both <= most
    assert num_right >= 4
    if num_latents:
        found = usage(plato.usage.take())
        assert found.perplexity > 1.5
        # The posterior itself tells which of two replies it has read.
        with torch.no_grad():
            log_posterior = plato.recognize(task.batch(plato), torch.float32).log_posterior
        chosen = log_posterior.argmax(dim=1).view(NUM_CONTEXTS, 2)
        assert int((chosen[:, 0] != chosen[:, 1]).sum()) >= least
