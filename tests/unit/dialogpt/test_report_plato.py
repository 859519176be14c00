"""What the page says of a PLATO, alone and beside a GPT-2, on runs made up line by line."""

import json

import pytest
import yaml
from matplotlib.figure import Figure

from dialogpt.report.curves import CURVES, NLL, loss_curve, smoothed
from dialogpt.report.figures import _LIGHT, DrawnFigure, _draw_curve, _draw_loss, draw_figures
from dialogpt.report.notices import notices
from dialogpt.report.page import render
from dialogpt.report.picture import _draw_run
from dialogpt.report.runs import mean_loss, read_run
from dialogpt.report.units import loss_unit, losses_compare
from dialogpt.run_log import note_end

PLATO = {
    "num_latents": 5,
    "reduction": "sum",
    "examples": "all",
    "bow_weight": 1.0,
    "selection_weight": 1.0,
    "entropy_weight": 0.0,
}
GOOD = {
    "marginal_perplexity": 33.25,
    "latent_perplexity": 4.04,
    "latent_information": 0.9,
    "selection_accuracy": 0.876,
}


@pytest.fixture
def made(tmp_path):
    """A function that writes a run that is over, and reads it."""

    def make(name, lines, **settings):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
        (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        note_end(folder, "it is over")
        return read_run(folder)

    return make


def line(kind, step, loss, nll=None, **values):
    """One of metrics.jsonl; nll is a PLATO's alone."""
    if kind == "valid":
        values = {"perplexity": 30.0 + step, **values}
    if nll is not None:
        values = {"nll_per_token": nll, **values}
    return {"kind": kind, "step": step, "loss": loss, **values}


def plato(made, name="plato", latent=GOOD, **changes):
    """Its total loss is best at step 10, its NLL at step 20."""
    lines = [
        line("valid", 0, 389.0, 9.0, **latent),
        line("train", 10, 300.0, 6.5, **latent, target_tokens=30),
        line("valid", 10, 268.0, 5.5, **latent),
        line("train", 20, 310.0, 6.25, **latent, target_tokens=30),
        line("valid", 20, 270.0, 5.25, **latent),
    ]
    return made(name, lines, plato={**PLATO, **changes})


def without_latent(made, name="no-latent", **changes):
    return plato(made, name, latent={}, num_latents=0, **changes)


def gpt2(made, name="gpt2"):
    lines = [line("valid", 0, 8.0), line("train", 10, 6.0), line("valid", 10, 5.0)]
    return made(name, lines, direction="forward", plato=None)


def mmi_rl(made):
    values = {"human_loss": 4.5}
    lines = [
        line("valid", 0, 70.0, **values),
        line("train", 4, 66.0),
        line("valid", 4, 65, **values),
    ]
    return made("rl", lines, mmi_rl={"backward_model": "runs/backward"})


def text_of(runs):
    """The page; of its figures the first is drawn, and that of perplexities is empty."""
    other = {"title": "Perplexity", "alternative": "", "light": b"", "dark": b""}
    return render(runs, [next(draw_figures(runs)), DrawnFigure(name="perplexity", **other)])


def cells(page, run_name=""):
    """Rows of the table of a run's validations, or of the first table; the heading first."""
    start = page.index(f"<h3>{run_name}</h3>") if run_name else 0
    table = page[page.index("<table>", start) : page.index("</table>", start)]
    rows = table.replace("</thead>", "").split("<tr")[1:]
    return [
        [cell.split("</")[0].split(">")[-1] for cell in row.split("<t")[1:] if "</t" in cell]
        for row in rows
    ]


def drawn(runs, draw=_draw_loss, curve=None):
    """Label -> points of the lines of a figure, those of the legend first."""
    panel = Figure().subplots()
    draw(panel, curve or loss_curve(runs), runs, _LIGHT)
    return [
        (str(found.get_label()), list(zip(*found.get_data(), strict=True)))
        for found in panel.get_lines()
    ]


@pytest.mark.parametrize(
    ("make", "unit"),
    [
        (gpt2, "nats a token"),
        (plato, "nats a response, all losses"),
        (lambda made: plato(made, reduction="token_mean"), "nats a token, all losses"),
        (without_latent, "nats a response"),
        (lambda made: without_latent(made, reduction="token_mean"), "nats a token"),
        (mmi_rl, "minus the objective, in units of reward"),
    ],
)
def test_a_loss_alone_is_drawn_in_its_unit(made, make, unit):
    run = make(made)
    curve = loss_curve([run])
    assert (loss_unit(run), curve.label, curve.key, curve.title) == (unit, unit, "loss", "Loss")
    # The axis is labelled so, and the losses are those of the lines.
    losses = [record["loss"] for record in run.valid]
    assert [loss for _, loss in dict(drawn([run]))["validation"]] == losses


def test_a_run_that_has_not_validated_is_known_by_its_training(made):
    lines = [line("train", 10, 300.0, 6.5, latent_perplexity=4.0)]
    assert loss_unit(made("plato", lines, plato=PLATO)) == "nats a response, all losses"


def test_beside_a_gpt2_a_plato_is_drawn_in_nats_a_token(made):
    runs = [plato(made), gpt2(made)]
    assert loss_curve(runs).label == "nats a token"
    lines = drawn(runs)
    assert lines[0] == ("runs/plato, training", [(10, 6.5), (20, 6.25)])
    assert lines[1] == ("runs/plato, validation", [(0, 9.0), (10, 5.5), (20, 5.25)])
    assert lines[2][1] == [(10, 5.5)]  # best by its own loss, drawn where its NLL is
    assert lines[3] == ("runs/gpt2, training", [(10, 6.0)])
    assert lines[4] == ("runs/gpt2, validation", [(0, 8.0), (10, 5.0)])
    assert lines[5][1] == [(10, 5.0)]


def test_a_picture_has_a_panel_a_run_each_in_its_unit(made):
    for run, unit in (
        (plato(made), "nats a response, all losses"),
        (gpt2(made), "nats a token"),
    ):
        panel = Figure().subplots()
        _draw_run(panel, run)
        assert panel.get_ylabel() == f"loss, {unit}"
        training, validation = (list(found.get_ydata()) for found in panel.get_lines())
        assert training == [record["loss"] for record in run.train]
        assert validation == [record["loss"] for record in run.valid]


def test_losses_with_other_terms_units_or_weights_do_not_compare(made):
    first = plato(made)
    for number, changes in enumerate(
        (
            {"reduction": "token_mean"},
            {"bow_weight": 0.5},
            {"selection_weight": 2.0},
            {"entropy_weight": 0.01},
        )
    ):
        other = plato(made, f"other-{number}", **changes)
        assert not losses_compare([first, other]), changes
        assert loss_curve([first, other]) is NLL
    assert not losses_compare([first, without_latent(made)])


def test_losses_of_the_same_terms_compare_whatever_else_differs(made):
    same = [plato(made), plato(made, "ten", num_latents=10)]
    assert loss_curve(same).label == "nats a response, all losses"
    assert drawn(same)[1][1] == [(0, 389.0), (10, 268.0), (20, 270.0)]
    # Without a latent there are no weights, and a token's NLL is what a GPT-2 minimises.
    mean = without_latent(made, reduction="token_mean", bow_weight=0.5)
    other = without_latent(made, "other", reduction="token_mean")
    assert losses_compare([gpt2(made), mean, other])


def test_an_mmi_run_beside_others_is_measured_on_what_people_said(made):
    lines = drawn([mmi_rl(made), gpt2(made)])
    assert lines[1] == ("runs/rl, validation", [(0, 4.5), (4, 4.5)])
    assert lines[0][1] == []
    assert lines[0][0].startswith("_")  # of no NLL in training, and so not in the legend
    assert lines[2][1] == [(4, 4.5)]


def test_many_lines_are_smoothed_by_the_same_number_as_drawn(made):
    lines = [line("train", i, 300.0 + i, 5.0, latent_perplexity=4.0) for i in range(40)]
    lines.insert(20, {"kind": "train", "step": 20, "loss": 1.0})  # has no NLL
    assert [nll for _, nll in smoothed(lines, "nll_per_token")] == 40 * [5.0]
    assert mean_loss(lines[20:22], "nll_per_token") == 5.0
    runs = [made("plato", lines, plato=PLATO), gpt2(made)]
    raw, smooth = drawn(runs)[:2]
    assert raw[0].startswith("_")
    assert smooth[0] == "runs/plato, training"
    assert {nll for _, nll in [*raw[1], *smooth[1]]} == {5.0}


def test_a_run_without_a_number_is_not_in_the_legend_of_its_curve(made):
    runs = [plato(made), gpt2(made)]
    (curve,) = (curve for curve in CURVES if curve.key == "marginal_perplexity")
    (first, points), (second, none) = drawn(runs, _draw_curve, curve)
    assert (first, len(points)) == ("runs/plato", 3)
    assert (second[0], none) == ("_", [])


def test_the_comparison_lists_nats_a_token_and_says_why(made):
    page = text_of([plato(made), gpt2(made)])
    head, of_plato, of_gpt2 = cells(page)
    place = head.index("NLL (nats a token)")
    assert (of_plato[place], of_gpt2[place]) == ("5.5000", "5.0000")
    place = head.index("perplexity over all latents")
    assert (of_plato[place], of_gpt2[place]) == ("33.2", "–")
    assert "NLL and perplexity are those of the best validation." in page
    assert "(nats a response, all losses; nats a token), so NLL, in nats a token, stands" in page
    assert "The best validation of a run is that of its own loss." in page
    assert "the one to compare with a model without a latent" in page
    assert "only values per word compare" in page
    assert "not measured on the same responses" not in page
    assert 'src="nll-per-token.png"' in page
    assert 'src="loss.png"' not in page
    assert "Training NLL: runs/plato, from 6.500 at step 10 to 6.250 at step 20" in page
    assert "Validation NLL: runs/plato, from 9.000 at step 0 to 5.250 at step 20" in page


def test_runs_whose_losses_compare_are_listed_with_the_unit_of_the_loss(made):
    page = text_of([plato(made), plato(made, "again")])
    head, first, _ = cells(page)
    assert first[head.index("Loss (nats a response, all losses)")] == "268.0000"
    assert "Loss and perplexity are those of the best validation." in page
    assert "stands in their place" not in page
    assert "Training loss: runs/plato, from 300.000 at step 10" in page
    assert 'src="loss.png"' in page
    page = text_of([gpt2(made), gpt2(made, "gpt2-again")])
    head, *_ = cells(page)
    assert "Loss (nats a token)" in head
    assert "perplexity over all latents" not in head
    assert "latent" not in page


def test_runs_that_learn_other_responses_of_the_same_dialogues_are_told_apart(made):
    page = text_of([plato(made, examples="last"), gpt2(made)])
    assert "They are not measured on the same responses: with plato.examples last" in page


def test_captions_say_under_which_latent_numbers_are(made):
    of_latent = "under a latent of its posterior, which has read the response"
    curve = "a star marks the best validation, by the run&#x27;s own loss. A PLATO"
    for runs, count, star in (
        ([plato(made)], 1, 0),  # the perplexity
        ([gpt2(made), plato(made, "beside")], 3, 1),  # NLL, and the note, too
        ([without_latent(made), gpt2(made, "another")], 0, 0),
    ):
        page = text_of(runs)
        assert page.count(of_latent) == count
        assert page.count(curve) == star
    assert "by the run&#x27;s own loss.</small>" in page
    assert "<small>A PLATO" in text_of([plato(made, "alone")])


def test_validations_of_a_plato_say_what_its_latent_and_its_selection_do(made):
    runs = [plato(made), gpt2(made), without_latent(made)]
    page = text_of(runs)
    head, _, row, _ = cells(page, "runs/plato")
    found = dict(zip(head, row, strict=True))
    assert found["loss (nats a response, all losses)"] == "268.0000"
    assert found["perplexity over all latents"] == "33.2"
    assert found["latents in use"] == "4.0"
    assert found["selection right"] == "87.6 %"
    assert found["training loss"] == "300.0000"
    # Columns of which nothing is known are left out.
    assert cells(page, "runs/gpt2")[0] == [
        *("step", "loss (nats a token)", "perplexity", "training loss")
    ]
    assert cells(page, "runs/no-latent")[0] == [
        *("step", "loss (nats a response)", "perplexity", "training loss")
    ]


def test_a_latent_and_a_selection_that_work_are_not_told_of(made):
    limits = {"latent_perplexity": 1.5, "latent_information": 0.05, "selection_accuracy": 0.55}
    assert notices(plato(made)) == []
    assert notices(plato(made, "at-the-limits", latent={**GOOD, **limits})) == []
    assert notices(without_latent(made)) == []


def test_a_collapsed_latent_is_told_with_what_to_do(made):
    latent = {**GOOD, "latent_perplexity": 1.44, "latent_information": 0.01}
    (notice,) = notices(plato(made, latent=latent, num_latents=3))
    assert "The latent has collapsed: 1.4 of 3 latents are in use at step 20" in notice
    assert "Training longer or on more data may help" in notice
    higher = "a higher plato.selection_weight (1.0 now) or plato.entropy_weight (0.0 now)"
    assert f"{higher}, see docs/plato.md" in notice


def test_one_of_two_latents_in_use_may_well_be_right(made):
    assert notices(plato(made, latent={**GOOD, "latent_perplexity": 1.4}, num_latents=2)) == []


def test_a_latent_that_tells_nothing_is_told_with_what_to_do(made):
    latent = {**GOOD, "latent_information": 0.0494}
    (notice,) = notices(plato(made, latent=latent, num_latents=2))
    assert "The latent tells 0.049 nats of a response at most at step 20" in notice
    assert "a higher plato.selection_weight (1.0 now), see docs/plato.md" in notice
    assert "entropy_weight" not in notice


def test_a_single_latent_can_tell_nothing_and_is_not_told_of(made):
    latent = {**GOOD, "latent_perplexity": 1.0, "latent_information": 0.0}
    assert notices(plato(made, latent=latent, num_latents=1)) == []


def test_selection_near_chance_is_told_with_what_to_do(made):
    latent = {**GOOD, "selection_accuracy": 0.537}
    (notice,) = notices(plato(made, latent=latent, selection_weight=0.5))
    assert "near chance: 53.7 % of true and other responses are told apart" in notice
    assert "at step 20, where guessing gets 50 %" in notice
    assert "a higher plato.selection_weight (0.5 now), see docs/plato.md" in notice


def test_values_of_settings_are_told_where_they_are_known(made):
    latent = {**GOOD, "selection_accuracy": 0.537}
    (notice,) = notices(plato(made, latent=latent, selection_weight=None))
    assert "a higher plato.selection_weight, see docs/plato.md" in notice


def test_all_that_does_not_work_is_told_once(made):
    latent = dict.fromkeys(GOOD, 0.1) | {"latent_perplexity": 1.0, "latent_information": 0.0}
    first, second = notices(plato(made, latent=latent))
    assert first.startswith("The latent has collapsed")
    assert second.startswith("Response selection is near chance")


def test_before_anything_is_learned_and_without_validation_nothing_is_told(made):
    poor = {"latent_perplexity": 1.0, "latent_information": 0.0, "selection_accuracy": 0.5}
    assert notices(made("new", [line("valid", 0, 389.0, 9.0, **poor)], plato=PLATO)) == []
    lines = [line("train", 10, 300.0, 6.5, **poor)]
    (notice,) = notices(made("unmeasured", lines, plato=PLATO))
    assert notice.startswith("Nothing was validated")


def test_the_last_validation_decides(made):
    poor = {"latent_perplexity": 1.0, "latent_information": 0.0, "selection_accuracy": 0.5}
    lines = [line("valid", 10, 9.0, 9.0, **poor), line("valid", 20, 8.0, 8.0, **GOOD)]
    assert notices(made("found", lines, plato=PLATO)) == []
    lines = [line("valid", 10, 9.0, 9.0, **GOOD), line("valid", 20, 8.0, 8.0, **poor)]
    assert len(notices(made("lost", lines, plato=PLATO))) == 2
