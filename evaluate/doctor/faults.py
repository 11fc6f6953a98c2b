"""What goes wrong when a model moves into an app, each with the one sentence that says what to change there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that an app does wrong.

    Attributes:
        name: as tables and JSON call it.
        cure: what to change in the app.
    """

    name: str
    cure: str


HEALTHY = Fault("healthy", "Nothing: the app does what the contract says.")
STALE = Fault(
    "stale model",
    "Ship the file that was named here: the app's answers relate to each other as this model's do, but come from other "
    "weights, or from a preparation that is not in the table.",
)
UNKNOWN = Fault(
    "unknown",
    "Nothing in the table makes such answers: feed one golden picture, dump the input tensor and compare it first.",
)

_CURES = {
    "channels swapped": "Hand the channels over in the contract's order: swap red and blue before the model.",
    "normalisation doubled": "Feed the pixel values that the contract asks for: the graph (or a call before) already "
    "subtracts mean and divides by std, so drop one of the two.",
    "normalisation missing": "Subtract the contract's mean and divide by its std before the model.",
    "wrong normalisation": "Use the contract's mean and std; the app uses those of another network.",
    "layout confused": "Fill the input tensor in the contract's layout: the app writes NHWC where NCHW is meant, "
    "or the other way round.",
    "blank input": "Copy the picture into the input buffer before the run, and wait for it to be filled.",
    "mirrored": "Do not flip the picture (front cameras do), or flip what comes out back.",
    "turned": "Turn the picture upright by its EXIF or sensor orientation before anything else.",
    "not aligned": "Cut the face out by its five landmarks (similarity transform to the contract's template), "
    "not by the detector's box.",
    "wrong crop scale": "Use the contract's template at the input's own size; the app's crops are cut by another.",
    "landmarks out of order": "Order the landmarks left eye, right eye, nose, left and right mouth corner as seen in "
    "the picture; the app swaps left and right.",
    "not dequantized": "Turn the output's integers into numbers: (q - zero_point) * scale of that tensor.",
    "not L2-normalised": "Divide each embedding by its length before it is compared or stored.",
    "float16 overflow": "Run the model in float32, or keep in float32 the layers that overflow; "
    "NaN, infinity or zeros must never be stored as an embedding.",
    "wrong order": "Keep each answer with its own picture: the app's results are shuffled or late by some frames.",
    "stuck picture": "Refill the input for every picture, and copy the output before the next run: every answer is the "
    "same picture's.",
    "letterbox not undone": "Divide coordinates by the letterbox's scale to get from the input's pixels to the "
    "picture's.",
    "letterbox centred": "Put the scaled picture at the top left of the input, or subtract the border before dividing "
    "by the scale.",
    "stretched": "Keep the picture's aspect: scale both sides alike and fill the rest with 0.",
    "xywh for xyxy": "Read boxes as x1, y1, x2, y2: the app takes (or gives) width and height, or a centre.",
    "normalised coordinates": "Give coordinates in pixels: multiply by the picture's width and height.",
    "NMS missing": "Suppress overlapping boxes by the contract's nms_iou.",
    "wrong threshold": "Use the contract's score_threshold.",
    "x and y swapped": "Read points as x, y: the app reads y, x.",
    "not decoded": "Decode the raw maps first: add each cell's position, undo the logarithm, multiply by the stride.",
}

#: Name -> fault, for all that a hypothesis can stand for.
FAULTS = {name: Fault(name, cure) for name, cure in _CURES.items()}
