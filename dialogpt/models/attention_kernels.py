"""Attention within trees that lie end to end in one row, as Triton kernels for NVIDIA GPUs.

Shapes: N tokens, H heads, D width of a head, K tiles. Tokens of a tree stand in the order of a
walk that visits a comment before its answers. So the tokens that token k can be seen by are
k, k + 1, ..., ends[k] - 1, and query q attends to key k if and only if k <= q < ends[k]. A dialogue
is a tree without branches: all its ends are its end, and the rule is plain causal attention.

A program takes one tile of one head; no tile reaches beyond its tree. Softmax is computed block by
block with the running maximum of Dao et al. 2022 (arXiv:2205.14135), in float32. In a tree with
branches most earlier tiles hold other branches, which end before this tile: they are passed over.
The backward pass computes the probabilities again, those between two tiles twice, once for dK and
dV and once for dQ: dialogues are short, and to add up dQ across programs would cost more than this
does.

Tokens of a tile behind the end of its tree are read as zeros and never written, and come after all
others. So without branches only a tile with itself needs a mask.
"""

import triton
import triton.language as tl

_MASKED = tl.constexpr(-1.0e30)  # not -inf, whose difference with itself is not a number


@triton.jit
def _places(tokens, pitch, width: tl.constexpr):
    """From the tree's first number on, in 32 bits: trees are shorter than 2^31 / (3 H D) tokens."""
    return tokens[:, None] * pitch + tl.arange(0, width)[None, :]


@triton.jit
def attend(
    qkv,  # (N, 3, H, D)
    out,  # (N, H, D)
    lse,  # (H, N) float32: log2 of the softmax's denominator, maximum included
    tiles,  # (K, 3) int32: first token of the tree, of the tile, and the tree's end
    ends,  # (N,) int32
    num_tokens,
    scale_log2,  # of the scores, times log2(e)
    num_heads: tl.constexpr,
    width: tl.constexpr,
    tile_tokens: tl.constexpr,
    has_branches: tl.constexpr,
):
    """Write what the tile's tokens read from those before them, and `lse`."""
    head = tl.program_id(0)  # neighbours read neighbouring bytes
    tile = tl.program_id(1)
    root = tl.load(tiles + 3 * tile)
    first = tl.load(tiles + 3 * tile + 1) - root  # tokens count from the tree's first one on
    stop = tl.load(tiles + 3 * tile + 2) - root
    pitch = num_heads * width  # numbers of a token in each of Q, K and V
    qkv += root.to(tl.int64) * (3 * pitch) + head * width
    out += root.to(tl.int64) * pitch + head * width
    lse += head * num_tokens + root
    ends += root
    rows = first + tl.arange(0, tile_tokens)
    is_row = rows < stop
    place = _places(rows, 3 * pitch, width)
    q = tl.load(qkv + place, mask=is_row[:, None], other=0.0)
    k = tl.load(qkv + pitch + place, mask=is_row[:, None], other=0.0)
    v = tl.load(qkv + 2 * pitch + place, mask=is_row[:, None], other=0.0)

    # The tile with itself comes first: then each token has seen something, at least itself.
    seen = rows[None, :] <= rows[:, None]
    if has_branches:
        end = tl.load(ends + rows, mask=is_row, other=0) - root
        seen = seen & (rows[:, None] < end[None, :])
    scores = tl.where(seen, tl.dot(q, tl.trans(k)) * scale_log2, _MASKED)
    highest = tl.max(scores, 1)
    shares = tl.exp2(scores - highest[:, None])
    total = tl.sum(shares, 1)
    mixed = tl.dot(shares.to(v.dtype), v)

    for key in range(0, first, tile_tokens):
        columns = key + tl.arange(0, tile_tokens)  # whole: tiles are cut from the root on
        is_seen = True
        if has_branches:
            end = tl.load(ends + columns) - root
            is_seen = tl.max(end, 0) > first
        if is_seen:
            place = _places(columns, 3 * pitch, width)
            k = tl.load(qkv + pitch + place)
            v = tl.load(qkv + 2 * pitch + place)
            scores = tl.dot(q, tl.trans(k)) * scale_log2
            if has_branches:
                scores = tl.where(rows[:, None] < end[None, :], scores, _MASKED)
            new_highest = tl.maximum(highest, tl.max(scores, 1))
            shares = tl.exp2(scores - new_highest[:, None])
            decay = tl.exp2(highest - new_highest)
            total = total * decay + tl.sum(shares, 1)
            mixed = mixed * decay[:, None] + tl.dot(shares.to(v.dtype), v)
            highest = new_highest
    mixed = (mixed / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + _places(rows, pitch, width), mixed, mask=is_row[:, None])
    tl.store(lse + rows, highest + tl.log2(total), mask=is_row)


@triton.jit
def attend_backward(
    qkv,  # (N, 3, H, D)
    out,  # (N, H, D)
    lse,  # (H, N)
    grad_out,  # (N, H, D)
    grad_qkv,  # (N, 3, H, D)
    tiles,
    ends,
    num_tokens,
    scale,
    scale_log2,
    num_heads: tl.constexpr,
    width: tl.constexpr,
    tile_tokens: tl.constexpr,
    has_branches: tl.constexpr,
):
    """Write the gradient of the tile's queries, keys and values.

    In an order in which few sums are under way at once: registers decide how many programs run.
    """
    head = tl.program_id(0)  # neighbours read neighbouring bytes
    tile = tl.program_id(1)
    root = tl.load(tiles + 3 * tile)
    first = tl.load(tiles + 3 * tile + 1) - root
    stop = tl.load(tiles + 3 * tile + 2) - root
    pitch = num_heads * width
    qkv += root.to(tl.int64) * (3 * pitch) + head * width
    grad_qkv += root.to(tl.int64) * (3 * pitch) + head * width
    out += root.to(tl.int64) * pitch + head * width
    grad_out += root.to(tl.int64) * pitch + head * width
    lse += head * num_tokens + root
    ends += root
    own = first + tl.arange(0, tile_tokens)
    is_own = own < stop
    own_place = _places(own, 3 * pitch, width)
    own_out = _places(own, pitch, width)
    kind = grad_qkv.dtype.element_ty

    # Its queries with earlier keys.
    q = tl.load(qkv + own_place, mask=is_own[:, None], other=0.0)
    do = tl.load(grad_out + own_out, mask=is_own[:, None], other=0.0)
    o = tl.load(out + own_out, mask=is_own[:, None], other=0.0)
    z = tl.load(lse + own, mask=is_own, other=0.0)
    delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
    dq = tl.zeros((tile_tokens, width), tl.float32)
    for key in range(0, first, tile_tokens):
        columns = key + tl.arange(0, tile_tokens)
        is_seen = True
        if has_branches:
            end = tl.load(ends + columns) - root
            is_seen = tl.max(end, 0) > first
        if is_seen:
            place = _places(columns, 3 * pitch, width)
            kj = tl.load(qkv + pitch + place)
            vj = tl.load(qkv + 2 * pitch + place)
            shares = tl.exp2(tl.dot(q, tl.trans(kj)) * scale_log2 - z[:, None])
            if has_branches:
                shares = tl.where(own[:, None] < end[None, :], shares, 0.0)
            ds = (shares * (tl.dot(do, tl.trans(vj)) - delta[:, None])).to(kind)
            dq += tl.dot(ds, kj)

    # The tile with itself. From here on scores stand as (keys, queries): so they go into the
    # products that make dK and dV as they are, from registers.
    k = tl.load(qkv + pitch + own_place, mask=is_own[:, None], other=0.0)
    v = tl.load(qkv + 2 * pitch + own_place, mask=is_own[:, None], other=0.0)
    seen = own[:, None] <= own[None, :]
    last = stop
    if has_branches:
        own_ends = tl.load(ends + own, mask=is_own, other=0) - root
        seen = seen & (own[None, :] < own_ends[:, None])
        last = tl.max(own_ends, 0)
    shares = tl.where(seen, tl.exp2(tl.dot(k, tl.trans(q)) * scale_log2 - z[None, :]), 0.0)
    dv = tl.dot(shares.to(kind), do)
    ds = (shares * (tl.dot(v, tl.trans(do)) - delta[None, :])).to(kind)
    dq += tl.dot(tl.trans(ds), k)
    tl.store(grad_qkv + own_place, (dq * scale).to(kind), mask=is_own[:, None])
    dk = tl.dot(ds, q)

    # Its keys with later queries.
    for row in range(first + tile_tokens, last, tile_tokens):
        rows = row + tl.arange(0, tile_tokens)
        is_row = rows < stop
        place = _places(rows, 3 * pitch, width)
        out_place = _places(rows, pitch, width)
        qi = tl.load(qkv + place, mask=is_row[:, None], other=0.0)
        do = tl.load(grad_out + out_place, mask=is_row[:, None], other=0.0)
        o = tl.load(out + out_place, mask=is_row[:, None], other=0.0)
        z = tl.load(lse + rows, mask=is_row, other=0.0)
        delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
        shares = tl.exp2(tl.dot(k, tl.trans(qi)) * scale_log2 - z[None, :])
        if has_branches:
            shares = tl.where(rows[None, :] < own_ends[:, None], shares, 0.0)
        dv += tl.dot(shares.to(kind), do)
        ds = (shares * (tl.dot(v, tl.trans(do)) - delta[None, :])).to(kind)
        dk += tl.dot(ds, qi)
    tl.store(grad_qkv + pitch + own_place, (dk * scale).to(kind), mask=is_own[:, None])
    tl.store(grad_qkv + 2 * pitch + own_place, dv.to(kind), mask=is_own[:, None])
