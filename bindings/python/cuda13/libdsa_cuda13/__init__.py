"""Where the CUDA module of libdsa is; the package libdsa reads it here."""

import os

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libdsa-cuda.so")
