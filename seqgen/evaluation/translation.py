"""How well a translator predicts given targets. How good its own translations are, `bleu` tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.data.batches import IGNORED
from seqgen.data.buckets import bucketed_batches
from seqgen.data.pairs import Example, PairCorpus, aligned, lengths_of
from seqgen.data.tokenizers import EOS_ID
from seqgen.evaluation.losses import Score
from seqgen.networks.translation import TranslationModel

PROTOCOL = "teacher forcing"
"""Every token of a target is predicted from those of people before it, not from the model's own."""
_PAIRS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class TargetScore(Score):
    """How well the tokens of targets are predicted."""

    @property
    def merit(self) -> float:
        """Minus the loss: the best weights are those that predict best."""
        return -self.loss_nats


class PairBatch(NamedTuple):
    """Pairs side by side, on the device of a model.

    Attributes:
        source: (S, B), padded at the beginning.
        lengths: Of the sources, (B,).
        inputs: The token before each target, EOS before the first, (T, B).
        targets: (T, B), IGNORED after the end.
    """

    source: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor


def batch_of(examples: Sequence[Example], device: torch.device) -> PairBatch:
    """Put pairs side by side."""
    sources = [example.source for example in examples]
    targets = aligned([example.target for example in examples], fill=IGNORED)
    begin = np.full((1, len(examples)), EOS_ID)
    inputs = np.concatenate([begin, targets[:-1]]).clip(min=EOS_ID)
    arrays = aligned(sources, fill=EOS_ID, at_end=True), lengths_of(sources), inputs, targets
    return PairBatch(*(torch.from_numpy(array).to(device) for array in arrays))


def score_targets(
    model: TranslationModel, corpus: PairCorpus, part: str, *, precision: torch.dtype = torch.float32
) -> TargetScore:
    """Return the mean loss of all target tokens of a part, ends included.

    Raises:
        ValueError: If the part is empty.
    """
    examples = corpus.examples(part)
    if not examples:
        raise ValueError(f"the {part} part is empty")
    device = model.combine.weight.device
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for numbers in bucketed_batches(lengths_of(example.target for example in examples), _PAIRS_AT_ONCE):
            batch = batch_of([examples[number] for number in numbers], device)
            features = model(batch.source, batch.lengths, batch.inputs, precision=precision)
            total += float(model.losses(features, batch.targets, precision=precision).double().sum())
            count += int((batch.targets != IGNORED).sum())
    model.train(was_training)
    chars = sum(len(pair.target) for pair in corpus.parts[part])
    return TargetScore(protocol=PROTOCOL, tokens=count, loss_nats=total / count, units={"chars": chars})
