import json
import os
import re
import signal
import subprocess
import sys

import pytest

from seqgen.cli.app import run
from seqgen.music.read import parse_unit, split_music
from tests.sampling.models import (
    TUNE,
    abc_piece,
    char_tokenizer,
    note_tokenizer,
    spelling_weights,
    write_model,
)


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory):
    """Compile the sampler beforehand, so that the tests see what later runs show."""
    path = tmp_path_factory.mktemp("compiled")
    write_model(path)
    run(["sample", str(path), "--seed", "1", "--prompt", "a", "-o", str(path / "text")])


@pytest.fixture
def model(tmp_path):
    write_model(tmp_path / "letters")
    return str(tmp_path / "letters")


@pytest.fixture
def speller(tmp_path):
    """Return a function that makes a model which always says the same text."""

    def make(text, *, documents="files", again=False):
        weights = spelling_weights(char_tokenizer(), text, again=again)
        config = {"corpus": {"documents": documents}}
        write_model(tmp_path / "speller", cell="rnn", weights=weights, config=config)
        return str(tmp_path / "speller")

    return make


@pytest.fixture
def sample(capfdbinary):
    """Return a function that runs the command and gives its exit code, stdout and stderr."""

    def call(*arguments):
        code = run(["sample", *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def piped(*arguments, **options):
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "seqgen", "sample", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_the_same_seed_gives_the_same_bytes(model, sample):
    first = sample(model, "--seed", 7)
    assert first[0] == 0
    assert first[1]
    assert first == sample(model, "--seed", 7)
    assert first != sample(model, "--seed", 8)


def test_a_random_seed_is_told_and_repeats_the_sample(model, sample):
    _, text, told = sample(model)
    seed = told.split("--seed ")[1].split()[0]
    assert told == f"seqgen: seed {seed}; --seed {seed} gives the same again\n"
    assert sample(model, "--seed", seed)[1] == text


def test_a_given_seed_leaves_stderr_empty(model, sample):
    assert sample(model, "--seed", 1)[2] == ""


def test_text_ends_in_one_line_break(speller, sample):
    assert sample(speller("a bad cab"), "--seed", 1)[1] == "a bad cab\n"
    assert sample(speller("a bad cab\n"), "--seed", 1)[1] == "a bad cab\n"


def test_samples_of_text_are_separated_by_an_empty_line(speller, sample):
    assert sample(speller("cab"), "--seed", 1, "--count", 3)[1] == "cab\n\ncab\n\ncab\n"


def test_samples_of_a_model_of_lines_stand_one_a_line(speller, sample):
    assert sample(speller("cab", documents="lines"), "--seed", 1, "-n", 3)[1] == "cab\ncab\ncab\n"


def test_length_is_counted_in_tokens(speller, sample):
    assert sample(speller("ab", again=True), "--seed", 1, "--length", 5)[1] == "ababa\n"
    assert len(sample(speller("ab", again=True), "--seed", 1)[1]) == 1001


def test_stop_texts_end_the_sample(speller, sample):
    assert sample(speller("a cab. a bed."), "--seed", 1, "--stop", ". ", "--stop", "x")[1] == "a cab\n"


def test_the_prompt_is_part_of_each_sample(speller, sample):
    code, text, _ = sample(speller("cab"), "--seed", 1, "--prompt", "bad ", "--count", 2)
    assert code == 0
    assert [part[:4] for part in text.split("\n\n")] == ["bad ", "bad "]


def test_a_prompt_comes_from_standard_input_as_it_is(model):
    process = piped(model, "--seed", 1, "--prompt", "-", stdin=subprocess.PIPE)
    out, err = process.communicate(b"a bad\n")
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"a bad\n")


def test_standard_input_that_is_not_utf_8_is_told_with_its_byte(model):
    process = piped(model, "--prompt", "-", stdin=subprocess.PIPE)
    _, err = process.communicate(b"ab\xff")
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(
        b"seqgen: error: --prompt -: byte 2 of standard input is not UTF-8"
    )


def test_unseen_characters_of_a_prompt_are_told(model, sample):
    code, text, err = sample(model, "--seed", 1, "--prompt", "bad xéx\t")
    assert code == 0
    assert text.startswith("bad xéx\t")
    assert err == "seqgen: prompt: the model has never seen x é '\\t'; read as <unk>\n"


def test_a_prompt_that_is_the_name_of_a_file_is_taken_as_text_and_that_is_told(
    model, sample, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").write_text("cab")
    _, out, err = sample(model, "--seed", 1, "--prompt", "bad", "--length", 5)
    assert out.startswith("bad")
    assert err == "seqgen: --prompt bad: taken as text; --prompt - < bad reads the file of that name\n"


def test_json_lines_hold_text_ids_and_log_probability(speller, sample):
    _, out, _ = sample(speller("cab"), "--seed", 4, "--count", 2, "--format", "json")
    first, second = map(json.loads, out.splitlines())
    ids = char_tokenizer().encode("cab").tolist()
    assert first == {
        "sample": 1, "seed": 4, "prompt": "", "text": "cab", "end": "eos", "logprob_nats": 0.0, "ids": ids,
    }  # fmt: skip
    assert second == first | {"sample": 2}


def test_json_is_short_for_its_format_and_its_ids_are_those_of_the_text(model, sample):
    _, out, _ = sample(model, "--seed", 2, "--json", "--prompt", "bad", "--length", 20, "-n", 3)
    assert (
        out == sample(model, "--seed", 2, "--format", "json", "--prompt", "bad", "--length", 20, "-n", 3)[1]
    )
    for record in map(json.loads, out.splitlines()):
        assert record["prompt"] == "bad"
        assert char_tokenizer().decode(record["ids"]) == record["text"]
        assert record["logprob_nats"] < 0


def test_the_likeliest_of_several_is_shown_at_any_batch_size(model, sample):
    arguments = [model, "--seed", 2, "--json", "--length", 20]
    drawn = [json.loads(line) for line in sample(*arguments, "-n", 6)[1].splitlines()]
    best = [max(drawn[first : first + 3], key=lambda one: one["logprob_nats"])["ids"] for first in (0, 3)]
    for batch_size in (1, 4, 64):
        found = sample(*arguments, "-n", 2, "--best-of", 3, "--batch-size", batch_size)[1]
        assert [json.loads(line)["ids"] for line in found.splitlines()] == best


def test_a_beam_shows_the_likeliest_first_and_needs_no_seed(model, sample):
    code, out, err = sample(model, "--beam", 8, "--n-best", 3, "--json", "--length", 12)
    records = [json.loads(line) for line in out.splitlines()]
    assert (code, err, len(records)) == (0, "", 3)
    assert "seed" not in records[0]
    scores = [record["logprob_nats"] for record in records]
    assert scores == sorted(scores, reverse=True)
    (greedy,) = sample(model, "--seed", 1, "--temperature", 0, "--json", "--length", 12)[1].splitlines()
    assert json.loads(greedy)["logprob_nats"] < scores[0]


def test_a_beam_that_finds_fewer_says_so(model, sample):
    code, out, err = sample(model, "--beam", 5, "--n-best", 5, "--regex", "a|b|cab")
    assert code == 0
    assert sorted(out.split()) == ["a", "b", "cab"]
    assert err == "seqgen: found 3 of 5; there are no others, or none that differ\n"


def test_token_names_are_one_sample_a_line(speller, sample):
    _, out, _ = sample(speller("a b\n"), "--seed", 1, "--count", 2, "--format", "tokens")
    assert out == "a \\x20 b \\n\n" * 2


def test_output_goes_to_a_file_and_its_suffix_picks_the_form(speller, sample, tmp_path):
    code, out, _ = sample(speller("cab"), "--seed", 1, "-o", tmp_path / "new" / "x.jsonl")
    assert (code, out) == (0, "")
    assert json.loads((tmp_path / "new" / "x.jsonl").read_text())["text"] == "cab"
    sample(speller("cab"), "--seed", 1, "-o", tmp_path / "x.md")
    assert (tmp_path / "x.md").read_text() == "cab\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "--count 0: at least 1"),
        (["--top-p", "2"], "--top-p 2.0: more than 0, at most 1"),
        (["--format", "midi"], "--format midi: this model makes text; choose --format text, json, tokens"),
        (["-o", "x.mid"], "-o x.mid: this model makes text; choose --format text, json, tokens"),
        (["-o", "."], ".: a folder; name a file in it"),
        (["--json", "--format", "text"], "--json: JSON lines, not --format text; ask for only one"),
        (["--best-of", "0"], "--best-of 0: 1 to 10,000 candidates"),
        (["--length-penalty", "1"], "--length-penalty: is for --beam and --best-of; ask for one of them"),
        (["--best-of", "2", "--length-penalty", "-1"], "--length-penalty -1.0: 0 (none) to 10"),
        (["--n-best", "2"], "--n-best: is for --beam; ask for that too"),
        (["--diverse", "1"], "--diverse: is for --beam; ask for that too"),
        (["--beam", "0"], "--beam 0: 1 (greedy) to 1000 hypotheses"),
        (
            ["--beam", "4", "--top-p", "0.5"],
            "--top-p: has no meaning with --beam, which draws nothing; leave one out",
        ),
        (
            ["--beam", "4", "--best-of", "3"],
            "--best-of: compares what is drawn, and --beam draws nothing; leave one out",
        ),
        (
            ["--length", "0", "--receipt", "r.json"],
            "--length 0: text streams without end; tunes, searches, turns and receipts need a length",
        ),
        (
            ["--length", "0", "--json"],
            "--length 0: a line of json is written where a text ends, and this model learned whole files, "
            "which may never end; give --length or --stop",
        ),
        (["--batch-size", "0"], "--batch-size 0: at least 1"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_one_line_and_exit_1(model, sample, arguments, message):
    assert sample(model, "--seed", "1", *arguments) == (1, "", f"seqgen: error: {message}\n")


def test_a_path_that_is_no_model_is_one_line_and_exit_1(sample, tmp_path):
    code, out, err = sample(tmp_path / "absent")
    assert (code, out) == (1, "")
    assert err.startswith(f"seqgen: error: {tmp_path}/absent: no such model; ")
    assert err.count("\n") == 1


def test_a_failed_run_leaves_the_old_file(model, sample, tmp_path):
    weights = write_model(tmp_path / "m").weights()
    weights["head.bias"][:] = float("nan")
    write_model(tmp_path / "broken", weights=weights)
    (tmp_path / "x.txt").write_text("old")
    code, _, err = sample(tmp_path / "broken", "--seed", 1, "-o", tmp_path / "x.txt")
    assert code == 1
    assert "not all finite" in err
    assert (tmp_path / "x.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.glob("*x.txt*")) == ["x.txt"]


def test_a_reader_that_leaves_early_ends_the_command_quietly(speller):
    process = piped(speller("cab", again=True), "--seed", 1, "--length", 2_000_000_000)
    assert process.stdout.read(30) == b"cab" * 10
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0


def test_without_a_length_samples_follow_until_the_reader_leaves(speller):
    process = piped(speller("cab.", documents="lines"), "--seed", 1, "--length", 0)
    assert process.stdout.read(500_000) == b"cab.\n" * 100_000
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0


def test_json_lines_follow_without_a_length_where_texts_end(speller, sample):
    process = piped(speller("cab.", documents="lines"), "--seed", 1, "--length", 0, "--json")
    lines = [json.loads(process.stdout.readline()) for _ in range(200)]
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0
    assert [line["sample"] for line in lines] == [*range(1, 201)]
    assert {line["text"] for line in lines} == {"cab."}
    stopped = [speller("cab."), "--seed", 1, "--length", 0, "-n", 2, "--json", "--stop", "b"]
    assert [json.loads(line)["text"] for line in sample(*stopped)[1].splitlines()] == ["ca", "ca"]


def test_a_number_of_samples_holds_without_a_length(speller, sample):
    assert sample(speller("cab"), "--seed", 1, "--length", 0, "-n", 2)[1] == "cab\n\ncab\n"


def test_text_streams_and_ctrl_c_leaves_with_130(speller):
    process = piped(speller("cab", again=True), "--seed", 1, "--length", 2_000_000_000)
    assert process.stdout.read(3) == b"cab"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert b"Traceback" not in err
    assert process.returncode == 130


@pytest.fixture
def player(tmp_path):
    """A model that always plays the same tune."""
    tune = abc_piece(TUNE)
    weights = spelling_weights(note_tokenizer([tune]), tune)
    write_model(tmp_path / "player", note_tokenizer([tune]), cell="rnn", weights=weights)
    return str(tmp_path / "player")


def pitches(path):
    return [[note.pitch for note in parse_unit(unit).parts[0].notes] for unit in split_music(path)]


def test_a_single_line_tune_is_written_as_abc(player, sample, tmp_path):
    code, out, err = sample(player, "--seed", 1)
    assert (code, err) == (0, "")
    assert out.startswith("X:1\nT:player, seed 1\nM:4/4\n")
    (tmp_path / "again.abc").write_text(out)
    assert pitches(tmp_path / "again.abc") == [[note.pitch for note in abc_piece(TUNE).parts[0].notes]]


def test_several_tunes_are_one_numbered_book(player, sample, tmp_path):
    assert sample(player, "--seed", 1, "--count", 3, "-o", tmp_path / "book.abc")[0] == 0
    text = (tmp_path / "book.abc").read_text()
    assert [line for line in text.splitlines() if line.startswith("X:")] == ["X:1", "X:2", "X:3"]
    assert "T:player, seed 1, tune 3" in text
    assert len(pitches(tmp_path / "book.abc")) == 3


def test_the_suffix_of_the_output_picks_midi_or_musicxml(player, sample, tmp_path):
    sample(player, "--seed", 1, "-o", tmp_path / "tune.mid")
    sample(player, "--seed", 1, "-o", tmp_path / "tune.musicxml")
    assert (tmp_path / "tune.mid").read_bytes().startswith(b"MThd")
    assert b"<score-partwise" in (tmp_path / "tune.musicxml").read_bytes()


def test_several_tunes_of_a_beam_have_numbers_and_no_seed(player, sample, tmp_path):
    assert sample(player, "--beam", 4, "--n-best", 2, "-o", tmp_path / "tune.mid")[0] == 0
    assert sorted(path.name for path in tmp_path.glob("*.mid")) == ["tune-1.mid", "tune-2.mid"]
    assert "T:player, beam 4, tune 2\n" in sample(player, "--beam", 4, "--n-best", 2)[1]


def test_several_midi_files_are_numbered(player, sample, tmp_path):
    sample(player, "--seed", 1, "--count", 2, "-o", tmp_path / "tune.mid")
    assert sorted(path.name for path in tmp_path.glob("*.mid")) == ["tune-1.mid", "tune-2.mid"]


def test_midi_goes_through_a_pipe_as_it_is(player):
    process = piped(player, "--seed", 1, "--format", "midi")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"MThd")


def test_midi_is_refused_on_a_terminal(player):
    reader, terminal = os.openpty()
    command = [sys.executable, "-m", "seqgen", "sample", player, "--seed", "1", "--format", "midi"]
    done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, check=False)
    os.close(terminal)
    os.close(reader)
    assert done.returncode == 1
    assert done.stderr.startswith(b"seqgen: error: midi is no text for a terminal; name a file with -o")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "2", "--format", "midi"], "a midi file holds one tune; write 2 of them with -o"),
        (["--stop", "x"], "--stop: this model makes music, which has no text to stop at"),
        (
            ["--temperature", "pich=1.1"],
            "--temperature pich=1.1: the model has tokens of bar, beat, duration, key",
        ),
        (["--temperature", "1:2,pitch=1"], "--temperature by kind: it does not change on the way"),
        (["--temperature", "pitch=0"], "--temperature by kind: all are more than 0"),
        (["--prompt", "absent.abc"], "absent.abc: no such file; check its name and folder"),
        (["--format", "text"], "--format text: this model makes music; choose --format abc, midi"),
    ],
    ids=str,
)
def test_what_makes_no_sense_for_music_is_one_line_and_exit_1(player, sample, arguments, message):
    code, out, err = sample(player, "--seed", "1", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"seqgen: error: {message}")


@pytest.mark.parametrize("arguments", [["--temperature", "pich=1.1"], ["--stop", "x"], ["--bars", "900"]])
def test_what_makes_no_sense_is_told_before_the_seed(player, sample, arguments):
    code, _, err = sample(player, *arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("seqgen: error: ")


def test_a_tune_that_was_cut_is_written_and_told(player, sample):
    code, out, err = sample(player, "--any", "--seed", 1, "--length", 6)
    assert code == 0
    assert out.splitlines()[-1] == "|: AB"
    assert err == "seqgen: 1 of 1 tunes were cut at --length 6\n"


def test_a_tune_file_is_gone_on_from(player, sample, tmp_path):
    (tmp_path / "start.abc").write_text("X:1\nM:4/4\nL:1/8\nK:D\nd8|]\n")
    code, out, _ = sample(player, "--seed", 1, "--prompt", tmp_path / "start.abc", "--format", "tokens")
    assert code == 0
    assert out.startswith("Key_D-major Meter_4/4 ")


def test_a_tune_of_a_book_is_gone_on_from_with_its_title_and_every_note(player, sample, tmp_path):
    book = "X:1\nT:One\nM:4/4\nL:1/8\nK:D\nd8|]\n\nX:2\nT:Two\nM:4/4\nL:1/8\nK:D\nB,,8|]\n"
    (tmp_path / "book.abc").write_text(book)
    code, out, err = sample(player, "--seed", 1, "--prompt", tmp_path / "book.abc", "--tune", 2)
    assert code == 0
    assert "T:Two, by player, seed 1\n" in out
    assert "\nB,,4" in out
    assert "Pitch_B2 (bar 1)" in err


def test_a_given_tune_is_varied(player, sample, tmp_path):
    (tmp_path / "tune.abc").write_text(TUNE)
    given = ["--seed", 1, "--prompt", tmp_path / "tune.abc"]
    code, kept, _ = sample(player, *given, "--fix", "rhythm", "--length", 4)
    assert code == 0
    assert re.sub("[a-gA-G],*", "x", kept.splitlines()[-1]) == re.sub("[a-gA-G]", "x", TUNE.splitlines()[-1])
    code, pitched, _ = sample(player, *given, "--fix", "pitch")
    assert code == 0
    assert re.findall("[a-gA-G]", pitched.splitlines()[-1]) == re.findall("[a-gA-G]", TUNE.splitlines()[-1])
    code, filled, _ = sample(player, *given, "--infill", 2, "--candidates", 3)
    assert code == 0
    assert filled.splitlines()[-1].startswith("|: ABcd e2f2 | ")
    assert filled.splitlines()[-1].endswith(" :| d8 |]")


def test_bars_are_filled_without_what_is_banned(player, sample, tmp_path):
    (tmp_path / "tune.abc").write_text(TUNE)
    given = ["--seed", 1, "--prompt", tmp_path / "tune.abc", "--infill", 2, "--format", "tokens"]
    for banned in ("Duration_2", "Pitch_C#5"):
        code, out, _ = sample(player, *given, "--ban", banned)
        names = out.split()
        filled = names[names.index("Bar_|") : names.index("Bar_:|")]
        assert (code, banned in filled, names[-1]) == (0, False, "Bar_|]")


def test_the_text_of_a_tune_in_json_is_the_abc_that_is_written_without(player, sample):
    given = [player, "--seed", 1, "-n", 2]
    plain = sample(*given)[1]
    records = [json.loads(line) for line in sample(*given, "--json")[1].splitlines()]
    assert "\n".join(record["text"] for record in records) == plain
    assert [record["text"][:4] for record in records] == ["X:1\n", "X:2\n"]


@pytest.mark.parametrize("form", ["json", "tokens"])
def test_a_filled_tune_is_whole_as_tokens_too(player, sample, tmp_path, form):
    (tmp_path / "tune.abc").write_text(TUNE)
    given = ["--seed", 1, "--prompt", tmp_path / "tune.abc", "--infill", 2, "--format", form]
    code, out, _ = sample(player, *given)
    names = json.loads(out)["tokens"] if form == "json" else out
    assert (code, names.split()[-2:]) == (0, ["Pitch_D5", "Bar_|]"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fix", "rhythm"], "--fix rhythm: name the file of a tune with --prompt"),
        (["--infill", "2", "--fix", "pitch"], "--fix and --infill: ask for one of them"),
        (["--infill", "4-2", "--prompt", "tune.abc"], "--infill 4-2: bars such as 5 or 5-8"),
        (["--infill", "1-7", "--prompt", "tune.abc"], "--infill 1-7: the tune has bars 1 to 3"),
        (["--infill", "7", "--prompt", "tune.abc"], "--infill 7: the tune has bars 1 to 3"),
        (
            ["--fix", "rhythm", "--prompt", "tune.abc", "--ban", "Duration_1"],
            "--fix rhythm: the tokens of this model, those of --ban left out, cannot make it",
        ),
        (["--tune", "2"], "--tune: it chooses a tune of the file given with --prompt"),
        (
            ["--infill", "2", "--prompt", "tune.abc", "--key", "D"],
            "--infill 2: the tune says what stays; --key is for what is drawn as a whole",
        ),
        (
            ["--fix", "pitch", "--prompt", "tune.abc", "--max-line-length", "9"],
            "--fix pitch: the tune says what stays; --max-line-length is for",
        ),
    ],
    ids=str,
)
def test_a_variation_that_cannot_be_made_is_one_line(
    player, sample, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune.abc").write_text(TUNE)
    code, out, err = sample(player, "--seed", 1, *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"seqgen: error: {message}")


@pytest.mark.parametrize(("suffix", "start"), [("wav", b"RIFF"), ("svg", b"<svg"), ("png", b"\x89PNG")])
def test_sound_and_pictures_are_written_by_suffix(player, sample, tmp_path, suffix, start):
    assert sample(player, "--seed", 1, "-o", tmp_path / f"tune.{suffix}")[0] == 0
    assert (tmp_path / f"tune.{suffix}").read_bytes().startswith(start)


def test_json_lines_of_music_hold_its_tokens(player, sample):
    record = json.loads(sample(player, "--seed", 1, "--format", "json")[1])
    assert record["tokens"].startswith("Key_D-major Meter_4/4 Unit_1/2 ")
    assert len(record["ids"]) == len(record["tokens"].split())


def test_sampling_text_and_abc_imports_neither_torch_nor_music_libraries(model, player):
    script = (
        "import sys\n"
        "from seqgen.cli.app import run\n"
        f"codes = [run(['sample', {model!r}, '--seed', '1', '--lines', '2', '--prompt', 'bad'])]\n"
        f"codes += [run(['sample', {player!r}, '--seed', '1'])]\n"
        "heavy = {'torch', 'music21', 'miditok', 'symusic', 'sentencepiece', 'matplotlib', 'scipy', 'rich'}\n"
        "print(codes, sorted(set(sys.modules) & heavy), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[0, 0] []\n"
    assert done.stdout.startswith("bad")
    assert "T:player" in done.stdout


def test_the_first_run_on_a_machine_tells_that_it_compiles(model, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["SEQGEN_CACHE"] = str(tmp_path / "cache")
    process = piped(model, "--seed", 1, "--length", 1, env=environment)
    line = process.stderr.readline()
    process.terminate()
    process.communicate()
    assert line == b"seqgen: compiling the sampler (first run on this machine)\n"


def test_rules_and_filters_are_options(model, sample):
    code, out, err = sample(
        model, "--seed", 1, "-n", 5, "--regex", "[a-d]{3,}\\.", "--lines", 1, "--max-line-length", 9,
        "--starts", "b", "--ends", "d.", "--ban", "a", "--boost", "c=1", "--min-p", 0.01, "--typical", 0.95,
        "--repetition-penalty", 1.2, "--frequency-penalty", 0.1, "--penalty-window", 4,
        "--no-repeat-ngram", 6, "--temperature", "1.5:0.5", "--length", 12,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = out.split("\n\n")
    assert len(found) == 5
    assert all(re.fullmatch(r"b[bcd]+d\.", text.rstrip("\n")) for text in found)
    assert all(len(text.rstrip("\n")) <= 9 for text in found)


def test_line_rules_and_words_are_options(model, sample, tmp_path):
    (tmp_path / "words").write_text("bad cab\nace")
    code, out, _ = sample(
        model, "--seed", 1, "--line-regex", r"\w+ \w+", "--acrostic", "bc", "--words-from", tmp_path / "words"
    )
    assert code == 0
    assert re.fullmatch(r"bad (bad|cab|ace)\ncab (bad|cab|ace)\n", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--regex", "[a"], "--regex [a: unterminated character set at position 0"),
        (["--regex", "a{9}", "--length", "8"], "--regex a{9}: takes at least 9 tokens, but --length is 8"),
        (
            ["--starts", "b", "--prompt", "a"],
            "--prompt: 'a', its character 1, is against --starts b, which is on",
        ),
        (["--temperature", "warm"], "--temperature warm: a number, two such as 1.2:0.7, or by kind such as"),
        (["--temperature", "pitch=1"], "--temperature by kind: the tokens of a text model are of one kind"),
        (["--temperature", "1:-2"], "--temperature -2.0: 0 or more"),
        (["--min-p", "2"], "--min-p 2.0: 0 (all) to 1"),
        (["--typical", "0"], "--typical 0.0: more than 0, at most 1"),
        (["--repetition-penalty", "0"], "--repetition-penalty 0.0: above 0, at most 100"),
        (["--no-repeat-ngram", "-1"], "--no-repeat-ngram -1: 0 (off) or more"),
        (["--ban", "zz"], "--ban zz: the model has no token zz; --format tokens shows what they are called"),
        (["--lines", "2", "--stop", "x"], "--stop: would cut samples off before they obey the constraint"),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_kept_is_one_line_and_exit_1(model, sample, arguments, message):
    code, out, err = sample(model, "--seed", "1", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"seqgen: error: {message}")
