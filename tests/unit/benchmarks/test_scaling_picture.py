import pytest

from benchmarks.scaling_picture import draw, speedups


def _result(size, gpus, rate, accumulation=1):
    return {
        "size": size,
        "way": "ddp",
        "tokens": 1024,
        "accumulation": accumulation,
        "gpus": gpus,
        "tokens_per_second": rate,
    }


def test_rates_are_to_one_gpu_of_the_same_kind_of_work():
    results = [_result("117M", 2, 180.0), _result("117M", 1, 100.0)]
    results += [_result("117M", 1, 50.0, 4), _result("117M", 4, 190.0, 4), _result("345M", 2, 9.0)]
    results.append(_result("762M", 1, 3.0))  # of one number of GPUs alone there is nothing to draw
    assert speedups(results) == {
        "117M, DDP, 1 x 1,024 tokens": {1: 1.0, 2: 1.8},
        "117M, DDP, 4 x 1,024 tokens": {1: 1.0, 4: 3.8},
    }


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    draw([_result("117M", 1, 100.0), _result("117M", 2, 190.0)], tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
