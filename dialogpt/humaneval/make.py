"""From replies to a folder for judges: the plan, a page for each, and what to tell them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError, printable
from dialogpt.config.humaneval import MakeConfig
from dialogpt.folders import whole_folder
from dialogpt.humaneval.answers import PLAN_FORMAT, plan_mark
from dialogpt.humaneval.checks import draw_checks
from dialogpt.humaneval.dealing import deal, number_of_judges, page_order
from dialogpt.humaneval.fields import writing
from dialogpt.humaneval.instructions import instructions
from dialogpt.humaneval.items import Item, draw_judged, with_ids
from dialogpt.humaneval.kinds import KINDS
from dialogpt.humaneval.own_checks import read_checks
from dialogpt.humaneval.pages import render_page
from dialogpt.humaneval.systems import Context, SystemReplies, read_systems
from dialogpt.records import write_json, write_text

PLAN_FILE = "plan.json"
PLAN_VERSION = 1
_HUMAN = "human"


def make(config: MakeConfig) -> int:
    """Write the folder of a study, whole or not at all, and print what it holds; the status is 0.

    Raises:
        UserError: replies or checks are not as expected, or the folder is taken.
        RecordError: a line of a file is not JSON.
    """
    files = [(name, Path(file)) for name, _, file in (s.partition("=") for s in config.systems)]
    # The file of human replies is held against the same contexts as the systems.
    extra = [("--human", Path(config.human))] if config.human else []
    contexts, read = read_systems([*files, *extra])
    systems = read[: len(files)]
    good = next((s.replies for s in read if s.name == ("--human" if extra else _HUMAN)), None)
    own = []
    if config.checks:
        own = read_checks(Path(config.checks), config.kind, contexts)
    items, plan = draw_plan(config, contexts, systems, good, own)
    by_id = {item.id: item for item in items}
    with writing(Path(config.output)), whole_folder(Path(config.output)) as folder:
        write_json(folder / PLAN_FILE, plan)
        write_text(folder / "instructions.md", instructions(config.kind, plan))
        for judge in plan["judges"]:
            page = render_page(
                config.kind,
                study=plan["study"],
                judge=judge["name"],
                items=[by_id[item_id] for item_id in judge["items"]],
            )
            write_text(folder / f"{judge['name']}.html", page)
    for line in _summary(config, items, plan, num_own=len(own)):
        print(printable(line))
    return 0


def draw_plan(
    config: MakeConfig,
    contexts: tuple[Context, ...],
    systems: tuple[SystemReplies, ...],
    good: tuple[str, ...] | None,
    own: Sequence[Item] = (),
) -> tuple[list[Item], dict[str, Any]]:
    """Everything that is drawn.

    Args:
        config: of the study.
        contexts: of all.
        systems: with a reply to each context.
        good: replies of people, for checks.
        own: checks of the user's.

    Returns:
        The items in the order of their ids; what plan.json holds.

    Raises:
        UserError: there are too few contexts, judges or checks.
    """
    if config.num_items > len(contexts):
        raise UserError(
            f"expected at least {config.num_items:,} contexts (--num_items), found "
            f"{len(contexts):,} in the files; lower it"
        )
    order = list(range(len(contexts)))
    random.Random(f"{config.seed} contexts").shuffle(order)
    drawn, others = order[: config.num_items], order[config.num_items :]
    turns = [context.turns for context in contexts]
    judged = draw_judged(config, turns, systems, drawn)
    num_judges = number_of_judges(config, len(judged))
    # Contexts that are not judged come first, so that few are met twice.
    checks = draw_checks(config, turns, good, [*others, *drawn], own)
    # Checks of the user bring their own.
    told = [
        replace(item, speakers=contexts[item.context_index].speakers)
        if item.context_index < len(contexts)
        else item
        for item in [*judged, *checks]
    ]
    items = with_ids(told, random.Random(f"{config.seed} ids"))
    hands = deal(
        [item for item in items if item.purpose == "judged"],
        judges_per_item=config.judges_per_item,
        num_judges=num_judges,
        generator=random.Random(f"{config.seed} judges"),
    )
    common = [item for item in items if item.purpose != "judged"]
    generator = random.Random(f"{config.seed} pages")
    width = max(3, len(str(num_judges)))
    plan = {
        "format": PLAN_FORMAT,
        "version": PLAN_VERSION,
        "kind": config.kind,
        "seed": config.seed,
        "aspects": list(KINDS[config.kind].aspect_names),
        "items": [item.as_record() for item in items],
        "judges": [
            {
                "name": f"judge-{number:0{width}}",
                "items": [item.id for item in page_order(hand, common, generator)],
            }
            for number, hand in enumerate(hands, start=1)
        ],
    }
    return items, {**plan, "study": f"{config.study}-{plan_mark(plan)}"}


def _summary(
    config: MakeConfig, items: list[Item], plan: dict[str, Any], *, num_own: int
) -> list[str]:
    """Lines for the user."""
    judged = [item for item in items if item.purpose == "judged"]
    same = sum(len({one.text for one in i.shown}) < len(i.shown) for i in judged)
    num_checks = len(items) - len(judged)
    loads = [len(judge["items"]) - num_checks for judge in plan["judges"]]
    load = f"{min(loads):,}" if min(loads) == max(loads) else f"{min(loads):,} to {max(loads):,}"
    lines = [
        f"study {plan['study']}: {len(judged):,} items x {config.judges_per_item} judges = "
        f"{len(judged) * config.judges_per_item:,} judgments",
        f"{len(loads):,} pages of {load} judged items, {config.num_qualification} qualification "
        f"items and {config.num_spam_checks} spam checks each",
        f"written to {config.output}; {PLAN_FILE} is the key and stays with you",
    ]
    if same:
        lines.insert(1, f"{same:,} of the items show the same text twice")
    if num_own > num_checks:
        lines.insert(
            1,
            f"{config.checks}: {num_own:,} checks, of which {num_checks:,} are used; raise "
            "--num_qualification or --num_spam_checks for more",
        )
    return lines
