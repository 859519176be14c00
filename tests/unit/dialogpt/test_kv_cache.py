"""Attention with a cache: by torch against one row at a time, by the kernel against torch."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dialogpt.models.kv_cache import Grouping, KvCache, attend_by_kernel, attend_by_torch
from dialogpt.models.logsumexp import row_logsumexp
from dialogpt.models.norm import add_and_norm

HEADS, TOKENS, LONGEST = 2, 150, 20
COUNTS = [3, 0, 17, 1]  # rows of each context: none, more than a program takes
LENGTHS = [5, 9, 150, 70]
needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@dataclass
class Case:
    """A cache after `step` tokens of replies, and new tokens."""

    cache: KvCache
    qkv: Tensor
    slots: Tensor
    step: int

    def on(self, device: str, dtype: torch.dtype) -> "Case":
        cache = KvCache(
            contexts=self.cache.contexts.to(device, dtype),
            lengths=self.cache.lengths.to(device),
            replies=self.cache.replies.to(device, dtype),
        )
        return Case(cache, self.qkv.to(device, dtype), self.slots.to(device), self.step)


def a_case(step: int, *, width: int = 16, dtype: torch.dtype = torch.float32) -> Case:
    """Rows that have gone on from one another, as in beam search, within their context."""
    generator = torch.Generator().manual_seed(step)
    rows = sum(COUNTS)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    slots = torch.stack([torch.randperm(rows + 4, generator=generator) for _ in range(LONGEST)], 1)
    return Case(
        KvCache(
            contexts=numbers(2, len(COUNTS), TOKENS, 2, HEADS, width),
            lengths=torch.tensor(LENGTHS, dtype=torch.int32),
            replies=numbers(2, rows + 4, LONGEST, 2, HEADS, width),
        ),
        numbers(rows, 3, HEADS, width),
        slots[:rows].to(torch.int32),
        step,
    )


def row_by_row(case: Case, layer: int) -> Tensor:
    """torch's own attention, one row after the other."""
    context_of = [context for context, count in enumerate(COUNTS) for _ in range(count)]
    out = []
    for row, context in enumerate(context_of):
        query, key, value = case.qkv[row].unbind(0)
        earlier = case.cache.contexts[layer, context, : LENGTHS[context]]
        said = [case.cache.replies[layer, case.slots[row, t], t] for t in range(case.step)]
        pairs = torch.cat(
            [earlier, *(pair[None] for pair in said), torch.stack([key, value])[None]]
        )
        keys, values = pairs.permute(1, 2, 0, 3)  # each (H, tokens, D)
        out.append(F.scaled_dot_product_attention(query[:, None], keys, values)[:, 0])
    return torch.stack(out)


def by_torch(case: Case, layer: int) -> Tensor:
    grouping = Grouping.of(torch.tensor(COUNTS)).to(case.qkv.device)
    return attend_by_torch(
        case.qkv, case.cache, layer, slots=case.slots, step=case.step, grouping=grouping
    )


@pytest.mark.parametrize("step", [0, 1, 7, 19])
def test_attention_with_a_cache_is_attention_row_by_row(step: int) -> None:
    case = a_case(step, dtype=torch.float64)
    expected = row_by_row(case, layer=1)
    assert (by_torch(case, layer=1) - expected).abs().max() < 1e-6  # its softmax is float32
    for row in range(len(case.qkv)):
        kept = case.cache.replies[1, case.slots[row, step], step]
        assert torch.equal(kept, case.qkv[row, 1:])


@pytest.mark.parametrize("mark", [pytest.param(None, marks=needs_gpu)])
@pytest.mark.parametrize("width", [16, 64, 128])
@pytest.mark.parametrize("step", [0, 1, 8, 19])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_kernel_reads_what_torch_reads(
    mark: None, width: int, step: int, dtype: torch.dtype
) -> None:
    # Rounded first, so that both start from the same numbers.
    case = a_case(step, width=width).on("cpu", dtype).on("cpu", torch.float64)
    expected = by_torch(case, layer=1)
    there = a_case(step, width=width).on("cuda", dtype)
    starts = torch.tensor([0, *torch.tensor(COUNTS).cumsum(0)], dtype=torch.int32, device="cuda")
    out = attend_by_kernel(
        *(there.qkv, there.cache, 1),
        slots=there.slots,
        step=torch.tensor(step, dtype=torch.int32, device="cuda"),
        starts=starts,
        most_rows=max(COUNTS),
    )
    precision = 2e-2 if dtype == torch.bfloat16 else 3e-3
    assert (out.double().cpu() - expected).abs().max() < precision
    assert torch.equal(there.cache.replies.cpu(), case.cache.replies.to(dtype))
    assert torch.equal(there.cache.contexts.cpu(), case.cache.contexts.to(dtype))


@pytest.mark.parametrize("mark", [pytest.param(None, marks=needs_gpu)])
@pytest.mark.parametrize("width", [64, 768, 1600])
@pytest.mark.parametrize("has_update", [True, False])
def test_the_norm_of_the_kernel_is_that_of_torch(mark: None, width: int, has_update: bool) -> None:
    generator = torch.Generator().manual_seed(width)
    stream, update = torch.randn(2, 9, width, generator=generator).bfloat16()
    bias, scale, shift = torch.randn(3, width, generator=generator).bfloat16()
    norm = nn.LayerNorm(width, dtype=torch.bfloat16).requires_grad_(False)
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    added = (update, bias) if has_update else (None, None)
    wide = [None if value is None else value.double() for value in added]
    expected = add_and_norm(stream.double(), *wide, norm.double(), by_kernel=False)
    there = [None if value is None else value.cuda() for value in added]
    found = add_and_norm(stream.cuda(), *there, norm.bfloat16().cuda(), by_kernel=True)
    for value, reference in zip(found, expected, strict=True):
        assert (value.double().cpu() - reference).abs().max() < 0.05


@pytest.mark.parametrize("mark", [pytest.param(None, marks=needs_gpu)])
@pytest.mark.parametrize("width", [5, 2048, 50257])
def test_the_kernel_adds_up_exponentials(mark: None, width: int) -> None:
    generator = torch.Generator().manual_seed(width)
    logits = 20 * torch.randn(7, width + 3, generator=generator)
    logits[2, 1] = float("-inf")
    found = row_logsumexp(logits.cuda()[:, :width])
    assert (found.cpu() - logits[:, :width].double().logsumexp(dim=-1)).abs().max() < 1e-4


def test_torch_adds_up_exponentials() -> None:
    logits = 20 * torch.randn(7, 50257, generator=torch.Generator().manual_seed(0))
    expected = logits.double().logsumexp(dim=-1)
    assert (row_logsumexp(logits) - expected).abs().max() < 1e-4
