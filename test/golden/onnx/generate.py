"""Writes the ONNX fixtures: the golden models of ../models as a common exporter writes them, with a cache of keys and values.

    python generate.py

Layout and versions: README.md, versions.json.
"""

from __future__ import annotations

import json
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import main_export

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
PACKAGES = ("ml_dtypes", "numpy", "onnx", "onnxruntime", "optimum", "optimum-onnx", "torch", "transformers")
EXTERNAL_BYTES = 1024  # tensors from this size on are external data


def export(name: str, opset: int) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        main_export(
            str(MODELS / name),
            output=folder,
            task="text-generation-with-past",
            opset=opset,
            do_validation=False,
            no_post_process=False,
        )
        return onnx.load(Path(folder) / "model.onnx")


def behind_passages(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weight of layer 0's down-projection behind Transpose and Identity, that of layer 1 in bfloat16 behind a Cast."""
    graph = model.graph
    products = {node.name: node for node in graph.node if node.op_type == "MatMul"}
    stored = {tensor.name: tensor for tensor in graph.initializer}

    def replace(layer: int, tensor: onnx.TensorProto, passages: list[onnx.NodeProto]) -> None:
        product = products[f"/model/layers.{layer}/mlp/down_proj/MatMul"]
        graph.initializer.remove(stored[product.input[1]])
        graph.initializer.append(tensor)
        product.input[1] = passages[-1].output[0]
        at = list(graph.node).index(product)
        for passage in reversed(passages):
            graph.node.insert(at, passage)

    def weight(layer: int) -> np.ndarray:
        return numpy_helper.to_array(stored[products[f"/model/layers.{layer}/mlp/down_proj/MatMul"].input[1]])

    turned = numpy_helper.from_array(np.ascontiguousarray(weight(0).T), "turned")
    replace(0, turned, [
        helper.make_node("Identity", ["turned"], ["turned_again"]),
        helper.make_node("Transpose", ["turned_again"], ["weight_0"], perm=[1, 0]),
    ])
    half = numpy_helper.from_array(weight(1).astype(ml_dtypes.bfloat16), "half")
    replace(1, half, [helper.make_node("Cast", ["half"], ["weight_1"], to=TensorProto.FLOAT)])
    return model


def all_kinds() -> onnx.ModelProto:
    """One of each: kinds of storage, a subgraph, a function, a sparse constant, an annotation. y = (x > 0 ? x + 2 : x) doubled."""
    values = [1.5, -2.0, 0.0]
    constants = [
        helper.make_tensor("raw", TensorProto.FLOAT, [3], np.float32(values).tobytes(), raw=True),
        helper.make_tensor("floats", TensorProto.FLOAT, [3], values),
        helper.make_tensor("doubles", TensorProto.DOUBLE, [3], values),
        helper.make_tensor("halves", TensorProto.FLOAT16, [3], values),
        helper.make_tensor("bfloats", TensorProto.BFLOAT16, [3], values),
        helper.make_tensor("ints", TensorProto.INT32, [3], [1, -2, 0]),
        helper.make_tensor("longs", TensorProto.INT64, [3], [1, -2, 0]),
        helper.make_tensor("bytes", TensorProto.UINT8, [3], [1, 2, 0]),
        helper.make_tensor("signed", TensorProto.INT8, [3], [1, -2, 0]),
        helper.make_tensor("flags", TensorProto.BOOL, [3], [True, True, False]),
        helper.make_tensor("words", TensorProto.STRING, [1], [b"text"]),
    ]
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [1], [3.0]),
        helper.make_tensor("sparse_at", TensorProto.INT64, [1], [2]),
        [4],
    )
    number = helper.make_tensor("", TensorProto.FLOAT, [], [2.0])

    def branch(name: str, nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [])])

    nodes = [
        helper.make_node("Constant", [], ["two"], name="two", value=number),
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("Greater", ["x", "zero"], ["positive"]),
        helper.make_node(
            "If",
            ["positive"],
            ["chosen"],
            then_branch=branch("more", [helper.make_node("Add", ["x", "two"], ["more"])]),
            else_branch=branch("same", [helper.make_node("Identity", ["x"], ["same"])]),
        ),
        helper.make_node("Double", ["chosen"], ["y"], domain="made.up"),
    ]
    double = helper.make_function(
        "made.up", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    port = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "kinds", port[:1], port[1:], constants, sparse_initializer=[sparse])
    annotation = graph.quantization_annotation.add(tensor_name="raw")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="floats")
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("made.up", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[double], ir_version=9)
    helper.set_model_props(model, {"author": "nobody"})
    return model


def main() -> None:
    onnx.save_model(all_kinds(), HERE / "kinds.onnx")
    onnx.save_model(behind_passages(export("llama", 18)), HERE / "llama-passages.onnx")
    onnx.save_model(export("llama", 14), HERE / "llama-opset14.onnx")
    onnx.save_model(export("gpt2", 18), HERE / "gpt2-opset18.onnx")
    onnx.save_model(export("gpt_neox", 18), HERE / "gpt_neox-opset18.onnx")
    onnx.save_model(convert_float_to_float16(export("llama", 17)), HERE / "llama-float16.onnx")
    folder = HERE / "llama-external"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx_data").unlink(missing_ok=True)
    onnx.save_model(
        export("llama", 18),
        folder / "model.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="model.onnx_data",
        size_threshold=EXTERNAL_BYTES,
    )
    (folder / "model.onnx_data").chmod(0o644)
    versions = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    (HERE / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
