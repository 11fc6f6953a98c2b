"""The table of operations that every runtime must do alike. A new one is a function, its questions and a line here."""

from __future__ import annotations

from . import face_questions, faces, match_questions, matching, pixel_questions, pixels
from .vectors import Operation

#: Of a pixel's coordinates where float32 is part of the way, and where all is float64.
_FLOAT32_PX, _FLOAT64 = 1e-3, 1e-9
_FACE = {"box": _FLOAT32_PX, "score": 1e-6, "landmarks": _FLOAT32_PX, "rotation": 1e-6, "pose": 1e-4}

OPERATIONS: tuple[Operation, ...] = (
    Operation("box_mean", pixels.shrink, pixel_questions.shrinkings, {"picture": 0}),
    Operation("stretch", pixels.stretch_grid, pixel_questions.stretchings, {"picture": 0}),
    Operation("sample", pixels.sample_points, pixel_questions.samplings, {"colors": 0}),
    Operation("letterbox", pixels.fit_letterbox, pixel_questions.letterboxings, {"picture": 0, "scale": 0}),
    Operation("tensor", pixels.lay_out, pixel_questions.layings, {"tensor": 0}),
    Operation("similarity", pixels.fit_similarity, pixel_questions.fittings, {"matrix": _FLOAT64}),
    Operation("align", pixels.align, pixel_questions.alignings, {"picture": 0}),
    Operation("to_source", faces.give_back, face_questions.returnings, {"points": _FLOAT64}),
    Operation("iou", faces.overlap, face_questions.overlappings, {"iou": 1e-15}),
    Operation("nms", faces.suppress, face_questions.suppressings, {"kept": 0}),
    Operation(
        "decode",
        faces.decode,
        face_questions.decodings,
        {"scores": 1e-6, "boxes": 1e-4, "landmarks": 1e-4, "rotations": 0},
    ),
    Operation("rotation", faces.rotation, face_questions.six_numbers, {"rotation": _FLOAT64}),
    Operation(
        "pose", faces.pose, face_questions.turns, {"yaw_deg": _FLOAT64, "pitch_deg": _FLOAT64, "roll_deg": _FLOAT64}
    ),
    Operation("detect", faces.detect, face_questions.detectings, _FACE),
    Operation("embedding", matching.embed, match_questions.raws, {"embedding": 1e-6}),
    Operation("cosine", matching.cosine, match_questions.comparisons, {"cosine": 1e-6}),
    Operation(
        "decision",
        matching.match,
        match_questions.decisions,
        {"calibrated": 0, "far": 0, "threshold": 0, "lenient": 0, "same": 0, "text": 0},
    ),
    Operation("gate", matching.gate, match_questions.gatings, {"refused": 0, "text": 0}),
    Operation("dequantize", matching.to_numbers, match_questions.integers, {"numbers": 0}),
    Operation("quantize", matching.to_integers, match_questions.floats, {"integers": 0}),
)
