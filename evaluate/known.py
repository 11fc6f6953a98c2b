"""Published networks of others whose files carry no contract: how to feed them, told by the SHA-256 of the file.

They serve as teachers, as yardsticks and as a second opinion on our own runtime. None of them is shipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..artifact import Artifact, atomic, digest, load_artifact, sidecar_path, write_sidecar
from ..contract import ARCFACE_TEMPLATE, Detection, InputSpec, ModelContract, Recognition
from ..errors import InvalidModel

_RETAIL = "6a1fe1e040b1bc0a42f8ac130a72a71e4beb3c2d3323f024439fee567a7cccba"
_SFACE = "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
_YUNET_320 = "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2"
_YUNET = "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"

#: In its square of 128 pixels, from the shares of a side that Open Model Zoo's documentation gives.
_RETAIL_TEMPLATE = (
    (40.3968, 59.0848),
    (87.3856, 58.8544),
    (64.0384, 81.984),
    (44.736, 105.5616),
    (83.6352, 105.3696),
)
_YUNET_OUTPUTS = {
    f"{kind}_{stride}": f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)
}
_YUNET_TASK = Detection(decoder="yunet", score_threshold=0.6, nms_iou=0.3)


def _contract(
    sha256: str, model: str, parameters: int, task: Recognition | Detection, input: InputSpec
) -> ModelContract:
    outputs = {_RETAIL: {"embedding": "output"}, _SFACE: {"embedding": "fc1"}}.get(sha256, _YUNET_OUTPUTS)
    return ModelContract(
        model=model,
        task=task,
        input=input,
        outputs=outputs,
        fingerprint=sha256,
        weights=model,
        trained=True,
        parameters=parameters,
    )


#: SHA-256 of the file -> its contract. All four are under Apache-2.0.
KNOWN: Mapping[str, ModelContract] = {
    _RETAIL: _contract(
        _RETAIL,
        "face-reidentification-retail-0095",
        1_107_000,
        Recognition(embedding_size=256, normalized=False, template=_RETAIL_TEMPLATE),
        InputSpec(name="input", layout="NCHW", height=128, width=128, color="BGR", dynamic_batch=True),
    ),
    _SFACE: _contract(
        _SFACE,
        "face_recognition_sface_2021dec",
        0,
        Recognition(embedding_size=128, normalized=False, template=ARCFACE_TEMPLATE),
        InputSpec(name="data", layout="NCHW", height=112, width=112),
    ),
    _YUNET_320: _contract(
        _YUNET_320,
        "yunet_n",
        75_856,
        _YUNET_TASK,
        InputSpec(name="input", layout="NCHW", height=320, width=320, color="BGR"),
    ),
    _YUNET: _contract(
        _YUNET,
        "yunet_n",
        75_856,
        _YUNET_TASK,
        InputSpec(name="input", layout="NCHW", height=640, width=640, color="BGR", size_step=32, dynamic_batch=True),
    ),
}


def adopt(file: Path, folder: Path) -> Artifact:
    """A file of others as an artifact: one that has a contract as it is, a known one copied and given its contract.

    Args:
        file: a model file.
        folder: where the copy goes; the file itself is not touched.

    Raises:
        InvalidModel: a file that has no contract and is none of the known ones.
        OutputError: the folder cannot be written to.
    """
    if not file.is_file():
        return load_artifact(file)  # says what is wrong with it
    contract = KNOWN.get(digest(file)[0])
    if contract is None:
        try:
            return load_artifact(file)
        except InvalidModel as e:
            names = ", ".join(sorted({known.model for known in KNOWN.values()}))
            raise InvalidModel(f"{e}; of other people's networks only {names} are known") from e
    copy = folder / file.name
    if not sidecar_path(copy).is_file():
        with atomic(copy) as temporary:
            shutil.copyfile(file, temporary)
        write_sidecar(copy, contract)
    return load_artifact(copy)
