"""Several classifiers as one: the mean of the probabilities they give (Howard and Ruder 2018 average two).

Members agree on the labels and may differ in all else: seed, cell, level, vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqgen.artifacts import Artifact
from seqgen.data.examples import encode_texts
from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ArtifactError
from seqgen.evaluation.classification import Probabilities, predict, restore_classifier
from seqgen.networks.classifier import Classifier


@dataclass(frozen=True)
class Ensemble:
    """Classifiers that label together; one alone is an ensemble, too.

    Attributes:
        labels: C names, in the order of the columns of probabilities.
        members: Each with the tokenizer it reads with.
    """

    labels: tuple[str, ...]
    members: tuple[tuple[Tokenizer, Classifier], ...]

    def predict(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label for each text, (N, C)."""
        each = [predict(model, encode_texts(texts, tokenizer)) for tokenizer, model in self.members]
        mean: Probabilities = np.mean(each, axis=0)  # (M, N, C) -> (N, C)
        return mean


def restore_ensemble(artifacts: Sequence[Artifact], device: str = "auto") -> Ensemble:
    """Load classifiers.

    Raises:
        ArtifactError: If one of them has other labels than the first.
    """
    labels = artifacts[0].config.classify.labels
    for artifact in artifacts[1:]:
        own = artifact.config.classify.labels
        if own != labels:
            raise ArtifactError(
                f"{artifact.path}: its labels are {', '.join(own)}, those of {artifacts[0].path} are "
                f"{', '.join(labels)}; only classifiers of the same labels are averaged"
            )
    return Ensemble(
        labels, tuple((artifact.tokenizer, restore_classifier(artifact, device)) for artifact in artifacts)
    )
