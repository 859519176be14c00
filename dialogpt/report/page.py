"""The page about one run or several: what they are, how they went, and what to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dialogpt.records import write_text
from dialogpt.report.curves import NLL, Curve, loss_curve
from dialogpt.report.figures import DrawnFigure, draw_figures
from dialogpt.report.formats import count, decimal, percent, plural, setting, short_count, when
from dialogpt.report.markup import Html, document, element, html, table
from dialogpt.report.notices import notices
from dialogpt.report.runs import Run, read_run
from dialogpt.report.units import has_latent, loss_unit

PAGE_FILE = "index.html"

_LOSS_CAPTION = (
    "Training is faint as logged and bold over a twentieth of all lines; a star marks the best "
    "validation"
)
_CAPTIONS = {
    "loss": f"{_LOSS_CAPTION}.",
    "nll-per-token": f"{_LOSS_CAPTION}, by the run's own loss.",
    "waiting-share": "Above the dotted line, at 1 %, more data.num_workers help.",
    "mfu": "What the model needs of what the devices can, as in arXiv:2204.02311, appendix B.",
}
_OF_THE_POSTERIOR = (
    "A PLATO's NLL and perplexity are under a latent of its posterior, which has read the "
    "response: in validation the most probable one."
)


def write_report(folders: Sequence[Path], output: Path) -> Path:
    """Write the page and its figures; where the page is.

    Args:
        folders: of runs; they may be going on.
        output: folder for index.html and the PNG files; files of these names are replaced.

    Raises:
        UserError: a folder has no metrics, or matplotlib is not installed.
    """
    runs = _with_names_of_their_own([read_run(folder) for folder in folders])
    figures = list(draw_figures(runs))
    output.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        _write_bytes(output / f"{figure.name}.png", figure.light)
        _write_bytes(output / f"{figure.name}-dark.png", figure.dark)
    page = output / PAGE_FILE
    write_text(page, render(runs, figures))
    return page


def render(runs: Sequence[Run], figures: Sequence[DrawnFigure]) -> str:
    """The page as HTML; the figures lie beside it."""
    if len(runs) == 1:
        title = f"Training run {runs[0].name}"
        overview = _overview(runs[0])
    else:
        title = plural(len(runs), "training run")
        overview = _comparison(runs)
    return document(
        title,
        element("h1", title),
        overview,
        *_notices(runs),
        element("h2", "Curves"),
        element("div", *(_figure(f, runs) for f in figures), class_="figures"),
        *_validations(runs),
        element("h2", "Settings"),
        *_settings(runs),
    )


def _with_names_of_their_own(runs: list[Run]) -> list[Run]:
    names = [run.name for run in runs]
    return [
        replace(run, name=str(run.folder)) if names.count(run.name) > 1 else run for run in runs
    ]


def _overview(run: Run) -> Html:
    best = run.best or {}
    facts = run.facts
    tiles = [
        (decimal(best.get("perplexity"), 1), "best validation perplexity a token"),
        (decimal(best.get("word_perplexity"), 1), "the same a word"),
        (count(run.last_step), f"steps of {run.total_steps:,}" if run.total_steps else "steps"),
        (short_count(run.total("tokens")), "tokens, without padding"),
        (short_count(run.tokens_per_second), "tokens a second"),
        (percent(run.mean_over_time("mfu")), "of the devices' peak rate (MFU)"),
        (short_count(facts.get("parameters")), "parameters"),
    ]
    shown = [element("li", element("b", value), label) for value, label in tiles if value != "–"]
    state = f"Finished: {run.finished}. " if run.finished else ""
    return html(
        element("p", f"{state}{_what_it_is(run)}", class_="muted"),
        element("ul", *shown, class_="tiles"),
    )


def _what_it_is(run: Run) -> str:
    facts, direction = run.facts, run.settings.get("direction")
    model = {
        "forward": "A forward model, P(response | context). ",
        "backward": "A backward model, P(source | response). ",
    }.get(direction or "", "")
    if "latents" in facts:
        model = f"A PLATO of {count(facts['latents'])} latents. "
    if "train_dialogues" not in facts:
        return f"{model}Last line written {when(run.last_written)}."
    return (
        f"{model}Trained on {count(facts['train_dialogues'])} dialogues, validated on "
        f"{count(facts['valid_dialogues'])}; {facts['precision']} in {facts['layout']} batches on "
        f"{facts['ranks']} x {facts['device']}. Last line written {when(run.last_written)}."
    )


def _comparison(runs: Sequence[Run]) -> Html:
    loss = loss_curve(runs)
    head = [
        *("run", "direction", "parameters", "steps", "best step"),
        *(f"{loss.title} ({loss.label})", "perplexity", "a word", "perplexity over all latents"),
        *("tokens", "tokens/s", "MFU", "waiting", "padding"),
    ]
    rows = []
    for run in runs:
        best, facts = run.best or {}, run.facts
        rows.append(
            [
                run.name,
                str(run.settings.get("direction", "–")),
                short_count(facts.get("parameters")),
                count(run.last_step),
                count(best.get("step")),
                decimal(best.get(loss.key_in(run)), 4),
                decimal(best.get("perplexity"), 1),
                decimal(best.get("word_perplexity"), 1),
                decimal(best.get("marginal_perplexity"), 1),
                short_count(run.total("tokens")),
                short_count(run.tokens_per_second),
                percent(run.mean_over_time("mfu")),
                percent(run.mean_over_time("waiting_share")),
                percent(run.mean_over_time("padding_share")),
            ]
        )
    note = " ".join(_what_compares(runs, loss))
    return html(table(*_known(head, rows)), element("p", note, class_="muted"))


def _what_compares(runs: Sequence[Run], loss: Curve) -> Iterator[str]:
    """Sentences below the table of several runs."""
    yield f"{loss.title} and perplexity are those of the best validation."
    if loss is NLL:
        units = "; ".join(dict.fromkeys(map(loss_unit, runs)))
        yield (
            f"The losses that these runs minimise differ in terms, units or weights ({units}), so "
            "NLL, in nats a token, stands in their place here and in the curves. The best "
            "validation of a run is that of its own loss."
        )
    if len({run.settings.get("plato.examples", "all") for run in runs}) > 1:
        yield (
            "They are not measured on the same responses: with plato.examples last it is the last "
            "one of a dialogue, else every one."
        )
    if any(map(has_latent, runs)):
        yield (
            f"{_OF_THE_POSTERIOR} Perplexity over all latents (plato.validate_all_latents) is the "
            "one to compare with a model without a latent."
        )
    yield (
        "Between runs with different tokenizers only values per word compare; between forward and "
        "backward models none do."
    )


def _known(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A table without the columns of which nothing is known."""
    known = [i for i, column in enumerate(zip(*rows, strict=True)) if set(column) != {"–"}]
    return [head[i] for i in known], [[row[i] for i in known] for row in rows]


def _notices(runs: Sequence[Run]) -> list[Html]:
    shown = []
    for run in runs:
        name = element("b", f"{run.name}: ") if len(runs) > 1 else Html("")
        shown += [element("p", name, text, class_="notice") for text in notices(run)]
    return shown


def _figure(figure: DrawnFigure, runs: Sequence[Run]) -> Html:
    caption = _CAPTIONS.get(figure.name, "")
    if figure.name in ("perplexity", "nll-per-token") and any(map(has_latent, runs)):
        caption = f"{caption} {_OF_THE_POSTERIOR}".strip()
    note = [element("small", caption)] if caption else []
    dark = element("source", srcset=f"{figure.name}-dark.png", media="(prefers-color-scheme: dark)")
    image = element(
        "img", src=f"{figure.name}.png", alt=figure.alternative, width="900", height="540"
    )
    return element(
        "figure", element("figcaption", figure.title, *note), element("picture", dark, image)
    )


def _validations(runs: Sequence[Run]) -> list[Html]:
    parts: list[Html] = []
    for run in runs:
        if not run.valid:
            continue
        head = [
            *("step", f"loss ({loss_unit(run)})", "perplexity", "perplexity a word"),
            *("nats a character", "perplexity over all latents", "latents in use"),
            *("selection right", "training loss"),
        ]
        training = {valid["step"]: loss for valid, loss in run.train_losses()}
        rows = [
            [
                count(record["step"]),
                decimal(record["loss"], 4),
                decimal(record["perplexity"], 1),
                decimal(record.get("word_perplexity"), 1),
                decimal(record.get("nll_per_char"), 4),
                decimal(record.get("marginal_perplexity"), 1),
                decimal(record.get("latent_perplexity"), 1),
                percent(record.get("selection_accuracy")),
                decimal(training.get(record["step"]), 4),
            ]
            for record in run.valid
        ]
        marked = next(i for i, record in enumerate(run.valid) if record is run.best)
        rows[marked][0] += " (best)"
        if len(runs) > 1:
            parts.append(element("h3", run.name))
        parts.append(table(*_known(head, rows), marked=marked))
    if not parts:
        return []
    note = "Training loss is that of the steps since the validation before."
    return [element("h2", "Validations"), *parts, element("p", note, class_="muted")]


def _settings(runs: Sequence[Run]) -> list[Html]:
    """Where runs differ, side by side; what is the same, folded up."""
    values = [{**run.settings, **_told(run)} for run in runs]
    names = list(dict.fromkeys(name for of_run in values for name in of_run))
    rows = [[name, *(setting(v[name]) if name in v else "–" for v in values)] for name in names]
    if len(runs) == 1:
        return [table([], rows, text=True)]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    same = [row[:2] for row in rows if len(set(row[1:])) == 1]
    return [
        table(["", *(run.name for run in runs)], differing, text=True),
        element("details", element("summary", "The same in all"), table([], same, text=True)),
    ]


def _told(run: Run) -> dict[str, object]:
    """The facts beside the settings, so that both can be looked up in one place."""
    return {f"run.{name}": value for name, value in run.facts.items()}


def _write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
