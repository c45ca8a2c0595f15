"""The last act of a training: the score of the model that it leaves behind."""

from pathlib import Path
from typing import Any

from seqgen.artifacts import Artifact, load_artifact, write_artifact
from seqgen.evaluation import Score, evaluate, restore_model, units_of
from seqgen.kernels.recurrent import HAS_NUMBA
from seqgen.training.card import model_card
from seqgen.training.loop import Corpus


def finish(index: Corpus, path: Path, *, device: str = "auto") -> Score | None:
    """Score the best weights on the whole validation part with state carried, and store that in the artifact.

    What rounding them for sampling costs is measured on some of it and stored, too.

    Returns:
        The score, or None where the index has no validation part.
    """
    if not len(index.tokens("valid")):
        return None
    artifact = load_artifact(path)
    model = restore_model(artifact, device)
    score = evaluate(
        model,
        index.tokens("valid"),
        index.documents("valid"),
        protocol="carried",
        units=units_of(index.counts("valid")),
    )
    scores = {**artifact.scores, "valid": score.record(), **_rounding(artifact, index)}
    history, parameters = artifact.history(), model.parameter_count()
    write_artifact(
        path,
        config=artifact.config,
        weights=artifact.weights(),
        tokenizer=artifact.tokenizer,
        history=history,
        source=artifact.source,
        scores=scores,
        card=model_card(path.name, artifact.config, artifact.source, scores, parameters, history),
    )
    return score


def _rounding(artifact: Artifact, index: Corpus) -> dict[str, Any]:
    """Measure what int8 weights cost, where there is enough text and a compiler for them."""
    if not HAS_NUMBA:
        return {}
    from seqgen.evaluation.rounding import FEWEST_TOKENS, rounding_cost

    tokens = index.tokens("valid")
    if len(tokens) < FEWEST_TOKENS:
        return {}
    return {"int8": rounding_cost(artifact.weights(), artifact.config.model, tokens).record()}
