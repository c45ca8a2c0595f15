"""Sentences in, their translations out, in order and side by side."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.pairs import aligned, decode_sentence, encode_sentence, lengths_of
from seqgen.data.tokenizers import Tokenizer, prepare
from seqgen.data.words import cut_words
from seqgen.networks.translation import TranslationModel
from seqgen.networks.weights import with_weights
from seqgen.runtime import choose_device
from seqgen.sampling.beams import END, Found, beam_search

LINES_AT_ONCE = 64
_SHORTEST_LIMIT, _TIMES_USUAL = 10, 2.0
"""A target ends at so many tokens, and so many times as many as are usual for its source, at the latest."""


class Search(NamedTuple):
    """How translations are looked for.

    Attributes:
        beam: How many targets are pursued at once.
        length_penalty: See `beam_search`.
        n_best: How many translations of a sentence are returned, at most `beam`.
        copy_unknown: Whether an unknown token becomes the token of the source that was looked at most.
    """

    beam: int = 5
    length_penalty: float = 1.0
    n_best: int = 1
    copy_unknown: bool = True


@dataclass(frozen=True)
class Translation:
    """A translation of a sentence.

    Attributes:
        text: The translation.
        log_prob: Its log-probability, END included.
        score: The same over the length penalty.
        source: The tokens of the source, `<eos>` last.
        target: Those of the translation.
        attention: How much each token of the target looked at each of the source, (T, S); (T, 0) where the
            model has no attention.
    """

    text: str
    log_prob: float
    score: float
    source: list[str]
    target: list[str]
    attention: NDArray[np.float32]

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "text": self.text,
            "score": round(self.score, 5),
            "log_prob": round(self.log_prob, 5),
            "source_tokens": self.source,
            "target_tokens": self.target,
            "attention": [[round(float(weight), 4) for weight in row] for row in self.attention],
        }


class Example(NamedTuple):
    """A sentence, how people translated it, and how a model does."""

    source: str
    references: Sequence[str]
    translation: Translation


def restore_translator(artifact: Artifact, device: str = "auto") -> TranslationModel:
    """Load an artifact's weights into its network, in evaluation mode."""
    config = artifact.config
    sizes = len(artifact.tokenizer.tokens), len(artifact.target_tokenizer.tokens)
    model = TranslationModel(config.model, config.translate, *sizes)
    return with_weights(model, artifact.weights()).to(choose_device(device))


class Translator:
    """A translation model and the vocabularies of its two sides.

    Args:
        model: The network, in evaluation mode.
        source: The tokenizer of sources.
        target: That of targets.
        tokens_ratio: Target tokens for each source token, as was usual in training.
    """

    def __init__(
        self, model: TranslationModel, source: Tokenizer, target: Tokenizer, *, tokens_ratio: float
    ) -> None:
        self.model, self.source, self.target = model, source, target
        self.tokens_ratio = tokens_ratio

    @classmethod
    def of(cls, artifact: Artifact, device: str = "auto") -> "Translator":
        """Load the translator of an artifact."""
        model = restore_translator(artifact, device)
        ratio = float(artifact.source["tokens_ratio"])
        return cls(model, artifact.tokenizer, artifact.target_tokenizer, tokens_ratio=ratio)

    def translate(self, sentences: Iterable[str], search: Search) -> Iterator[list[Translation]]:
        """Yield the translations of every sentence, best first, in the order of the sentences.

        An empty sentence has an empty translation.
        """
        remaining = iter(sentences)
        while group := list(islice(remaining, LINES_AT_ONCE)):
            yield from self._translate(group, search)

    def _translate(self, sentences: Sequence[str], search: Search) -> list[list[Translation]]:
        empty = Translation("", 0.0, 0.0, [], [], np.zeros((0, 0), np.float32))
        results = [[empty] for _ in sentences]
        present = [number for number, sentence in enumerate(sentences) if sentence.strip()]
        if not present:
            return results
        ids = [encode_sentence(self.source, sentences[number]) for number in present]
        lengths = lengths_of(ids)
        device = self.model.combine.weight.device
        limits = _SHORTEST_LIMIT + np.ceil(_TIMES_USUAL * self.tokens_ratio * lengths)
        found = beam_search(
            self.model,
            torch.from_numpy(aligned(ids, fill=END, at_end=True)).to(device),
            torch.from_numpy(lengths).to(device),
            width=search.beam,
            length_penalty=search.length_penalty,
            limits=torch.from_numpy(limits.astype(np.int64)),
        )
        for number, own, targets in zip(present, ids, found, strict=True):
            tokens = source_tokens(self.source, sentences[number], own.tolist())
            results[number] = [
                self._translation(target, tokens, search.copy_unknown) for target in targets[: search.n_best]
            ]
        return results

    def _translation(self, found: Found, source: list[str], copy_unknown: bool) -> Translation:
        weights = found.weights[:, -len(source) :] if found.weights.size else found.weights[:, :0]
        tokens = [self.target.tokens[token] for token in found.tokens]
        text = decode_sentence(self.target, found.tokens)
        unknown = self.target.unk_id
        if copy_unknown and weights.size and unknown in found.tokens:
            space = " " if self.target.level == "word" else ""
            pieces = [
                space + most_attended(source, weights[step])
                if token == unknown
                else self.target.decode([token])
                for step, token in enumerate(found.tokens)
            ]
            text = " ".join("".join(map(str, pieces)).split())
        return Translation(text, found.log_prob, found.score, source, tokens, weights)


def translate_examples(
    translator: Translator,
    references: Mapping[str, Sequence[str]],
    count: int,
    *,
    longest: int,
    search: Search | None = None,
) -> list[Example]:
    """Translate a few of many sentences: some from the shortest to the longest, evenly spread by rank.

    Args:
        translator: What translates them.
        references: Of every sentence its translations by people.
        count: Of sentences; fewer where there are not so many.
        longest: Sentences of more tokens, END included, are left aside.
        search: How translations are looked for.
    """
    lengths = {source: len(encode_sentence(translator.source, source)) for source in references}
    ordered = sorted((source for source in references if lengths[source] <= longest), key=lengths.__getitem__)
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    chosen = [ordered[place] for place in places]
    found = translator.translate(chosen, search or Search())
    return [
        Example(source, references[source], best) for source, (best, *_) in zip(chosen, found, strict=True)
    ]


def source_tokens(tokenizer: Tokenizer, sentence: str, ids: Sequence[int]) -> list[str]:
    """Return the token of every id of a sentence as it stands there, unknown ones included."""
    names = [tokenizer.tokens[token] for token in ids]
    if tokenizer.unk_id is None or tokenizer.unk_id not in ids:
        return names
    text = prepare(sentence.strip(), tokenizer.vocab.options)
    written = cut_words(text, tokenizer.vocab.options["words"]) if tokenizer.level == "word" else list(text)
    known = zip(ids, names, [*written, names[-1]], strict=True)
    return [own if token == tokenizer.unk_id else name for token, name, own in known]


def most_attended(source: list[str], weights: NDArray[np.float32]) -> str:
    """Return the token of a source that was looked at most, EOS left aside, without its space."""
    return source[int(weights[:-1].argmax())].strip() if len(source) > 1 else ""
