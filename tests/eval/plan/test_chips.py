"""Names of slices: those of libtpu, and those that people say."""

import pytest

from wamjax.core.errors import UserError
from wamjax.eval.plan.chips import CHIPS, FAMILIES, shapes_of, slice_of


@pytest.mark.parametrize(
    ("said", "name", "chips", "devices"),
    [
        ("v5p:4x4x8", "v5p:4x4x8", 128, 128),
        ("v5p-256", "v5p:4x4x8", 128, 128),
        ("v5p-8", "v5p:2x2x1", 4, 4),
        ("v4-64", "v4:2x4x4", 32, 32),
        ("v5litepod-256", "v5e:16x16", 256, 256),
        ("v5e:4x8", "v5e:4x8", 32, 32),
        ("v6e-256", "v6e:16x16", 256, 256),
        ("trillium-8", "v6e:2x4", 8, 8),
        ("v7x-128", "tpu7x:4x4x4", 64, 128),
        ("ironwood:4x4x8", "tpu7x:4x4x8", 128, 256),
        ("tpu7x:64", "tpu7x:4x4x4", 64, 128),
        ("H200:8", "H200:8", 8, 8),
        ("h100-8", "H100:8", 8, 8),
    ],
)
def test_what_people_say(said: str, name: str, chips: int, devices: int):
    found = slice_of(said)
    assert (found.name, found.chips, found.devices) == (name, chips, devices)


def test_several_slices():
    found = slice_of("v5p-128", 2)
    assert (found.name, found.chips) == ("2 x v5p:4x4x4", 128)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("v5p", "is no slice: write it as"),
        ("v9:4x4", "no accelerator that is known: choose one of v4, v5e"),
        ("v5p:4x4", "2 axes, and a slice of v5p has 3"),
        ("v5e-7", r"no size of v5e that is rented: choose one of v5e-1, v5e-4"),
        ("v5p-9", "no size of v5p"),
        ("v6e:0x4", "has no size"),
        ("H200:2x4", "GPUs have a number"),
        ("v5e:4x", "has no size"),
    ],
)
def test_what_is_no_slice_is_refused(said: str, text: str):
    with pytest.raises(UserError, match=text):
        slice_of(said)


def test_slices_are_a_number():
    with pytest.raises(UserError, match="--slices must be from 1"):
        slice_of("v5p-8", 0)


def test_every_family_has_a_chip_and_every_shape_its_axes():
    assert {family for family, _ in FAMILIES.values()} <= set(CHIPS)
    for chip in CHIPS.values():
        for chips, shape in shapes_of(chip).items() if chip.axes else ():
            assert len(shape) == chip.axes
            product = 1
            for length in shape:
                product *= length
            assert product == chips
