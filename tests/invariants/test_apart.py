"""`Updater.apart`: ranks that keep their gradients do not stay copies of one another."""

from pathlib import Path

from safetensors.torch import load_file
from support_forks import start_forked
from support_train import environment, free_port

TESTS = Path(__file__).parent.parent


def test_ranks_are_copies_unless_they_keep_their_gradients(tmp_path):
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    processes = [
        start_forked(
            "support_apart",
            [str(tmp_path)],
            folder=TESTS,
            environment={**environment(), **address, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    weights = {path.name: load_file(path) for path in tmp_path.iterdir()}
    # DDP averages the same way on both, so together they are the same to the last bit.
    assert differ(weights["0-together"], weights["1-together"]) == set()
    assert "language_model.transformer.h.0.mlp.c_fc.weight" in differ(
        weights["0-apart"], weights["1-apart"]
    )


def differ(some, others):
    assert some.keys() == others.keys()
    return {name for name, value in some.items() if not value.equal(others[name])}
