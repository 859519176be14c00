from data_prep.counts import as_tsv
from data_prep.reporting.folder import Counts, read_folder
from data_prep.reporting.funnel import flows, last_flow, num_dialogues, steps_by_column

MONTHS = {
    "2015-01": {
        "comments_read": 100,
        "comments_dropped.removed": 10,
        "comments_dropped.quote": 0,
        "comments_kept": 90,
        "comments_kept.unknown_parent": 3,
        "paths": 50,
        "paths_dropped.too_few_turns": 20,
        "paths_dropped.url": 3,
        "dialogues.train": 25,
        "dialogues.valid": 2,
        "dialogues.test": 0,
    },
    "2015-02": {
        "comments_read": 10,
        "comments_dropped.removed": 0,
        "comments_dropped.quote": 0,
        "comments_kept": 10,
        "comments_kept.unknown_parent": 0,
        "paths": 8,
        "paths_dropped.too_few_turns": 0,
        "paths_dropped.url": 4,
        "dialogues.train": 3,
        "dialogues.valid": 0,
        "dialogues.test": 1,
    },
}


def test_what_goes_out_of_a_step_comes_into_the_next_and_the_last_ones_are_the_dialogues():
    for numbers in MONTHS.values():
        for flow in flows(numbers):
            left = flow.num_in
            for step in flow.steps:
                assert step.num_in == left
                left -= step.num_dropped
                assert step.num_out == left
            assert flow.num_out == left
        comments, paths = flows(numbers)
        assert comments.num_out == numbers["comments_kept"]
        assert paths.num_out == num_dialogues(numbers)


def test_a_share_is_of_what_came_to_the_rule():
    (_, url) = last_flow(MONTHS["2015-01"]).steps
    assert (url.num_in, url.share) == (30, 0.1)


def test_steps_that_dropped_something_anywhere_have_every_month():
    steps = steps_by_column(Counts({**MONTHS["2015-01"]}, MONTHS))
    assert [*steps] == [("comments", "removed"), ("paths", "too_few_turns"), ("paths", "url")]
    assert [step.share for step in steps["paths", "url"].values()] == [0.1, 0.5]


def test_the_table_is_read_as_it_was_written_in_the_order_of_the_flow(tmp_path):
    (tmp_path / "dialogues" / "train").mkdir(parents=True)
    (tmp_path / "dialogues" / "train" / "part-00000.parquet").touch()
    (tmp_path / "counts.tsv").write_text(as_tsv(MONTHS))
    counts = read_folder(tmp_path).counts
    assert counts.columns == MONTHS
    assert [*counts.total] == [*MONTHS["2015-01"]]
    assert counts.total["paths"] == 58
    assert counts.are_monthly


def test_a_share_of_nothing_is_nothing():
    (flow,) = flows({"paths": 0, "paths_dropped.url": 0})
    assert (flow.share_kept, flow.steps[0].share) == (0, 0)
