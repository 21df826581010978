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
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # onnxruntime advises to optimise the graph first, which the exporter has done.
    logging.getLogger().addFilter(_not_the_advice)
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            # 7 bits: CPUs without VNNI add products in 16 bits, which could saturate.
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.getLogger().removeFilter(_not_the_advice)


def _not_the_advice(record: logging.LogRecord) -> bool:
    return 'pre-process' not in record.getMessage()
