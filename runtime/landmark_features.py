"""What box and landmarks alone say of a face: how large it is, where it looks, and whether the landmarks fit a face.

The features of a forest that screens faces before anything is cut out or embedded. Their choice is ours: of the paper
that had the idea (arXiv 2507.15961), normalised landmarks into a random forest, only the abstract is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedFace

_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
#: Names of the features, in their order.
FEATURES = (
    *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),  # in the box: 0 left or top, 1 right or bottom
    "eyes_px",  # distance of the eyes
    "eyes_share",  # of the box's width
    "roll_rad",  # of the line through the eyes
    "yaw",  # the nose's offset from the middle of the eyes, along them, in distances of the eyes
    "pitch",  # how far down from the eyes to the mouth the nose is
    "eye_nose_ratio",  # left distance, of both together
    "mouth_share",  # width of the mouth in distances of the eyes
    "side_px",  # of a square as large as the box
    "aspect",  # of the box, width by height
    "score",  # of the detector
)
_LEAST = 1e-6  # pixels; keeps a quotient finite where landmarks fall together


def landmark_features(face: DetectedFace) -> NDArray[np.float32]:
    """``(len(FEATURES),) float32`` of one face, all finite if its box and landmarks are."""
    box, points = face.box.astype(np.float64), face.landmarks.astype(np.float64)
    size = np.maximum(box[2:] - box[:2], _LEAST)
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    along, eyes, mouth = right_eye - left_eye, (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    apart = max(float(np.hypot(*along)), _LEAST)
    unit = along / apart
    down = np.array([-unit[1], unit[0]])  # across the line of the eyes, towards the mouth
    height = float((mouth - eyes) @ down)
    to_nose = [float(np.hypot(*(nose - eye))) for eye in (left_eye, right_eye)]
    values = [
        *((points - box[:2]) / size).ravel(),
        apart,
        apart / size[0],
        np.arctan2(along[1], along[0]),
        float((nose - eyes) @ unit) / apart,
        float((nose - eyes) @ down) / (height if abs(height) > _LEAST else _LEAST),
        to_nose[0] / max(sum(to_nose), _LEAST),
        float(np.hypot(*(right_mouth - left_mouth))) / apart,
        np.sqrt(size[0] * size[1]),
        size[0] / size[1],
        face.score,
    ]
    return np.clip(np.array(values), -1e6, 1e6).astype(np.float32)
