"""What pyproject.toml cannot say: the compiled passes. Where no compiler is, numpy does the same, slower."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "colorize._compiled",
            ["colorize/_compiled.c"],
            depends=["colorize/_passes.h"],
            extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
            optional=True,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
