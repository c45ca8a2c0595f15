"""Training a translator: what its examples are, its loss, and what is written of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqgen.artifacts import load_artifact, write_artifact
from seqgen.config import Config
from seqgen.data.batches import Integers
from seqgen.data.pairs import PairCorpus, lengths_of, with_references
from seqgen.evaluation.bleu import TranslationScore, score_translations
from seqgen.evaluation.translation import TargetScore, batch_of, score_targets
from seqgen.networks.translation import TranslationModel
from seqgen.runtime import choose_device, prepare_torch
from seqgen.sampling.translation import Search, Translator
from seqgen.training.card import translation_card


class TranslationObjective:
    """Pairs as examples, and the cross-entropy of their targets.

    Args:
        corpus: The pairs.
        config: The complete configuration.
        source: What is trained on, for the artifact.
    """

    def __init__(self, corpus: PairCorpus, config: Config, *, source: Mapping[str, Any]) -> None:
        prepare_torch(config.training.seed)
        self.corpus, self.config = corpus, config
        self.device = torch.device(choose_device(config.training.device))
        sizes = len(corpus.tokenizer.tokens), len(corpus.target_tokenizer.tokens)
        self.outcomes = sizes[1]
        self.model = TranslationModel(config.model, config.translate, *sizes).to(self.device)
        self.examples = corpus.examples("train")
        targets = [example.target for example in self.examples]
        self.lengths = lengths_of(targets)
        counts = np.bincount(np.concatenate(targets), minlength=self.outcomes)
        self.model.head.expect(torch.from_numpy(counts).to(self.device, torch.float32))
        read = int(lengths_of(example.source for example in self.examples).sum())
        self.source = {**source, "tokens_ratio": round(int(self.lengths.sum()) / read, 4)}

    def loss(self, examples: Integers, *, seed: int, progress: float, precision: torch.dtype) -> Tensor:
        """Return the mean loss of the target tokens of examples; see `seqgen.training.supervised`."""
        final = self.config.translate.teacher_forcing
        batch = batch_of([self.examples[number] for number in examples], self.device)
        features = self.model(
            batch.source,
            batch.lengths,
            batch.inputs,
            teacher_forcing=1 - progress * (1 - final),
            seed=seed,
            precision=precision,
        )
        smoothing = self.config.training.label_smoothing
        return self.model.mean_loss(features, batch.targets, smoothing=smoothing, precision=precision)

    def validate(self, *, precision: torch.dtype) -> TargetScore | None:
        """Score the validation part as the model stands."""
        if not self.corpus.parts["valid"]:
            return None
        return score_targets(self.model, self.corpus, "valid", precision=precision)

    def rate_share(self, _parameter: str, _epoch: float) -> float:
        """Return 1: all parameters learn at one rate."""
        return 1.0

    def write(self, path: Path, *, history: list[dict[str, Any]], scores: Mapping[str, Any]) -> None:
        """Write the model as it stands as an artifact."""
        own, parameters = self.corpus.target_tokenizer, self.model.parameter_count()
        write_artifact(
            path,
            config=self.config,
            weights={name: p.detach().float().cpu().numpy() for name, p in self.model.named_parameters()},
            tokenizer=self.corpus.tokenizer,
            target_tokenizer=None if own is self.corpus.tokenizer else own,
            history=history,
            source=self.source,
            scores=scores,
            card=translation_card(path.name, self.config, self.source, scores, parameters, history),
        )


def score_part(translator: Translator, corpus: PairCorpus, part: str, search: Search) -> TranslationScore:
    """Translate every distinct source of a part once, and compare with all of its translations.

    Raises:
        ValueError: If the part is empty.
    """
    references = with_references(corpus.parts[part])
    found = translator.translate(references, search)
    return score_translations([best.text for best, *_ in found], list(references.values()))


def finish_translation(corpus: PairCorpus, path: Path, *, device: str = "auto") -> dict[str, Any] | None:
    """Score the translations of the validation part by the best weights, and store that in the artifact.

    Returns:
        The score of the validation part; None where there is none.
    """
    if not corpus.parts["valid"]:
        return None
    artifact = load_artifact(path)
    translator = Translator.of(artifact, device)
    search = Search()
    score = score_part(translator, corpus, "valid", search)
    valid = {**artifact.scores["valid"], **score.record(), "beam": search.beam}
    scores = {**artifact.scores, "valid": valid}
    parameters = translator.model.parameter_count()
    own, history = artifact.target_tokenizer, artifact.history()
    write_artifact(
        path,
        config=artifact.config,
        weights=artifact.weights(),
        tokenizer=artifact.tokenizer,
        target_tokenizer=None if own is artifact.tokenizer else own,
        history=history,
        source=artifact.source,
        scores=scores,
        card=translation_card(path.name, artifact.config, artifact.source, scores, parameters, history),
    )
    return valid
