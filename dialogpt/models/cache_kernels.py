"""Attention of new tokens with cached ones, as a Triton kernel for NVIDIA GPUs.

Shapes: C contexts, R rows (hypotheses that go on), H heads, D width of a head, P columns of the
longest context, T of the longest reply. Rows of one context lie side by side, and a program takes
up to 16 of them for one head: so the context's keys and values are read once for all of them.
Softmax is computed block by block with the running maximum of Dao et al. 2022 (arXiv:2205.14135).
"""

import triton
import triton.language as tl

_MASKED = tl.constexpr(-1.0e30)  # not -inf, whose difference with itself is not a number


@triton.jit
def attend_cached(
    qkv,  # (R, 3, H, D) of the new tokens
    out,  # (R, H, D), written
    contexts,  # (C, P, 2, H, D) keys and values
    lengths,  # (C,) int32 tokens of each context
    own,  # (slots, T, 2, H, D) keys and values of replies; the new ones are added
    slots,  # (R, T) int32: where token t of a row's reply stands in `own`
    starts,  # (C + 1,) int32: rows of context c begin at starts[c]
    step,  # () int32: tokens of each reply before the new one
    context_pitch,  # P
    reply_pitch,  # T
    scale_log2,  # of the scores, times log2(e)
    num_heads: tl.constexpr,
    width: tl.constexpr,
    num_rows: tl.constexpr,
    num_keys: tl.constexpr,
    num_steps: tl.constexpr,
):
    """Write what the rows' new tokens read, and their keys and values into `own`."""
    head = tl.program_id(0)  # neighbours read neighbouring bytes
    context = tl.program_id(1)
    first = tl.load(starts + context) + tl.program_id(2) * num_rows
    stop = tl.load(starts + context + 1)
    if first < stop:
        now = tl.load(step)
        row = first + tl.arange(0, num_rows)
        is_row = row < stop
        pitch = num_heads * width
        column = head * width + tl.arange(0, width)
        place = row.to(tl.int64)[:, None] * (3 * pitch) + column[None, :]
        q = tl.load(qkv + place, mask=is_row[:, None], other=0.0)
        new_key = tl.load(qkv + pitch + place, mask=is_row[:, None], other=0.0)
        new_value = tl.load(qkv + 2 * pitch + place, mask=is_row[:, None], other=0.0)
        new_slot = tl.load(slots + row * reply_pitch + now, mask=is_row, other=0).to(tl.int64)
        new_place = ((new_slot * reply_pitch + now) * 2 * pitch)[:, None] + column[None, :]
        tl.store(own + new_place, new_key, mask=is_row[:, None])
        tl.store(own + pitch + new_place, new_value, mask=is_row[:, None])

        # The new token sees itself.
        wide_q = q.to(tl.float32) * scale_log2
        highest = tl.sum(wide_q * new_key.to(tl.float32), 1)
        total = tl.full((num_rows,), 1.0, tl.float32)
        mixed = new_value.to(tl.float32)

        # The context, which all rows share.
        length = tl.load(lengths + context)
        base = contexts + context.to(tl.int64) * context_pitch * 2 * pitch
        for start in range(0, length, num_keys):
            key = start + tl.arange(0, num_keys)
            is_key = key < length
            key_place = key[:, None] * (2 * pitch) + column[None, :]
            k = tl.load(base + key_place, mask=is_key[:, None], other=0.0)
            v = tl.load(base + pitch + key_place, mask=is_key[:, None], other=0.0)
            scores = tl.dot(q, tl.trans(k)) * scale_log2
            scores = tl.where(is_key[None, :], scores, _MASKED)
            new_highest = tl.maximum(highest, tl.max(scores, 1))
            shares = tl.exp2(scores - new_highest[:, None])
            decay = tl.exp2(highest - new_highest)
            total = total * decay + tl.sum(shares, 1)
            mixed = mixed * decay[:, None] + tl.dot(shares.to(v.dtype), v)
            highest = new_highest

        # What each row has said itself.
        for first_said in range(0, now, num_steps):
            said = first_said + tl.arange(0, num_steps)
            is_said = is_row[:, None] & (said < now)[None, :]
            slot_place = row[:, None] * reply_pitch + said[None, :]
            slot = tl.load(slots + slot_place, mask=is_said, other=0).to(tl.int64)
            said_place = ((slot * reply_pitch + said[None, :]) * 2 * pitch)[:, :, None]
            said_place = said_place + column[None, None, :]
            is_there = is_said[:, :, None]
            said_key = tl.load(own + said_place, mask=is_there, other=0.0).to(tl.float32)
            said_value = tl.load(own + pitch + said_place, mask=is_there, other=0.0).to(tl.float32)
            near = tl.where(
                (said < now)[None, :], tl.sum(wide_q[:, None, :] * said_key, 2), _MASKED
            )
            near_highest = tl.maximum(highest, tl.max(near, 1))
            near_shares = tl.exp2(near - near_highest[:, None])
            near_decay = tl.exp2(highest - near_highest)
            total = total * near_decay + tl.sum(near_shares, 1)
            mixed = mixed * near_decay[:, None] + tl.sum(near_shares[:, :, None] * said_value, 1)
            highest = near_highest

        out_place = row.to(tl.int64)[:, None] * pitch + column[None, :]
        mixed = mixed / total[:, None]
        tl.store(out + out_place, mixed.to(out.dtype.element_ty), mask=is_row[:, None])
