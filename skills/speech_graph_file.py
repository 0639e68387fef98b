"""Writes a compute graph (ONNX) and its weights into a folder; what is common to the two graphs of the recogniser.

Linear maps come in three forms. `float32`: as the weights are. `rows`: eight bits, each row of the input with a step of
its own that is found when it runs, weights rounded per output column within ±64 so that every CPU gives the same
integers; the fastest for many rows. `blocks`: eight bits in blocks of 32 for weights and inputs, the most exact, and
the fastest for one row. In all three a row's result does not depend on what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from skills.graph_parts import MICROSOFT, Floats, GraphParts

if TYPE_CHECKING:
    import onnx

Form = Literal["float32", "rows", "blocks"]
_LIMIT = 64
_BLOCK = 32


class GraphFile(GraphParts):
    """Collects nodes and weights; method names say what a node does. Values are known by their names."""

    def __init__(self, folder: Path, name: str, weights: Mapping[str, Floats], form: Form) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__((folder / f"{name}.bin").open("wb"), f"{name}.bin")
        self._folder, self._name = folder, name
        self.weights, self.form = weights, form
        self._inputs: list[onnx.ValueInfoProto] = []
        self._bytes: dict[str, tuple[str, str]] = {}

    def write(self, outputs: list[str]) -> Path:
        """Close the files; the graph's path."""
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        self._stream.close()
        values = [helper.make_tensor_value_info(name, kinds.FLOAT, None) for name in outputs]
        path = self._folder / f"{self._name}.onnx"
        path.write_bytes(self.made(self._name, self._inputs, values).SerializeToString())
        return path

    def input(self, name: str, kind: str, size: list[str | int]) -> str:
        """Something that is given at each run."""
        code = getattr(self._onnx.TensorProto, kind)
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, code, size))
        return name

    def split(self, kind: str, inputs: list[str], results: list[str], **attributes: Any) -> list[str]:
        """One operation with several results."""
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, results, **attributes))
        return results

    def fused(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        """An operation of onnxruntime's own."""
        return self.node(kind, inputs, result, domain=MICROSOFT, **attributes)

    def whole(self, name: str, *values: int) -> str:
        """Constant integers."""
        return self.tensor(name, np.array(values, np.int64))

    def norm(self, value: str, name: str, result: str) -> str:
        """A layer norm with the checkpoint's weights."""
        kept = [self.keep(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.node("LayerNormalization", [value, *kept], result, axis=-1, epsilon=1e-5)

    def linear(self, value: str, matrix: Floats, bias: Floats | None, result: str) -> str:
        """`value` @ matrix + bias; matrix is (in, out)."""
        if self.form == "rows":
            return self._rows(value, matrix, bias, result)
        kept = "" if bias is None else self.keep(f"{result}.bias", bias)
        if self.form == "blocks":
            return self._blocks(value, matrix, kept, result)
        inputs = [value, self.keep(f"{result}.matrix", matrix)]
        if not kept:
            return self.node("MatMul", inputs, result)
        return self.node("Add", [self.node("MatMul", inputs, f"{result}.unbiased"), kept], result)

    def _rows(self, value: str, matrix: Floats, bias: Floats | None, result: str) -> str:
        step = np.maximum(np.abs(matrix).max(axis=0) / _LIMIT, 1e-12)
        rounded = np.clip(np.rint(matrix / step), -_LIMIT, _LIMIT).astype(np.int8)
        data, scale = self._row_bytes(value)
        inputs = [data, self.tensor(f"{result}.matrix", rounded), self._once("one", np.float32(1))]
        inputs += [self.keep(f"{result}.step", step), self._once("middle", np.uint8(128))]
        made = self.fused("MatMulIntegerToFloat", inputs, f"{result}.unscaled")
        scaled = self.node("Mul", [made, scale], result if bias is None else f"{result}.unbiased")
        return scaled if bias is None else self.node("Add", [scaled, self.keep(f"{result}.bias", bias)], result)

    def _row_bytes(self, value: str) -> tuple[str, str]:
        """The bytes of a value, and the step of each row; made once for all maps of the value."""
        if value not in self._bytes:
            self._bytes[value] = self._rounded(value)
        return self._bytes[value]

    def _rounded(self, value: str) -> tuple[str, str]:
        size = self.node("Abs", [value], f"{value}.size")
        most = self.node("ReduceMax", [size, self._once("last", np.array([-1], np.int64))], f"{value}.most", keepdims=1)
        share = self.node("Mul", [most, self._once("share", np.float32(1 / 127))], f"{value}.share")
        scale = self.node("Max", [share, self._once("least", np.float32(1e-12))], f"{value}.step")
        units = self.node("Div", [value, scale], f"{value}.units")
        ends = [self._once("one", np.float32(1)), self._once("middle", np.uint8(128))]
        return self.node("QuantizeLinear", [units, *ends], f"{value}.bytes"), scale

    def _blocks(self, value: str, matrix: Floats, bias: str, result: str) -> str:
        width, outputs = matrix.shape
        blocks = np.ascontiguousarray(matrix.T).reshape(outputs, width // _BLOCK, _BLOCK)
        step = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / 127, 1e-12)
        rounded = (np.rint(blocks / step) + 128).astype(np.uint8)
        inputs = [value, self.tensor(f"{result}.matrix", rounded), self.keep(f"{result}.step", step[..., 0])]
        inputs += ["", "", bias] if bias else []
        sizes = {"K": width, "N": outputs, "bits": 8, "block_size": _BLOCK, "accuracy_level": 4}
        return self.fused("MatMulNBits", inputs, result, **sizes)

    def _once(self, name: str, value: npt.ArrayLike) -> str:
        """A small constant that many nodes use."""
        if all(tensor.name != name for tensor in self._tensors):
            self._tensors.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name
