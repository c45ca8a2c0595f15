"""The last act of a training: the score of the model that it leaves behind."""

from pathlib import Path

from seqgen.artifacts import load_artifact, write_artifact
from seqgen.evaluation import Score, evaluate, restore_model, units_of
from seqgen.training.card import model_card
from seqgen.training.loop import Corpus


def finish(index: Corpus, path: Path, *, device: str = "auto") -> Score | None:
    """Score the best weights on the whole validation part with state carried, and store that in the artifact.

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
    scores = {**artifact.scores, "valid": score.record()}
    write_artifact(
        path,
        config=artifact.config,
        weights=artifact.weights(),
        tokenizer=artifact.tokenizer,
        history=artifact.history(),
        source=artifact.source,
        scores=scores,
        card=model_card(path.name, artifact.config, artifact.source, scores, model.parameter_count()),
    )
    return score
