"""Nodes and weights of a compute graph (ONNX) whose large weights lie in a file beside it.

So they may be larger than the two GB of one message, are never all in memory while they are written, and are shared by
processes that read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Floats = npt.NDArray[np.float32]
MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operations."""
_PAGE = 4096
_SMALL = 256
"""Bytes of a tensor up to which it stands in the graph itself."""


class GraphParts:
    """Collects nodes and weights. `stream` takes the large ones, `file` is its name beside the graph."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        import onnx  # takes 0.3 s, and most starts find the graph in the cache

        self._onnx, self._stream, self._file = onnx, stream, file
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def made(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The graph of all that was collected."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._tensors)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return model

    def node(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        """One operation with one result."""
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [result], **attributes))
        return result

    def keep(self, name: str, value: npt.ArrayLike) -> str:
        """Constant numbers."""
        return self.tensor(name, np.asarray(value, np.float32))

    def tensor(self, name: str, value: npt.NDArray[Any]) -> str:
        """A constant; large ones go to the file of weights, each at the beginning of a page."""
        if value.nbytes <= _SMALL:
            self._tensors.append(self._onnx.numpy_helper.from_array(value, name))
            return name
        self._stream.seek(-self._stream.tell() % _PAGE, 1)
        place = {"location": self._file, "offset": self._stream.tell(), "length": value.nbytes}
        self._stream.write(np.ascontiguousarray(value).data)
        made = self._onnx.TensorProto(name=name, dims=value.shape, data_location=self._onnx.TensorProto.EXTERNAL)
        made.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        for key, item in place.items():
            made.external_data.add(key=key, value=str(item))
        self._tensors.append(made)
        return name
