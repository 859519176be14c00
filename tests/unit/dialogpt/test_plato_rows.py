"""Rows of PLATO: their columns, their lengths, and the examples that they are made of."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import byte_tokenizer, encoded, write_split

from dialogpt.command_line import UserError
from dialogpt.config.plato import PlatoConfig, SequenceConfig
from dialogpt.config.training import DataConfig
from dialogpt.data.chunks import in_columns
from dialogpt.data.loader import open_dialogues
from dialogpt.plato.batch import RowLayout
from dialogpt.plato.examples import ExampleCollator, ExampleDataset, ExampleSource
from dialogpt.plato.lengths import Cuts, measure_chunk
from dialogpt.plato.sequence import (
    KNOWLEDGE,
    KNOWLEDGE_TURN,
    OTHER,
    REPLIER,
    Context,
    context_columns,
    response_columns,
)
from dialogpt.records import UNKNOWN_SPEAKER, EncodedDialogue

BOU, EOU = 1, 2


def ids(*numbers):
    return np.array(numbers, np.int64)


def columns(context, **limits):
    return context_columns(context, SequenceConfig(**limits), eou_id=EOU).tolist()


def said(*turns, speakers=(), replier=UNKNOWN_SPEAKER, knowledge=()):
    return Context(
        turns=[ids(*turn) for turn in turns],
        speakers=speakers,
        replier=replier,
        knowledge=[ids(*sentence) for sentence in knowledge],
    )


def test_a_context_with_knowledge_as_the_specification_has_it():
    context = said([11, 12], [13], [14, 15], knowledge=[[21], [22, 23]])
    tokens, positions, roles, turns = columns(context)
    assert tokens == [11, 12, EOU, 13, EOU, 14, 15, EOU, 21, EOU, 22, 23, EOU]
    assert positions == [0, 1, 2, 0, 1, 0, 1, 2, 0, 1, 0, 1, 2]
    assert roles == [OTHER] * 3 + [REPLIER] * 2 + [OTHER] * 3 + [KNOWLEDGE] * 5
    assert turns == [3, 3, 3, 2, 2, 1, 1, 1, 0, 0, 1, 1, 1]


def test_knowledge_may_have_a_row_of_its_own_in_the_table_of_turns():
    context = said([11], knowledge=[[21], [22]])
    assert columns(context, own_knowledge_turns=True)[3] == [1, 1] + [KNOWLEDGE_TURN] * 4


def test_a_response_counts_from_its_beginning_and_a_cut_one_has_no_end():
    whole = response_columns(ids(5, 6, 7), bou_id=BOU, eou_id=EOU, max_tokens=3)
    assert whole.tolist() == [[BOU, 5, 6, 7, EOU], [0, 1, 2, 3, 4], [REPLIER] * 5, [0] * 5]
    cut = response_columns(ids(5, 6, 7, 8), bou_id=BOU, eou_id=EOU, max_tokens=3)
    assert cut[0].tolist() == [BOU, 5, 6, 7, 8]


def test_utterances_and_context_keep_their_ends_and_knowledge_its_beginning():
    context = said([1, 2, 3, 4], [5], knowledge=[[31, 32, 33]])
    tokens = columns(context, max_turn_tokens=2, max_knowledge_tokens=2)[0]
    assert tokens == [3, 4, EOU, 5, EOU, 31, 32, EOU]
    tokens, positions, *_ = columns(context, max_context_tokens=4)
    assert tokens == [4, EOU, 5, EOU, 31, 32, 33, EOU]
    assert positions == [3, 4, 0, 1, 0, 1, 2, 3]  # what is cut in front does not count anew
    assert columns(context, max_context_tokens=4, whole_turns=True)[0][:2] == [5, EOU]


def test_old_utterances_and_sentences_go_first():
    context = said(*([n] for n in range(10, 30)), knowledge=[[n] for n in range(50, 60)])
    tokens, _, _, turns = columns(context, max_knowledge_sentences=2)
    assert tokens[::2] == [*range(15, 30), 58, 59]
    assert turns[::2] == [*range(15, 0, -1), 0, 1]
    assert columns(context, max_turns=2, max_knowledge_sentences=0)[0] == [28, EOU, 29, EOU]


def test_roles_are_who_spoke_where_that_is_known():
    turns = ([11], [12], [13])
    known = said(*turns, speakers=[0, 0, 1], replier=0)
    assert columns(known)[2] == [REPLIER] * 4 + [OTHER] * 2
    assert columns(known, roles="parity")[2] == [OTHER] * 2 + [REPLIER] * 2 + [OTHER] * 2
    unknown = said(*turns, speakers=[0, UNKNOWN_SPEAKER, 1], replier=1)
    assert columns(unknown)[2] == [OTHER] * 2 + [REPLIER] * 4
    nobody = said(*turns, speakers=[0, 0, 1], replier=UNKNOWN_SPEAKER)
    assert columns(nobody)[2] == columns(known, roles="parity")[2]


def test_swapped_speakers_swap_roles_and_older_turns_change_no_turn_number():
    turns = ([11], [12], [13])
    one = columns(said(*turns, speakers=[0, 1, 0], replier=1))
    other = columns(said(*turns, speakers=[1, 0, 1], replier=1))
    assert [REPLIER + OTHER - role for role in one[2]] == other[2]
    longer = columns(said([9], *turns, speakers=[1, 0, 1, 0], replier=1))
    assert [row[2:] for row in longer] == one


turn_lengths = st.lists(st.integers(0, 12), min_size=1, max_size=6)
LIMITS = st.builds(
    SequenceConfig,
    max_context_tokens=st.integers(2, 30),
    max_turn_tokens=st.integers(1, 8),
    max_turns=st.integers(1, 5),
    max_response_tokens=st.integers(1, 8),
    max_knowledge_sentences=st.integers(0, 3),
    max_knowledge_tokens=st.integers(1, 4),
)


def dialogue(lengths, knowledge=()):
    made = encoded([[7] * length for length in lengths])
    values = {name: getattr(made, name) for name in EncodedDialogue.__slots__}
    sentences = tuple(np.full(length, 9, np.uint16) for length in knowledge)
    return EncodedDialogue(**{**values, "knowledge": sentences})


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(turn_lengths, st.lists(st.integers(0, 6), max_size=4)), min_size=1, max_size=5
    ),
    LIMITS,
)
def test_lengths_are_those_of_the_rows(dialogues, limits):
    made = [dialogue(lengths, knowledge) for lengths, knowledge in dialogues]
    measured = measure_chunk(in_columns(made), limits)
    assert measured.counts.tolist() == [len(d.turns) - 1 for d in made]
    found, cuts = [], []
    for one in made:
        for turn in range(1, len(one.turns)):
            context = Context(
                turns=one.turns[:turn], speakers=[], replier=-1, knowledge=one.knowledge
            )
            prefix = context_columns(context, limits, eou_id=EOU)
            response = response_columns(
                one.turns[turn], bou_id=BOU, eou_id=EOU, max_tokens=limits.max_response_tokens
            )
            found.append(prefix.shape[1] + response.shape[1])
            is_known = prefix[2] == KNOWLEDGE
            cuts.append(
                [
                    max(0, turn - limits.max_turns),
                    (~is_known).sum() < sum(len(t) + 1 for t in one.turns[:turn]),
                    is_known.sum() < sum(len(k) + 1 for k in one.knowledge),
                    response.shape[1] < len(one.turns[turn]) + 2,
                ]
            )
    assert measured.lengths.tolist() == found
    assert measured.cuts.tolist() == cuts
    turns, contexts, knowledge, responses = np.array(cuts, int).reshape(-1, 4).sum(axis=0)
    assert measured.all() == Cuts(
        turns=turns, contexts=contexts, knowledge=knowledge, responses=responses
    )


def dataset(folder, config, dialogues, *, seed=0):
    tokenizer = byte_tokenizer()
    manifest = write_split(folder, dialogues, tokenizer=tokenizer, num_shards=2)
    data = DataConfig(shards=str(folder.parent), window_chunks=4)
    return ExampleDataset(open_dialogues(Path(folder), manifest, data=data), config, seed=seed)


def talks(count, *, longest=4, seed=5):
    rng = np.random.default_rng(seed)
    return [
        encoded(
            [rng.integers(60, 90, int(rng.integers(1, 6))).tolist() for _ in range(number)], key=key
        )
        for key, number in enumerate(rng.integers(1, longest + 1, count))
    ]


def test_every_response_comes_once_in_the_order_of_the_dialogues(tmp_path):
    dialogues = talks(50)
    found = dataset(tmp_path / "train", PlatoConfig(examples="all"), dialogues)
    wanted = [(d.thread_key, turn) for d in dialogues for turn in range(1, len(d.turns))]
    sources = found.__getitems__(range(len(found)))
    assert [(s.dialogue.thread_key, s.turn) for s in sources] == wanted
    assert [s.index for s in sources] == list(range(len(wanted)))
    assert found.chunk_starts[-1] == len(wanted)
    assert found[3].turn == wanted[3][1]


def test_the_last_response_of_each_dialogue_and_single_utterances_left_out(tmp_path):
    dialogues = talks(50)
    config = PlatoConfig()
    found = dataset(tmp_path / "train", config, dialogues)
    sources = found.__getitems__(range(50))
    assert [s.turn for s in sources] == [len(d.turns) - 1 for d in dialogues]
    collate = ExampleCollator(config=config, layout=RowLayout(), bou_id=BOU, eou_id=EOU)
    batch = collate(sources)
    num_single = sum(len(d.turns) == 1 for d in dialogues)
    assert (batch.num_skipped, batch.num_rows) == (num_single, 50 - num_single)
    sizes = np.diff(batch.generation.starts.numpy())
    planned = [length - 1 for s, length in zip(sources, found.lengths, strict=True) if s.turn]
    assert sizes.tolist() == planned


def test_negatives_are_responses_of_other_words_and_a_function_of_seed_and_batch(tmp_path):
    dialogues = talks(60)
    found = dataset(tmp_path / "train", PlatoConfig(), dialogues)
    responses = {tuple(t.tolist()) for d in dialogues for t in d.turns[1:]}
    picked = list(range(0, 60, 3))
    sources = found.__getitems__(picked)
    drawn = [tuple(s.negative.tolist()) for s in sources]
    for source, negative in zip(sources, drawn, strict=True):
        assert negative in responses
        assert negative != tuple(source.dialogue.turns[source.turn].tolist())
    assert len(set(drawn)) > 12
    assert [tuple(s.negative.tolist()) for s in found.__getitems__(picked)] == drawn
    others = found.__getitems__(picked[:-1])
    assert [tuple(s.negative.tolist()) for s in others] != drawn[:-1]
    again = dataset(tmp_path / "again", PlatoConfig(), dialogues, seed=1).__getitems__(picked)
    assert [tuple(s.negative.tolist()) for s in again] != drawn


def test_without_selection_or_latent_nothing_is_drawn(tmp_path):
    dialogues = talks(10)
    for name, config in (
        ("plain", PlatoConfig(num_latents=0)),
        ("unselected", PlatoConfig(selection_weight=0.0)),
        ("neighbours", PlatoConfig(negatives="in_batch")),
    ):
        sources = dataset(tmp_path / name, config, dialogues).__getitems__([0, 1])
        assert [s.negative for s in sources] == [None, None]


def test_a_corpus_of_one_response_has_no_negatives(tmp_path):
    dialogues = [encoded([[60 + i], [70]], key=i) for i in range(8)]
    found = dataset(tmp_path / "train", PlatoConfig(), dialogues)
    with pytest.raises(UserError, match=r"train: .* differs from that of example 0"):
        found.__getitems__([0, 1])


def test_a_chunk_of_one_response_borrows_from_those_behind_it(tmp_path):
    # In chunks of 8, of two shards: 0 to 7, 8 and 9; 10 to 17, 18 and 19.
    dialogues = [encoded([[60], [70 + (10 <= i < 18)]], key=i) for i in range(20)]
    found = dataset(tmp_path / "train", PlatoConfig(), dialogues)
    for numbers in ([8, 9], [0, 3], [19], [0, 19]):
        sources = found.__getitems__(numbers)
        assert [s.negative.tolist() for s in sources] == [[71]] * len(numbers)
        again = found.__getitems__(numbers)
        assert [s.negative.tolist() for s in again] == [s.negative.tolist() for s in sources]
    assert [s.negative.tolist() for s in found.__getitems__([10, 11])] == [[70]] * 2


def test_what_limits_leave_out_is_counted_of_the_responses_that_are_learned(tmp_path):
    limits = SequenceConfig(max_turns=2, max_response_tokens=3)
    dialogues = [encoded([[60] * 2, [61] * 5, [62], [63] * 4], key=1), encoded([[60], [61]], key=2)]
    last = dataset(tmp_path / "last", PlatoConfig(sequence=limits), dialogues)
    assert last.cuts == Cuts(turns=1, contexts=1, knowledge=0, responses=1)
    config = PlatoConfig(sequence=limits, examples="all")
    assert dataset(tmp_path / "all", config, dialogues).cuts == Cuts(
        turns=1, contexts=1, knowledge=0, responses=2
    )


def test_single_utterances_alone_make_a_batch_of_nothing(tmp_path):
    dialogues = [encoded([[60 + i]], key=i) for i in range(4)] + [encoded([[60], [61]], key=4)]
    config = PlatoConfig()
    found = dataset(tmp_path / "train", config, dialogues)
    collate = ExampleCollator(config=config, layout=RowLayout(), bou_id=BOU, eou_id=EOU)
    batch = collate(found.__getitems__([0, 1]))
    assert (batch.num_rows, batch.num_skipped, batch.num_target_tokens) == (0, 2, 0)
    for examples in ("last", "all"):
        with pytest.raises(UserError, match=f"{examples}: expected dialogues of two utterances"):
            dataset(tmp_path / examples, PlatoConfig(examples=examples), dialogues[:4])


@pytest.mark.parametrize(
    ("responses", "negatives"),
    [
        ([70, 71, 72], [71, 72, 70]),
        ([70, 70, 71, 70], [71, 71, 70, 71]),
        ([70], []),
        ([70, 70], []),
    ],
)
def test_neighbours_lend_other_responses_in_a_ring(tmp_path, responses, negatives):
    dialogues = [encoded([[60], [word]], key=i) for i, word in enumerate(responses)]
    config = PlatoConfig(negatives="in_batch")
    found = dataset(tmp_path / "train", config, dialogues)
    collate = ExampleCollator(config=config, layout=RowLayout(), bou_id=BOU, eou_id=EOU)
    batch = collate(found.__getitems__(range(len(responses))))
    assert batch.num_negatives == len(negatives)
    starts = batch.recognition.starts.tolist()
    said = [batch.columns[0, end - 2].item() for end in starts[1:]]
    assert said == [*responses, *negatives]


def test_more_than_the_table_of_turns_can_tell_apart_is_refused():
    with pytest.raises(ValueError, match=r"max_turns must lie in \[1, 15\]"):
        SequenceConfig(max_turns=16)
    with pytest.raises(ValueError, match="max_knowledge_sentences must be <= 16"):
        SequenceConfig(max_knowledge_sentences=17)
    context = said([11], knowledge=[[n] for n in range(20)])
    turns = columns(context, max_knowledge_sentences=20, own_knowledge_turns=True)[3]
    assert turns == [1, 1] + [KNOWLEDGE_TURN] * 40


def test_a_batch_holds_what_was_said_by_whom_and_what_is_known():
    made = dialogue([2, 1, 3, 2], knowledge=[2])
    made = replace(made, speakers=np.array([0, 0, 1, 0], np.int8))
    config = PlatoConfig()
    collate = ExampleCollator(config=config, layout=RowLayout(), bou_id=BOU, eou_id=EOU)
    negative = np.array([5], np.uint16)
    sources = [
        ExampleSource(index=i, dialogue=made, turn=turn, negative=negative)
        for i, turn in enumerate((1, 3))
    ]
    batch = collate(sources)
    rows = [
        batch.columns[:, start:end].numpy()
        for start, end in pairwise(batch.recognition.starts.tolist())
    ]
    prefixes = [
        context_columns(
            Context(
                turns=made.turns[:turn],
                speakers=made.speakers[:turn].tolist(),
                replier=0,
                knowledge=made.knowledge,
            ),
            config.sequence,
            eou_id=EOU,
        )
        for turn in (1, 3)
    ]
    # Both responses are speaker 0's, who said the first two utterances as well.
    assert prefixes[1][2].tolist() == [REPLIER] * 5 + [OTHER] * 4 + [KNOWLEDGE] * 3
    for row, response, prefix in zip(
        rows, (made.turns[1], made.turns[3], negative, negative), prefixes * 2, strict=True
    ):
        assert np.array_equal(row[:, 1 : 1 + prefix.shape[1]], prefix)
        assert row[0, 1 + prefix.shape[1] :].tolist() == [BOU, *response.tolist(), EOU]
    assert (batch.num_target_words, batch.num_target_chars) == (3.0, 6.0)
