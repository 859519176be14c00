"""The part of the build that setup.cfg cannot say: the compiled loops of extraction."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("data_prep/native")

setup(
    ext_modules=[
        Extension(
            "data_prep._native",
            sources=sorted(map(str, NATIVE.glob("*.c"))),
            depends=sorted(map(str, NATIVE.glob("*.h"))),
            extra_compile_args=["-O3"],
            # Without a C compiler everything works all the same, in Python and slower.
            optional=True,
        )
    ]
)
