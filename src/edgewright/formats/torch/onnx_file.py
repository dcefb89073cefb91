"""A module as an ONNX file that ONNX Runtime runs fast."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgewright.errors import ModelError
from edgewright.formats.torch.export import Inputs, arguments, freed_twin, refusal, run, twin
from edgewright.formats.torch.translations import translations

_OPSET = 18


def export_onnx(module: nn.Module, example_inputs: Inputs, path: Path, *, dynamic_batch: bool = False) -> None:
    """Write the module in eval mode to an ONNX file, recurrent layers as the GRU and LSTM ops of ONNX.

    Batch normalization is folded into what stands before it; other parameters keep their names. The batch is that of
    the example inputs, or open with `dynamic_batch` (the first axis of every tensor). Raises ModelError, with nothing
    written, where the module can't be exported or the file not be written.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.onnx")
    try:
        with _quiet():
            _export(module, example_inputs, scratch, dynamic_batch)
        scratch.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def _export(module: nn.Module, example_inputs: Inputs, path: Path, dynamic_batch: bool) -> None:
    """The ways of exporting, one after the other until one succeeds; what the first fails for is said.

    With recurrent layers and attention as they are read, else as torch has them; last by tracing, which knows fewer
    modules but other ops.
    """
    args, kwargs = arguments(example_inputs)
    run(module, example_inputs)
    shapes = _open_batch((args, kwargs)) if dynamic_batch else None
    errors: list[Exception] = []
    for stacks_states in (False, True, None):
        try:
            torch.onnx.export(
                twin(module) if stacks_states is None else freed_twin(module, stacks_states),
                args,
                path,
                kwargs=kwargs,
                dynamo=True,
                opset_version=_OPSET,
                external_data=False,
                verbose=False,
                dynamic_shapes=None if shapes is None else (*shapes[0], *shapes[1].values()),
                custom_translation_table=translations(),
            )
            return
        except OSError:
            raise
        except Exception as error:
            errors.append(error)
    try:
        if kwargs or dynamic_batch:
            raise ModelError("tracing takes neither")
        torch.onnx.export(twin(module), args, path, dynamo=False, opset_version=_OPSET - 1)
    except Exception:
        raise ModelError(refusal(module, example_inputs, errors[0], "torch.onnx.export")) from errors[0]


def _open_batch(example: Any) -> Any:
    return torch.utils._pytree.tree_map(
        lambda value: {0: torch.export.Dim.DYNAMIC} if isinstance(value, torch.Tensor) and value.ndim else None, example
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter writes for its own developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
