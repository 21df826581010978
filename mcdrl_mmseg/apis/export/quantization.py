"""int8 weights for an ONNX file."""

from __future__ import annotations

import logging
from pathlib import Path

from .formats import require

# Convolutions stay: onnxruntime's integer ones are slower than its float ones.
_QUANTISED = ['MatMul', 'Gemm']


def quantize(source: Path, target: Path) -> None:
    """Keep the weights of matrix products as int8; activations follow at run time.

    Args:
        source: An ONNX file.
        target: The file to write.

    Raises:
        ExportError: onnxruntime is missing.
    """
    require('onnx', 'onnxruntime')
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It advises to optimise the graph first, which the exporter has done.
    logging.getLogger().addFilter(_not_the_advice)
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            # Seven bits: CPUs without VNNI add products in 16 bits, and clip the sum.
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.getLogger().removeFilter(_not_the_advice)


def _not_the_advice(record: logging.LogRecord) -> bool:
    return 'pre-process' not in record.getMessage()
