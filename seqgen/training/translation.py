"""Training a translator: what its examples are, its loss, and what is written of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqgen.artifacts import load_artifact, write_artifact
from seqgen.config import Config
from seqgen.data.batches import IGNORED, Integers
from seqgen.data.buckets import bucketed_batches
from seqgen.data.pairs import Example, PairCorpus, aligned, lengths_of, with_references
from seqgen.data.tokenizers import EOS_ID
from seqgen.evaluation import Score
from seqgen.evaluation.bleu import TranslationScore, score_translations
from seqgen.networks.translation import TranslationModel
from seqgen.runtime import choose_device, prepare_torch
from seqgen.sampling.translation import Search, Translator
from seqgen.training.budget import budget_text

PROTOCOL = "teacher forcing"
"""Every token of a target is predicted from those of people before it, not from the model's own."""
_VALIDATED_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class TargetScore(Score):
    """How well the tokens of targets are predicted."""

    @property
    def merit(self) -> float:
        """Minus the loss: the best weights are those that predict best."""
        return -self.loss_nats


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
        self.validation = corpus.examples("valid")
        self.lengths = lengths_of(example.target for example in self.examples)
        read = int(lengths_of(example.source for example in self.examples).sum())
        self.source = {**source, "tokens_ratio": round(int(self.lengths.sum()) / read, 4)}

    def loss(self, examples: Integers, *, seed: int, progress: float, precision: torch.dtype) -> Tensor:
        """Return the mean loss of the target tokens of examples; see `seqgen.training.supervised`."""
        final = self.config.translate.teacher_forcing
        source, lengths, inputs, targets = self._batch([self.examples[number] for number in examples])
        features = self.model(
            source,
            lengths,
            inputs,
            teacher_forcing=1 - progress * (1 - final),
            seed=seed,
            precision=precision,
        )
        smoothing = self.config.training.label_smoothing
        return self.model.mean_loss(features, targets, smoothing=smoothing, precision=precision)

    def _batch(self, examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return sources (S, B) padded at the beginning, lengths (B,), inputs and targets (T, B)."""
        sources = [example.source for example in examples]
        targets = aligned([example.target for example in examples], fill=IGNORED)
        begin = np.full((1, len(examples)), EOS_ID)
        inputs = np.concatenate([begin, targets[:-1]]).clip(min=EOS_ID)
        arrays = aligned(sources, fill=EOS_ID, at_end=True), lengths_of(sources), inputs, targets
        source, lengths, before, after = (torch.from_numpy(array).to(self.device) for array in arrays)
        return source, lengths, before, after

    def validate(self, *, precision: torch.dtype) -> TargetScore | None:
        """Score the validation part as the model stands."""
        if not self.validation:
            return None
        self.model.eval()
        total, count = 0.0, 0
        with torch.inference_mode():
            for source, lengths, inputs, targets in self._validation_batches():
                features = self.model(source, lengths, inputs, precision=precision)
                total += float(self.model.losses(features, targets, precision=precision).double().sum())
                count += int((targets != IGNORED).sum())
        chars = sum(len(pair.target) for pair in self.corpus.parts["valid"])
        return TargetScore(protocol=PROTOCOL, tokens=count, loss_nats=total / count, units={"chars": chars})

    def _validation_batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        lengths = lengths_of(example.target for example in self.validation)
        for numbers in bucketed_batches(lengths, _VALIDATED_AT_ONCE):
            yield self._batch([self.validation[number] for number in numbers])

    def rate_share(self, _parameter: str, _epoch: float) -> float:
        """Return 1: all parameters learn at one rate."""
        return 1.0

    def write(self, path: Path, *, history: list[dict[str, Any]], scores: Mapping[str, Any]) -> None:
        """Write the model as it stands as an artifact."""
        own = self.corpus.target_tokenizer
        write_artifact(
            path,
            config=self.config,
            weights={name: p.detach().float().cpu().numpy() for name, p in self.model.named_parameters()},
            tokenizer=self.corpus.tokenizer,
            target_tokenizer=None if own is self.corpus.tokenizer else own,
            history=history,
            source=self.source,
            scores=scores,
            card=translation_card(path.name, self.config, self.source, scores, self.model.parameter_count()),
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
    own = artifact.target_tokenizer
    write_artifact(
        path,
        config=artifact.config,
        weights=artifact.weights(),
        tokenizer=artifact.tokenizer,
        target_tokenizer=None if own is artifact.tokenizer else own,
        history=artifact.history(),
        source=artifact.source,
        scores=scores,
        card=translation_card(path.name, artifact.config, artifact.source, scores, parameters),
    )
    return valid


def translation_card(
    name: str, config: Config, source: Mapping[str, Any], scores: Mapping[str, Any], parameters: int
) -> str:
    """Return the text of a translation model's README.md, in Markdown."""
    model = config.model
    directions = "both directions" if model.bidirectional else "one direction"
    lines = [
        f"# {name}",
        "",
        f"A translation model of {parameters:,} parameters: {model.cell.upper()}, {model.layers} × "
        f"{model.hidden_size} units to read in {directions} and as many to write,",
        f"attention: {config.translate.attention}. Trained with seqgen for {budget_text(config.training)}.",
        "",
        f"- Pairs: {', '.join(source.get('corpus', [])) or 'unknown'}",
        f"- Seed: {config.training.seed}",
        "",
        "```",
        f"seqgen translate {name} < sentences.txt",
        "```",
    ]
    if "valid" in scores:
        valid = scores["valid"]
        lines += ["", f"Validation: {valid['loss_nats']:.4f} nats per token ({valid['protocol']})"]
        if "bleu" in valid:
            lines[-1] += f", BLEU {valid['bleu']:.1f}, chrF {valid['chrf']:.1f}"
            lines += ["", *(f"    {signature}" for signature in valid["signatures"].values())]
    return "\n".join(lines) + "\n"
