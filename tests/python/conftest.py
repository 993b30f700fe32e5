import numpy as np
import pytest

import libdsa


class OnlyDlpack:
    """What PyTorch and others look like from here: nothing but the DLPack protocol."""

    def __init__(self, array, versioned=True):
        self.array = array
        self.versioned = versioned

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        if not self.versioned and options:
            raise TypeError("__dlpack__() got an unexpected keyword argument")
        return self.array.__dlpack__(**options)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def ctx():
    with libdsa.Context(num_threads=2) as context:
        yield context
