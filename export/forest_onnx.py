"""Write a forest as ONNX, one TreeEnsembleRegressor: the same answers in any engine that runs classical models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .. import __version__
from ..runtime.forest import Forest

OPSET, OF_TREES = 18, 3


def write_forest(forest: Forest, path: Path) -> None:
    """Input ``features`` (batch, F) float32, output ``quality`` (batch, 1); the features' names are in the metadata."""
    ends = np.append(forest.roots[1:], len(forest.feature))
    tree = np.repeat(np.arange(len(forest.roots)), ends - forest.roots)
    node = np.arange(len(forest.feature)) - forest.roots[tree]
    inner = forest.feature >= 0
    leaves: dict[str, Any] = {
        "target_treeids": tree[~inner],
        "target_nodeids": node[~inner],
        "target_ids": np.zeros(np.count_nonzero(~inner), np.int64),
        "target_weights": forest.value[~inner],
    }
    nodes: dict[str, Any] = {
        "nodes_treeids": tree,
        "nodes_nodeids": node,
        "nodes_featureids": np.maximum(forest.feature, 0).astype(np.int64),
        "nodes_values": forest.threshold,
        "nodes_modes": np.where(inner, "BRANCH_LEQ", "LEAF"),
        "nodes_truenodeids": np.where(inner, node + 1, 0),
        "nodes_falsenodeids": np.where(inner, forest.right - forest.roots[tree], 0),
    }
    attributes = {name: values.tolist() for name, values in (nodes | leaves).items()}
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["quality"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="AVERAGE",
        **attributes,
    )
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(forest.names)])
    quality = helper.make_tensor_value_info("quality", TensorProto.FLOAT, ["batch", 1])
    graph = helper.make_graph([trees], "landmark_forest", [features], [quality])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OF_TREES)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name=f"pocketface {__version__}")
    helper.set_model_props(model, {"features": ",".join(forest.names)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
