"""What training a classifier optimises, by what its best weights are chosen, and how its layers wake up.

Fine-tuning a language model follows Howard and Ruder (2018): each layer learns at a share of the rate of the
one above it (discriminative rates), and the layers begin to learn one after the other from the top (gradual
unfreezing). What the model does not come with, pooling, output and reverse layers, learns from the start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqgen.artifacts import write_artifact
from seqgen.config import Config
from seqgen.data.batches import Integers
from seqgen.data.buckets import padded
from seqgen.data.examples import LabelledCorpus, Part
from seqgen.evaluation.classification import LabelScore, score_part
from seqgen.networks.classifier import Classifier
from seqgen.training.adversarial import adversarial_loss
from seqgen.training.card import classifier_card

_SECOND_READING = 1 << 19
"""Between the seeds of a step's readings; those of steps lie 1 << 20 apart."""


class Classification:
    """Learns the labels of a corpus; an `Objective` of `seqgen.training.supervised`.

    Args:
        corpus: The examples and the configuration.
        model: The classifier, on its device.
        source: What the artifact is to say of its corpus.
    """

    def __init__(self, corpus: LabelledCorpus, model: Classifier, source: Mapping[str, Any]) -> None:
        self.corpus, self.model, self.source = corpus, model, dict(source)
        self.config: Config = corpus.config
        self.train: Part = corpus.parts["train"]
        self.lengths: Integers = self.train.lengths
        self.outcomes = len(self.config.classify.labels)
        self.device = model.embedding.weight.device
        self.weights = _class_weights(self.config, self.train.labels)

    def loss(self, examples: Integers, *, seed: int, progress: float, precision: torch.dtype) -> Tensor:
        """Return the mean loss of examples, tokens of which are hidden by chance."""
        tokens, lengths, labels = self._batch(examples, seed)
        weights = None if self.weights is None else self.weights.to(self.device)
        smoothing = self.config.training.label_smoothing

        def loss_of(vectors: Tensor | None, reading: int) -> Tensor:
            own = seed + reading * _SECOND_READING
            logits = self.model(tokens, lengths, vectors=vectors, seed=own, precision=precision)
            return self.model.losses(logits, labels, weights=weights, smoothing=smoothing)

        strength = self.config.classify.adversarial
        if not strength:
            return loss_of(None, 0)
        return adversarial_loss(lambda: self.model.embedding.weight[tokens], loss_of, strength)

    def _batch(self, examples: Integers, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens (T, B), lengths (B,) and labels (B,) on the model's device."""
        tokens, lengths = padded([self.train.ids[example] for example in examples])
        hidden = np.random.default_rng(seed).random(tokens.shape) < self.config.classify.word_dropout
        unknown = self.corpus.tokenizer.unk_id
        tokens[hidden] = self.corpus.tokenizer.eos_id if unknown is None else unknown
        arrays = tokens, lengths, self.train.labels[examples]
        batch = tuple(torch.from_numpy(array).to(self.device) for array in arrays)
        return batch[0], batch[1], batch[2]

    def validate(self, *, precision: torch.dtype) -> LabelScore | None:
        """Score the validation part."""
        part = self.corpus.parts["valid"]
        if not len(part):
            return None
        labels, by = self.config.classify.labels, measure_of(self.config)
        return score_part(self.model, part, labels, by=by, precision=precision)

    def rate_share(self, parameter: str, epoch: float) -> float:
        """Return what part of the rate a parameter has by how deep it lies, and whether it is awake."""
        depth = self._depth(parameter)
        settings = self.config.classify
        return settings.rate_decay**depth if epoch >= depth * settings.unfreeze_epochs else 0.0

    def _depth(self, parameter: str) -> int:
        """Return 0 for what is new, 1 for the top layer, and so on down to the embedding."""
        begin_anew = self.config.model.cell == "bow" or self.config.classify.vectors_only
        layers = 0 if begin_anew else self.config.model.layers
        if parameter.startswith("embedding."):
            return layers + 1
        if parameter.startswith("reader.encoder.") and layers:
            return layers - int(parameter.split(".")[2])
        return 0

    def write(self, path: Path, *, history: list[dict[str, Any]], scores: Mapping[str, Any]) -> None:
        """Write the model as it stands."""
        named = self.model.named_parameters()
        parameters = self.model.parameter_count()
        card = classifier_card(path.name, self.config, self.source, scores, parameters, history)
        write_artifact(
            path,
            config=self.config,
            weights={name: parameter.detach().float().cpu().numpy() for name, parameter in named},
            tokenizer=self.corpus.tokenizer,
            history=history,
            source=self.source,
            scores=scores,
            card=card,
        )


def measure_of(config: Config) -> str:
    """Return by what the best weights are chosen: where classes count alike, macro-F1."""
    return "macro_f1" if config.classify.class_weights == "balanced" else "accuracy"


def _class_weights(config: Config, labels: Integers) -> Tensor | None:
    """Return N / (C · n_c) for each class, so that the examples' weights have a mean of 1."""
    if config.classify.class_weights == "none":
        return None
    counts = np.bincount(labels, minlength=len(config.classify.labels))
    return torch.from_numpy(len(labels) / (len(counts) * np.maximum(counts, 1))).float()
