"""How well a classifier labels: accuracy, macro-F1 and the confusion matrix.

Macro-F1 is the mean over classes of F1 = 2 · precision · recall / (precision + recall), whatever their sizes;
a class that is neither predicted nor there has an F1 of 0 and counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.batches import Integers
from seqgen.data.buckets import bucketed_batches, padded
from seqgen.data.examples import Part
from seqgen.data.tokenizers import Ids
from seqgen.networks.classifier import Classifier
from seqgen.networks.weights import with_weights
from seqgen.runtime import choose_device

TEXTS_AT_ONCE = 256

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """What a classifier made of examples.

    Attributes:
        labels: C names.
        confusion: Examples of each label (rows) by the label they were given (columns), (C, C).
        loss_nats: Mean cross-entropy of the true labels.
        by: What the best weights are chosen by, `accuracy` or `macro_f1`.
    """

    labels: tuple[str, ...]
    confusion: Integers
    loss_nats: float
    by: str = "accuracy"

    @property
    def accuracy(self) -> float:
        """Share of the examples whose label was found."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each class, (C,)."""
        right = np.diag(self.confusion).astype(np.float64)
        total: NDArray[np.float64] = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        return 2 * right / np.maximum(total, 1)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes."""
        return float(self.f1.mean())

    @property
    def merit(self) -> float:
        """The measure that decides; between equal ones the loss does."""
        return float(getattr(self, self.by)) - self.loss_nats / 1e4

    @property
    def summary(self) -> str:
        """What to tell of it while training."""
        return f"valid {self.loss_nats:.4f}  accuracy {self.accuracy:.2%}  macro-F1 {self.macro_f1:.4f}"

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "examples": int(self.confusion.sum()),
            "loss_nats": round(self.loss_nats, 5),
            "accuracy": round(self.accuracy, 5),
            "macro_f1": round(self.macro_f1, 5),
            "f1": {name: round(float(value), 5) for name, value in zip(self.labels, self.f1, strict=True)},
            "confusion": self.confusion.tolist(),
        }


def score_labels(
    probabilities: Probabilities, truth: Integers, labels: Sequence[str], *, by: str = "accuracy"
) -> LabelScore:
    """Compare probabilities (N, C) with the numbers of the true labels (N,)."""
    classes = len(labels)
    found = probabilities.argmax(axis=1)
    confusion = np.bincount(truth * classes + found, minlength=classes * classes)
    chances = np.maximum(probabilities[np.arange(len(truth)), truth], math.exp(-100))
    loss = float(-np.log(chances).mean()) if len(truth) else 0.0
    return LabelScore(
        labels=tuple(labels), confusion=confusion.reshape(classes, classes), loss_nats=loss, by=by
    )


def predict(
    model: Classifier, ids: Sequence[Ids], *, precision: torch.dtype = torch.float32
) -> Probabilities:
    """Return the probability of each label for each text, (N, C), as the model stands."""
    device = model.embedding.weight.device
    was_training = model.training
    model.eval()
    lengths = np.array([len(text) for text in ids], dtype=np.int64)
    probabilities = np.zeros((len(ids), model.head.out_features))
    try:
        for texts in bucketed_batches(lengths, TEXTS_AT_ONCE):
            tokens, sizes = padded([ids[text] for text in texts])
            with torch.inference_mode():
                logits = model(
                    torch.from_numpy(tokens).to(device),
                    torch.from_numpy(sizes).to(device),
                    precision=precision,
                )
                probabilities[texts] = torch.softmax(logits.double(), dim=1).cpu().numpy()
    finally:
        model.train(was_training)
    return probabilities


def score_part(
    model: Classifier,
    part: Part,
    labels: Sequence[str],
    *,
    by: str = "accuracy",
    precision: torch.dtype = torch.float32,
) -> LabelScore:
    """Score a model on examples."""
    return score_labels(predict(model, part.ids, precision=precision), part.labels, labels, by=by)


def contributions(model: Classifier, ids: Ids) -> tuple[Probabilities, NDArray[np.float64]]:
    """Tell what each token of a text contributes to its label, by leaving the token out.

    Returns:
        The probabilities of the text, (C,), and for each token by how much the log odds of the most
        probable label fall without it, (T,): above 0 the token speaks for the label.
    """
    without = [np.delete(ids, place) for place in range(len(ids))]
    emptied = [text if len(text) else np.zeros(1, ids.dtype) for text in without]
    everything = np.clip(predict(model, [ids, *emptied]), 1e-12, 1 - 1e-12)
    label = int(everything[0].argmax())
    odds = np.log(everything[:, label]) - np.log1p(-everything[:, label])
    return everything[0], odds[0] - odds[1:]


class Explained(NamedTuple):
    """A text and what a classifier made of it.

    Attributes:
        ids: Its tokens, (T,).
        truth: The number of its label.
        probabilities: Of each label, (C,).
        shares: What each token contributes to the most probable label; see `contributions`, (T,).
    """

    ids: Ids
    truth: int
    probabilities: Probabilities
    shares: NDArray[np.float64]


def explain_examples(model: Classifier, part: Part, count: int, *, longest: int) -> list[Explained]:
    """Explain a few of many texts: from the surest hit to the worst mistake, evenly spread by rank.

    Args:
        model: The classifier.
        part: The texts; they are ranked by the probability of their true labels.
        count: Of texts; fewer where there are not so many.
        longest: Texts of more tokens are left aside.
    """
    numbers = np.flatnonzero(part.lengths <= longest)
    chances = predict(model, [part.ids[number] for number in numbers])
    order = np.argsort(-chances[np.arange(len(numbers)), part.labels[numbers]], kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [
        Explained(part.ids[number], int(part.labels[number]), *contributions(model, part.ids[number]))
        for number in numbers[order[places]]
    ]


def restore_classifier(artifact: Artifact, device: str = "auto") -> Classifier:
    """Load an artifact's weights into its network, in evaluation mode."""
    config = artifact.config
    model = Classifier(config.model, config.classify, len(artifact.tokenizer.tokens))
    return with_weights(model, artifact.weights()).to(choose_device(device))
