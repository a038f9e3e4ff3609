"""What setup.cfg cannot say: the kernels in C, which are compiled where there is a compiler."""

import os

from setuptools import Extension, setup


def kernels() -> list:
    """The extension; none where numpy's own loops are asked for, so that a wheel is for every machine."""
    if os.environ.get("RMEDGE_KERNELS") == "plain":
        return []
    import numpy

    return [
        Extension(
            "rmedge.kernels.compiled",
            ["rmedge/kernels/compiled.c"],
            include_dirs=[numpy.get_include()],
            # a product and a sum are rounded each, as in numpy
            extra_compile_args=["-O3", "-ffp-contract=off"],
            optional=True,
        )
    ]


setup(ext_modules=kernels())
