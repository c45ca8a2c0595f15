import random

import numpy as np
import pytest
import torch

from seqgen.artifacts import load_artifact, load_checkpoint
from seqgen.config import build_config
from seqgen.data.pairs import load_pairs
from seqgen.sampling.translation import Search, Translator
from seqgen.training.supervised import train_supervised
from seqgen.training.translation import TranslationObjective, finish_translation, score_part

NAMES = {"one": "un", "two": "deux", "red": "rouge", "dog": "chien", "cat": "chat", "sees": "voit"}
SETTINGS = {
    "task": "translate",
    "index": {"split": [80, 20, 0]},
    "vocab": {"level": "word"},
    "model": {"layers": 1, "hidden_size": 32, "embedding_size": 16, "dropout": 0.0, "bidirectional": True},
    "training": {"batch_size": 16, "epochs": 2, "learning_rate": 0.02, "warmup_steps": 0, "device": "cpu"},
}


def pairs(count=300):
    """Sentences whose translation is word for word, in the reverse order."""
    draw = random.Random(4)
    for _ in range(count):
        words = draw.choices(list(NAMES), k=draw.randint(1, 5))
        yield " ".join(words), " ".join(NAMES[word] for word in reversed(words))


def corpus_of(folder, **training):
    file = folder / "pairs.tsv"
    file.write_text("".join(f"{source}\t{target}\n" for source, target in pairs()))
    config = build_config({**SETTINGS, "training": {**SETTINGS["training"], **training}})
    return load_pairs([file], config, notify=lambda _: None), config


def train(folder, path, *, steps=None, checkpoint=None, **training):
    corpus, config = corpus_of(folder, **training)
    source = {"corpus": [str(folder / "pairs.tsv")], "corpus_hash": corpus.corpus_hash}
    objective = TranslationObjective(corpus, config, source=source)
    done = []
    for step in train_supervised(objective, config, path=path, source=source, checkpoint=checkpoint):
        done.append(step)
        if len(done) == steps:
            break
    return corpus, done


def test_a_translator_learns_to_reverse_and_to_look_where_it_must(tmp_path):
    corpus, steps = train(tmp_path, tmp_path / "m", epochs=20, learning_rate=0.01)
    assert steps[-1].loss_nats < 0.1
    valid = finish_translation(corpus, tmp_path / "m")
    assert valid["bleu"] > 80
    artifact = load_artifact(tmp_path / "m")
    assert artifact.scores["valid"]["signatures"]["bleu"].startswith("nrefs:")
    assert "BLEU" in (tmp_path / "m" / "README.md").read_text()
    (best,) = next(iter(Translator.of(artifact).translate(["one red dog sees"], Search(n_best=1))))
    assert best.text == "voit chien rouge un"
    assert best.attention.shape == (4, 5)


def test_a_resumed_training_ends_as_one_that_was_not(tmp_path):
    _, whole = train(tmp_path, tmp_path / "a")
    train(tmp_path, tmp_path / "b", steps=7)
    _, rest = train(tmp_path, tmp_path / "b", checkpoint=load_checkpoint(tmp_path / "b"))
    assert len(whole) == 7 + len(rest) > 7
    assert whole[-1].loss_nats == rest[-1].loss_nats


def test_a_translator_begins_with_how_often_target_tokens_occur(tmp_path):
    corpus, config = corpus_of(tmp_path)
    objective = TranslationObjective(corpus, config, source={})
    counts = np.bincount(np.concatenate([example.target for example in objective.examples]))
    shares = (counts + 1) / (counts + 1).sum()
    features = torch.zeros(1, objective.model.head.weight.shape[1])
    np.testing.assert_allclose(objective.model.log_probs(features).exp()[0].detach(), shares, rtol=1e-5)


def test_teacher_forcing_falls_from_all_to_its_last_share(tmp_path, monkeypatch):
    corpus, config = corpus_of(tmp_path)
    config = build_config({**SETTINGS, "translate": {"teacher_forcing": 0.4}})
    objective = TranslationObjective(corpus, config, source={})
    shares = []
    forward = objective.model.forward

    def noted(*arguments, teacher_forcing, **options):
        shares.append(teacher_forcing)
        return forward(*arguments, teacher_forcing=teacher_forcing, **options)

    monkeypatch.setattr(objective.model, "forward", noted)
    for progress in (0.0, 0.5, 1.0):
        objective.loss(np.arange(5), seed=1, progress=progress, precision=torch.float32)
    assert shares == pytest.approx([1.0, 0.7, 0.4])


def test_a_source_with_several_translations_is_translated_once(tmp_path):
    corpus, config = corpus_of(tmp_path)
    corpus.parts["valid"] = [*corpus.parts["valid"][:3], *corpus.parts["valid"][:3]]
    objective = TranslationObjective(corpus, config, source={})
    objective.model.eval()
    translator = Translator(objective.model, corpus.tokenizer, corpus.target_tokenizer, tokens_ratio=1.0)
    sources = {pair.source for pair in corpus.parts["valid"]}
    assert score_part(translator, corpus, "valid", Search(beam=1)).sentences == len(sources)
