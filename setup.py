"""What setup.cfg cannot say: the kernels in C, which are compiled where there is a compiler."""

import os

from setuptools import Extension, setup

try:
    import numpy
except ImportError:  # nothing to compile against: numpy's own loops do
    numpy = None

KERNELS = "rmedge/kernels/compiled.c"
FLAGS = ["-O3", "-ffp-contract=off"]  # a product and a sum are rounded each, as numpy does
plain = numpy is None or os.environ.get("RMEDGE_KERNELS") == "plain"  # a wheel for every machine

setup(
    ext_modules=[]
    if plain
    else [
        Extension(
            "rmedge.kernels.compiled",
            [KERNELS],
            include_dirs=[numpy.get_include()],
            extra_compile_args=FLAGS,
            optional=True,
        )
    ]
)
