"""Imports go one way: what stands in docs/architecture.md, checked on the syntax trees."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# First match decides. A module may import modules of a lower level, and of its own package.
LEVELS = [
    ("dialogpt.web", 5.5),
    ("dialogpt.web.*", 5.5),
    ("dialogpt.*.__main__", 5),
    ("dialogpt.chat", 5),
    ("dialogpt.evaluate", 5),
    ("dialogpt.report", 5),
    ("dialogpt.report.*", 5),
    ("dialogpt.import_checkpoint", 5),
    ("dialogpt.import_plato", 5),
    ("dialogpt.exporting", 5.5),
    ("dialogpt.exporting.*", 5.5),
    ("dialogpt.export", 6),
    ("dialogpt.latents", 5),
    ("dialogpt.oracle", 5),
    ("dialogpt.rerank", 5),
    ("dialogpt.responders", 4.7),
    ("dialogpt", 0),
    ("dialogpt.config", 0),
    ("dialogpt.records", 0),
    ("dialogpt.text", 0),
    ("dialogpt.dialogue_text", 0),
    ("dialogpt.copying", 0),
    ("dialogpt.seeding", 0),
    ("dialogpt.train.schedule", 0),
    ("dialogpt.command_line", 0.5),
    ("dialogpt.table_formats", 0.5),
    ("dialogpt.config.*", 1),
    ("dialogpt.folders", 1),
    ("dialogpt.distributed", 1),
    ("dialogpt.tokenizer_files", 1.3),
    ("dialogpt.wordpiece", 1.4),
    ("dialogpt.wordpiece_training", 1.45),
    ("dialogpt.tokenization", 1.5),
    ("dialogpt.fast_tokenizer", 1.6),
    ("dialogpt.run_log", 1.5),
    ("dialogpt.checkpoint", 1.7),
    ("dialogpt.data.*", 2),
    ("dialogpt.models.*", 3),
    ("dialogpt.plato.generate", 4.5),
    ("dialogpt.plato.loaded", 4.5),
    ("dialogpt.plato.measure", 4.5),
    ("dialogpt.plato.rank", 4.5),
    ("dialogpt.plato.respond", 4.5),
    ("dialogpt.plato.run", 4.5),
    ("dialogpt.plato.trainer", 4.5),
    ("dialogpt.plato.*", 3.2),
    ("dialogpt.train.*", 4),
    ("dialogpt.decode.*", 4),
    ("dialogpt.evaluation.*", 4.5),
    ("dialogpt.humaneval.*", 4.5),
    ("dialogpt.mmi_rl.*", 4.5),
    ("dialogpt.sweep.*", 4.5),
]
DATA_PREP_MAY_IMPORT = {
    "dialogpt",
    "dialogpt.records",
    "dialogpt.text",
    "dialogpt.dialogue_text",
    "dialogpt.tokenization",
    "dialogpt.wordpiece_training",
    "dialogpt.command_line",
    "dialogpt.folders",
    "dialogpt.data.chunks",
    "dialogpt.data.features",
    "dialogpt.data.manifest",
    "dialogpt.data.shards",
}
# One library, one owner: who else wants it asks the owner.
OWNERS = {
    "lmdb": ("dialogpt.data.shards",),
    "jsonargparse": ("dialogpt.command_line",),
    "sentencepiece": ("dialogpt.tokenization", "dialogpt.fast_tokenizer"),
    "tokenizers": ("dialogpt.tokenization", "dialogpt.wordpiece", "dialogpt.fast_tokenizer"),
    "accelerate": (
        "dialogpt.distributed",
        "dialogpt.train.",
        "dialogpt.mmi_rl.",
        "dialogpt.plato.measure",
    ),
    "transformers": ("dialogpt.models.",),
    "triton": ("dialogpt.models.",),
    "rensa": ("data_prep.duplicates.minhash",),
    "ahocorasick": ("data_prep.blocklists",),
    "datasets": ("data_prep.importing.hub_datasets",),
    "nltk": ("data_prep.published.dstc7_tokens", "dialogpt.evaluation.clean"),
    "jinja2": ("data_prep.reporting.page",),
    "pyspark": ("data_prep.spark.",),
    "py4j": ("data_prep.spark.",),
    "gradio": ("dialogpt.web.",),
    "fastapi": ("dialogpt.web.",),
    "uvicorn": ("dialogpt.web.",),
}
# Compiled from C: there is no Python file to read.
EXTENSIONS = {"data_prep._native"}
# Each reads objects that run code, or writes them.
FORBIDDEN = {"pickle", "shelve", "dill", "joblib", "marshal"}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in ("dialogpt", "data_prep")
    for path in sorted((ROOT / package).rglob("*.py"))
}


@cache
def imports_of(module: str) -> frozenset[str]:
    """Every module named in an import, at any depth of the file."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: import by the full name, not relatively"
            base = node.module or ""
            for alias in node.names:
                assert alias.name != "*", f"{module}: import * from {base}"
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in MODULES else base)
    return frozenset(found)


def level(module: str) -> float:
    for pattern, value in LEVELS:
        if pattern == module or Path(module.replace(".", "/")).match(pattern.replace(".", "/")):
            return value
    pytest.fail(f"{module} has no level: add it to LEVELS and to docs/architecture.md")


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("dialogpt")])
def test_dialogpt_imports_only_lower_levels_and_never_data_prep(module: str) -> None:
    package = module.rpartition(".")[0]
    for imported in imports_of(module) & set(MODULES):
        assert not imported.startswith("data_prep"), f"{module} imports {imported}"
        same_package = package != "dialogpt" and imported.rpartition(".")[0] == package
        assert same_package or level(imported) < level(module), f"{module} imports {imported}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("data_prep")])
def test_data_prep_imports_only_the_shared_modules(module: str) -> None:
    for imported in imports_of(module):
        if imported.startswith("dialogpt"):
            assert imported in DATA_PREP_MAY_IMPORT, f"{module} imports {imported}"


@cache
def names_in(module: str) -> frozenset[str]:
    """What a module defines, imports or assigns, at its top level or under an `if` or `try`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


@pytest.mark.parametrize("folder", ["benchmarks", "tests", "dialogpt", "data_prep"])
def test_every_imported_name_exists(folder: str) -> None:
    # Mypy sees the packages alone; a name that a test or a benchmark misses is found here,
    # in a second and not at the end of the suite.
    missing = []
    modules = EXTENSIONS | set(MODULES)
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                known = names_in(node.module)
                missing += [
                    f"{path.relative_to(ROOT)}:{node.lineno}: {node.module} has no {alias.name}"
                    for alias in node.names
                    if alias.name not in known and f"{node.module}.{alias.name}" not in modules
                ]
    assert not missing, "\n".join(missing)


def test_imports_have_no_cycle() -> None:
    graph = {module: imports_of(module) & set(MODULES) - {module} for module in MODULES}
    while graph:
        leaves = {module for module, needed in graph.items() if not needed & set(graph)}
        assert leaves, f"imports go in a circle among {sorted(graph)}"
        graph = {module: needed for module, needed in graph.items() if module not in leaves}


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_library_is_imported_by_its_owner_alone(library: str) -> None:
    users = {m for m in MODULES if any(i.split(".")[0] == library for i in imports_of(m))}
    strangers = {user for user in users if not user.startswith(OWNERS[library])}
    assert not strangers, f"{library} belongs to {OWNERS[library]}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_can_unpickle(module: str) -> None:
    assert not {name.split(".")[0] for name in imports_of(module)} & FORBIDDEN
    source = MODULES[module].read_text(encoding="utf-8")
    assert "allow_pickle=True" not in source
    assert "weights_only=False" not in source
