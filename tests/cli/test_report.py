import json
import re

import pytest
import yaml

from seqgen.cli.app import run
from seqgen.cli.report_language import LanguageSubject
from seqgen.sampling.tune_rules import constrain_tune
from seqgen.sampling.tune_wishes import TuneRules
from tests.sampling.models import TUNE, abc_piece, note_tokenizer, write_model


def titles(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_text_model_is_shown_with_its_samples_and_its_place_among_others(here):
    write_model(here / "letters", end=-9.0)
    record = {"name": "letters", "bits": 2.0, "parameters": 9, "minutes": 1.0, "gap_bits": 0.0}
    compared = {"models": [{**record, "unit": "chars", "curve": []}]}
    (here / "compared.json").write_text(json.dumps(compared))
    assert run(["report", "letters", "--compare", "compared.json", "-n", "2"]) == 0
    page = (here / "report.html").read_text(encoding="utf-8")
    expected = ["Samples", "What lies near what", "How far back it feels", "Among others", "The model"]
    assert [title for title in titles(page) if title != "What its cells watch"] == expected
    assert page.count('class="sample') == 2


def test_a_tune_model_can_be_heard_and_the_page_is_the_same_each_time(here):
    write_model(here / "tunes", note_tokenizer([abc_piece(TUNE)]), end=1.0)
    pages = []
    for _ in range(2):
        assert run(["report", "tunes", "-o", "tunes.html", "-n", "1"]) == 0
        pages.append((here / "tunes.html").read_text(encoding="utf-8"))
    assert titles(pages[0])[0] == "Tunes"
    assert '<audio preload="none" src="data:audio/' in pages[0]
    assert not re.search(r'(?:src|href)="(?!#|data:)', pages[0])
    assert re.sub(r"[a-z0-9]{5,}", "", pages[0]) == re.sub(
        r"[a-z0-9]{5,}", "", pages[1]
    )  # but for ids in SVG


def test_tunes_of_a_page_are_whole_as_those_of_sample_are(here):
    artifact = write_model(here / "tunes", note_tokenizer([abc_piece(TUNE)]), end=1.0)
    samples = LanguageSubject(artifact, count=9, temperature=1.0, seed=1, compared=[]).samples
    whole, _ = constrain_tune(TuneRules(), artifact.tokenizer, prompt=(), length=700)
    for sample in samples:
        count, rest = whole.obeyed(sample.tokens)
        assert (count, rest.shortest) == (len(sample.tokens), 0)


def test_the_card_has_the_scores_of_parts_and_nothing_else_that_was_measured(here):
    model = write_model(here / "letters")
    score = {"protocol": "carried", "loss_nats": 1.25, "bits_per": {"char": 1.8034}}
    record = yaml.safe_load((model.path / "artifact.yaml").read_text())
    record["scores"] = {"valid": score, "int8": {"protocol": "windows:500", "kl_nats": 1e-6}}
    (model.path / "artifact.yaml").write_text(yaml.safe_dump(record))
    assert run(["report", "letters"]) == 0
    page = (here / "report.html").read_text(encoding="utf-8")
    assert "<dt>Score, valid part (carried)</dt><dd>1.2500 nats, 1.803 bits per char</dd>" in page
    assert "windows:500" not in page


def test_cells_that_cannot_be_looked_into_have_no_such_section(here):
    write_model(here / "rnn", cell="rnn")
    assert run(["report", "rnn", "-o", "rnn.html"]) == 0
    assert "The model" in titles((here / "rnn.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-o", "page.pdf"], "choose a name that ends in .html"),
        (["--compare", "none.json"], "none.json: no such file"),
        (["--compare", "bad.json"], "not what `seqgen compare --json` prints"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(here, capsys, options, complaint):
    write_model(here / "m")
    (here / "bad.json").write_text("[1]")
    assert run(["report", "m", *options]) == 1
    assert complaint in capsys.readouterr().err
    assert not (here / "report.html").exists()
