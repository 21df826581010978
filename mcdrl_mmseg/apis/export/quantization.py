"""int8 weights for an ONNX file."""

from __future__ import annotations

import logging
from pathlib import Path

from .formats import require

# Not convolutions: in onnxruntime integer convolutions are slower than float ones.
_QUANTISED = ['MatMul', 'Gemm']


def quantize(source: Path, target: Path) -> None:
    """Quantise the weights of matrix products to int8, and activations at run time.

    Args:
        source: An ONNX file.
        target: The file to write.

    Raises:
        ExportError: onnxruntime is missing.
    """
    require('onnx', 'onnxruntime')
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(source, load_external_data=False).graph
    vectors = {weight.name for weight in graph.initializer if len(weight.dims) < 2}
    # onnxruntime advises to optimise the graph first, which the exporter has done.
    logging.getLogger().addFilter(_not_the_advice)
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=_QUANTISED,
            # A product with a vector has no channels, and gets scales of one too many.
            nodes_to_exclude=[
                node.name
                for node in graph.node
                if node.op_type == 'MatMul' and vectors.intersection(node.input)
            ],
            per_channel=True,
            # 7 bits: CPUs without VNNI add products in 16 bits, which could saturate.
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.getLogger().removeFilter(_not_the_advice)


def _not_the_advice(record: logging.LogRecord) -> bool:
    return 'pre-process' not in record.getMessage()
