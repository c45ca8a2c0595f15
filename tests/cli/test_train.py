import os
import re
import signal
import subprocess
import sys
import time

import pytest

from seqgen.artifacts import load_artifact, load_checkpoint
from seqgen.cli.app import run
from seqgen.training.memory import least_memory
from tests.corpora import sentences
from tests.sampling.models import TUNE

SMALL = [
    "--hidden-size",
    "16",
    "--embedding-size",
    "8",
    "--batch-size",
    "8",
    "--bptt",
    "20",
    "--device",
    "cpu",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(sentences(200)))
    return path


def train(text, output, *options):
    return run(["train", str(text), "-o", str(output), *SMALL, *options])


def test_training_tells_its_plan_and_its_score_on_stderr(text, tmp_path, capsys):
    assert train(text, tmp_path / "m", "--epochs", "1") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "not planned: the hidden size is given; a preset by the size of the corpus fills" in err
    assert re.search(r"tiny preset: gru 2 x 16", err)
    assert re.search(r"m is ready: validation \d\.\d+ nats per token \(carried\), .* bits per char", err)


def test_flags_override_settings_which_override_the_file_and_the_preset(text, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("model: {cell: gru, layers: 3, dropout: 0.25}\ntraining: {learning_rate: 1e-3}\n")
    options = ["--config", str(file), "--set", "model.layers=1", "--cell", "rnn", "--epochs", "1"]
    assert train(text, tmp_path / "m", *options) == 0
    model = load_artifact(tmp_path / "m").config.model
    assert (model.cell, model.layers, model.dropout) == ("rnn", 1, 0.25)


def test_an_optimizer_brings_the_settings_that_suit_it_and_flags_override_them(text, tmp_path, capsys):
    options = ["--optimizer", "sgd", "--average", "tail", "--random-bptt", "--epochs", "1"]
    assert train(text, tmp_path / "m", *options, "--set", "training.validations=3") == 0
    training = load_artifact(tmp_path / "m").config.training
    assert (training.optimizer, training.average, training.random_bptt) == ("sgd", "tail", True)
    assert (training.schedule, training.learning_rate, training.validations) == ("plateau", 20.0, 3)
    err = capsys.readouterr().err
    assert "rate 20, " in err
    assert "sgd, schedule plateau; 3 validations" in err


def test_models_of_folds_teach_another(text, tmp_path, capsys):
    teachers = [tmp_path / f"t{number}" for number in (1, 2)]
    for number, teacher in enumerate(teachers, 1):
        assert train(text, teacher, "--epochs", "1", "--fold", f"{number}/2") == 0
    assert "without fold 2/2, " in capsys.readouterr().err
    taught = ["--epochs", "1", *(part for teacher in teachers for part in ("--teacher", str(teacher)))]
    assert train(text, tmp_path / "m", *taught, "--ngram-smoothing", "0.1", "--distillation", "0.4") == 0
    assert "n-gram smoothing 0.1, distillation 0.4 from 2 teachers, " in capsys.readouterr().err
    assert load_artifact(tmp_path / "m").config.training.teachers == tuple(map(str, teachers))
    assert train(text, tmp_path / "again", "--epochs", "1", "--teacher", str(teachers[0])) == 1
    assert capsys.readouterr().err.endswith("--teacher: none left out 2/2; train one more with --fold 2/2\n")
    assert not (tmp_path / "again").exists()
    assert train(text, tmp_path / "again", "--epochs", "1", "--teacher", str(tmp_path / "gone")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert train(text, tmp_path / "again", "--epochs", "1", "--distillation", "0.2") == 1
    told = "--distillation is of no effect without --teacher; name the teachers\n"
    assert capsys.readouterr().err.endswith(told)


HOPELESS = ["--epochs", "1", "--learning-rate", "1e6", "--set", "training.validations=1"]


def test_a_training_that_falls_apart_says_so_and_leaves_nothing(text, tmp_path, capsys):
    assert train(text, tmp_path / "m", *HOPELESS) == 1
    err = capsys.readouterr().err
    assert "error: " in err.splitlines()[-1]
    assert "lower --learning-rate" in err.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_a_training_that_falls_apart_leaves_the_model_that_it_was_to_replace(text, tmp_path):
    assert train(text, tmp_path / "m", "--epochs", "1") == 0
    files = sorted((tmp_path / "m").rglob("*"))
    before = [path.read_bytes() for path in files if path.is_file()]
    assert train(text, tmp_path / "m", *HOPELESS, "--overwrite") == 1
    assert sorted((tmp_path / "m").rglob("*")) == files
    assert [path.read_bytes() for path in files if path.is_file()] == before


def test_a_resumed_training_that_falls_apart_can_be_resumed_again(text, tmp_path, monkeypatch):
    from seqgen.networks.tasks import LanguageModel

    assert train(text, tmp_path / "m", "--epochs", "1") == 0
    again = ["train", str(text), "-o", str(tmp_path / "m"), "--resume", "--epochs", "2"]
    with monkeypatch.context() as broken:
        broken.setattr(LanguageModel, "mean_loss", _nan_of(LanguageModel.mean_loss))
        assert run(again) == 1
    assert load_artifact(tmp_path / "m").scores["valid"]["protocol"] == "carried"
    assert run(again) == 0


def _nan_of(mean_loss):
    return lambda *arguments, **options: mean_loss(*arguments, **options) * float("nan")


def test_a_model_is_not_overwritten_unless_asked(text, tmp_path, capsys):
    assert train(text, tmp_path / "m", "--epochs", "1") == 0
    before = load_artifact(tmp_path / "m").content_hash
    assert train(text, tmp_path / "m", "--epochs", "1", "--seed", "5") == 1
    assert "holds a model; go on with --resume, replace it with --overwrite" in capsys.readouterr().err
    assert load_artifact(tmp_path / "m").content_hash == before
    assert train(text, tmp_path / "m", "--epochs", "1", "--seed", "5", "--overwrite") == 0
    assert load_artifact(tmp_path / "m").content_hash != before


def test_a_folder_of_other_things_is_left_alone(text, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("precious")
    assert train(text, tmp_path / "mine", "--epochs", "1") == 1
    assert "not a model directory" in capsys.readouterr().err
    assert (tmp_path / "mine" / "README.md").read_text() == "precious"


def test_resuming_adds_epochs_and_keeps_the_other_settings(text, tmp_path, capsys):
    assert train(text, tmp_path / "m", "--epochs", "1") == 0
    first = load_checkpoint(tmp_path / "m").progress["step"]
    code = run(["train", str(text), "-o", str(tmp_path / "m"), "--resume", "--epochs", "2", "--layers", "5"])
    assert code == 0
    assert "only --steps, --epochs and --minutes can be new" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "m").progress["step"] == 2 * first
    assert load_artifact(tmp_path / "m").config.model.layers == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "model.hiden_size=3"], "did you mean model.hidden_size?"),
        (["--cell", "transformer"], "--cell transformer: input should be 'lstm', 'gru'"),
        (["--ar", "-0.5"], "--ar -0.5: input should be greater than or equal to 0"),
        (["--set", "model.cell=transformer"], "--set: model.cell = 'transformer': input should be"),
        (["--split", "90/20"], "expected three shares train/valid/test"),
        (["--preset", "huge"], "choose tiny, small, medium, large or auto"),
        (["--config", "absent.yaml"], "absent.yaml: no such file; check its name and folder"),
        (["--resume"], "no checkpoint to resume from"),
        (["--optimizer", "adam"], "--optimizer adam: input should be"),
        (["--optimizer", "nt-asgd", "--average", "ema"], "nt-asgd averages by itself"),
        (["--steps", "0"], "--steps 0: input should be greater than 0"),
        (["--memory", "0.01", "--epochs", "1"], "--memory 0.01: torch alone takes"),
        (
            ["--tar", "1", "--epochs", "1"],
            "--tar compares steps, which free dropout makes differ: add --lock",
        ),
        (["--tied", "--softmax", "adaptive"], "--tied shares one matrix, an adaptive softmax has several"),
        (["--tied", "--embedding", "one-hot"], "--tied shares a learned embedding, a one-hot one has no"),
        (["--bidirectional"], "predicts the next token, which the layers that read from the end"),
        (["--cell", "bow", "--layer-norm"], "--layer-norm is for lstm, gru and rnn: bow has no recurrence"),
        (["--set", "model.cutoffs=[3]"], "model.cutoffs is for --softmax adaptive; set that"),
    ],
)
def test_bad_options_are_one_line_before_all_others_and_leave_nothing(
    text, tmp_path, capsys, options, message
):
    assert train(text, tmp_path / "m", *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "m").exists()


def test_too_little_memory_for_the_model_is_told_before_the_plan(text, tmp_path, capsys):
    gigabytes = str(least_memory() / 1e9 + 0.05)
    wide = ["--hidden-size", "2048", "--memory", gigabytes, "--epochs", "1", "--device", "cpu"]
    assert run(["train", str(text), "-o", str(tmp_path / "m"), *wide]) == 1
    assert re.search(r"--memory [\d.]+: this model takes .* choose a smaller", capsys.readouterr().err)


def test_a_key_of_a_file_is_called_as_it_is_there(text, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text("model: {tied: true}\n")
    assert train(text, tmp_path / "m", "--config", str(file), "--softmax", "adaptive") == 1
    assert "model.tied shares one matrix" in capsys.readouterr().err
    file.write_text("model: {cell: none}\n")
    assert train(text, tmp_path / "m", "--config", str(file)) == 1
    assert "run.yaml: model.cell = 'none': input should be" in capsys.readouterr().err


def test_every_flag_of_a_setting_reaches_its_key(text, tmp_path):
    options = [
        "--steps",
        "3",
        "--weight-decay",
        "0.25",
        "--ar",
        "0.5",
        "--free-dropout",
        "--split",
        "80/10/10",
    ]
    assert train(text, tmp_path / "m", *options) == 0
    config = load_artifact(tmp_path / "m").config
    training = config.training
    assert (training.steps, training.weight_decay, training.activation_regularization) == (3, 0.25, 0.5)
    assert (config.model.locked_dropout, config.index.split) == (False, (80, 10, 10))
    assert load_checkpoint(tmp_path / "m").progress["step"] == 3
    assert "for 3 steps" in (tmp_path / "m" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--parts", "all"], "--parts"),
        (["--notes", "auto"], "--notes"),
        (["--set", "vocab.merges=0"], "vocab.merges"),
        (["--without", "velocity"], "--with or --without"),
        (["--with", "chord"], "--with or --without"),
    ],
)
def test_what_is_about_notes_is_refused_before_a_text_is_read(
    text, tmp_path, capsys, monkeypatch, options, name
):
    monkeypatch.setattr("seqgen.data.indexing._Job.ensure_tokenizer", lambda job: pytest.fail("read"))
    assert train(text, tmp_path / "m", *options) == 1
    told = f"seqgen: error: {name} is for corpora of music, and this one is read as text"
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert not (tmp_path / "m").exists()


def test_what_is_about_text_is_refused_for_tunes(tmp_path, capsys):
    (tmp_path / "tune.abc").write_text(TUNE)
    assert train(tmp_path / "tune.abc", tmp_path / "m", "--documents", "lines") == 1
    assert "--documents is for corpora of text, and this one is read as music" in capsys.readouterr().err


def test_a_missing_corpus_is_one_line(tmp_path, capsys):
    assert train(tmp_path / "none.txt", tmp_path / "m") == 1
    assert "none.txt" in capsys.readouterr().err.splitlines()[-1]


def test_ctrl_c_saves_and_leaves_with_130(text, tmp_path):
    command = [sys.executable, "-m", "seqgen", "train", str(text), "-o", str(tmp_path / "m"), *SMALL]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--epochs", "100000", "--set", "training.validations=100000"],
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and "  valid " not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with --resume" in err
    assert load_checkpoint(tmp_path / "m").progress["step"] > 0
    assert load_artifact(tmp_path / "m").weights()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_model_of_cells_with_options_is_trained_sampled_and_evaluated(text, tmp_path, capsys, cell):
    options = ["--cell", cell, "--mogrifier", "3", "--mogrifier-rank", "4", "--layer-norm"]
    assert train(text, tmp_path / "m", "--epochs", "2", *options) == 0
    assert f"{cell} 2 x 16, mogrifier of 3 rounds of rank 4, layer normalisation, " in capsys.readouterr().err
    assert "mogrifier of 3 rounds of rank 4" in (tmp_path / "m" / "README.md").read_text()
    for exact in ([], ["--exact"]):
        assert run(["sample", str(tmp_path / "m"), "--length", "20", "--seed", "1", *exact]) == 0
        assert capsys.readouterr().out
    stored = load_artifact(tmp_path / "m").scores["valid"]["loss_nats"]
    assert run(["evaluate", str(tmp_path / "m"), "--device", "cpu"]) == 0
    assert f"nats per token  {stored:.4f}" in capsys.readouterr().out


def test_evaluate_reads_the_validation_part_of_the_models_own_corpus(text, tmp_path, capsys):
    train(text, tmp_path / "m", "--epochs", "1")
    stored = load_artifact(tmp_path / "m").scores["valid"]
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "m"), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert f"nats per token  {stored['loss_nats']:.4f}" in out
    assert "bits per char" in out
    assert "carried" in out


def test_evaluate_charges_a_new_text_once_a_token(text, tmp_path, capsys):
    import json

    train(text, tmp_path / "m", "--epochs", "1")
    other = tmp_path / "other.txt"
    other.write_text("the cat saw the rat. Ω")
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "m"), str(other), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["tokens"] == 23
    assert score["unknown"] == 1
    assert run(["evaluate", str(tmp_path / "m"), str(other), "--per-token"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["position"] for line in lines] == list(range(23))
    assert sum(line["nats"] for line in lines) / 23 == pytest.approx(score["loss_nats"], abs=1e-4)


def test_evaluating_after_the_corpus_changed_says_so(text, tmp_path, capsys):
    train(text, tmp_path / "m", "--epochs", "1")
    text.write_text(text.read_text() + " the end")
    assert run(["evaluate", str(tmp_path / "m")]) == 1
    assert "has changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "stored"),
    [
        (["--tied", "--label-smoothing", "0.1"], {"embedding.weight", "head.bias"}),
        (["--softmax", "adaptive"], {"embedding.weight", "head.short.weight", "head.tails.1.projection"}),
    ],
)
def test_output_layers_are_chosen_by_flags(text, tmp_path, flags, stored):
    assert train(text, tmp_path / "m", "--epochs", "0.2", *flags) == 0
    artifact = load_artifact(tmp_path / "m")
    assert stored <= set(artifact.weights())
    assert "head.weight" not in artifact.weights()
    assert run(["sample", str(tmp_path / "m"), "--length", "5"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pool", "max"], "--pool is of no effect on --task lm; it is for --task classify"),
        (["--valid", "x.tsv"], "--valid and --test are for --task classify and translate; use --split here"),
        (["--task", "label"], "--task label: input should be 'lm', 'classify' or 'translate'"),
        (
            ["--task", "classify", "--ngram-smoothing", "0.1"],
            "--ngram-smoothing is of no effect on",
        ),
        (["--task", "classify", "--transpose", "all"], "--transpose is of no effect on --task classify"),
        (["--task", "translate", "--merges", "9"], "--merges is of no effect on --task translate"),
        (["--task", "translate", "--notes", "remi"], "--notes is of no effect on --task translate"),
    ],
)
def test_settings_of_another_task_are_refused(text, tmp_path, capsys, options, message):
    assert train(text, tmp_path / "m", *options) == 1
    assert message in capsys.readouterr().err
