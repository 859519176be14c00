import pytest

from dialogpt.records import write_text


def test_a_write_that_fails_leaves_the_former_file(tmp_path):
    path = tmp_path / "config.yaml"
    write_text(path, "former\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")  # stands for a kill: nothing can encode it
    assert path.read_text() == "former\n"
