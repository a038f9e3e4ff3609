from rmedge.kernels.plain import between as between
from rmedge.kernels.plain import constant as constant
from rmedge.kernels.plain import feel as feel
from rmedge.kernels.plain import finite as finite
from rmedge.kernels.plain import passes as passes
from rmedge.kernels.plain import plan as plan
from rmedge.kernels.plain import steady as steady
