import pytest

from seqgen.data.tokenizers import byte_vocab, make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import ConfigError, CorpusError
from seqgen.music.excerpts import open_end
from seqgen.music.write import write_midi, write_musicxml
from seqgen.sampling.prompts import encode_tune, text_prompt, tune_prompt, tune_prompt_from_bytes
from tests.sampling.models import TUNE, abc_piece, char_tokenizer, note_tokenizer

MELODY = note_tokenizer([abc_piece(TUNE)])


def names(tokenizer, prompt):
    return [tokenizer.tokens[i] for i in prompt.ids]


def test_a_text_is_encoded_and_kept_as_given():
    prompt = text_prompt(char_tokenizer(), "a bad\n")
    assert prompt.text == "a bad\n"
    assert prompt.ids.tolist() == char_tokenizer().encode("a bad\n").tolist()
    assert prompt.remarks == ()


def test_each_unseen_character_is_named_once():
    prompt = text_prompt(char_tokenizer(), "xa\txé")
    assert prompt.remarks == ("the model has never seen x '\\t' é; read as <unk>",)
    assert prompt.ids.tolist() == [1, 2, 1, 1, 1]


def test_at_byte_level_nothing_is_unseen():
    assert text_prompt(make_tokenizer(byte_vocab()), "é😀\x00").remarks == ()


def test_at_word_level_unseen_words_are_counted():
    words = Vocab(level="word", modality="text", tokens=(EOS, UNK, "a", " bed"), options={"words": "words"})
    prompt = text_prompt(make_tokenizer(words), "a bed here")
    assert prompt.remarks == ("the model has never seen 1 of its 3 words; read as <unk>",)


def test_at_subword_level_unseen_characters_are_spelled_as_bytes():
    from seqgen.data.subwords import train_subwords

    vocab = train_subwords(["a bad cab. " * 30], kind="unigram", size=280, lowercase=False)
    prompt = text_prompt(make_tokenizer(vocab), "a é cab")
    assert prompt.remarks == ("the model has never seen é; spelled as bytes",)


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    return path


def test_a_tune_is_gone_on_from_with_a_plain_bar_line_for_the_final_one(tune):
    prompt = tune_prompt(MELODY, tune)
    assert list(prompt.names) == [*MELODY.encoding.encode(abc_piece(TUNE))[:-1], "Bar_|"]
    assert names(MELODY, prompt) == list(prompt.names)
    assert prompt.title == "A reel"


def test_a_last_bar_that_is_not_full_is_left_open(tune):
    tune.write_text(TUNE.replace("d8 |]", "d8 | d6 |]"))
    assert tune_prompt(MELODY, tune).names[-1] == "Pitch_D5"


def test_a_played_tune_is_put_in_bars_and_left_open(tmp_path):
    path = tmp_path / "tune.mid"
    path.write_bytes(write_midi(abc_piece(TUNE.replace("d8 |]", "d6 |]"))))
    assert "Bar_|]" not in tune_prompt(MELODY, path).names


def test_rests_at_the_end_are_left_off(tune):
    tune.write_text(TUNE.replace("d8 |]", "d4 z4 | z8 |]"))
    assert tune_prompt(MELODY, tune).names[-2:] == ("Duration_2", "Pitch_D5")


def test_of_several_tunes_the_first_is_used(tune):
    alone = tune_prompt(MELODY, tune)
    tune.write_text(TUNE + "\n" + TUNE.replace("ABcd", "dcBA"))
    prompt = tune_prompt(MELODY, tune)
    assert prompt.ids.tolist() == alone.ids.tolist()
    assert prompt.remarks == ("of 2 tunes the first is used; --tune chooses",)


def test_a_tune_of_a_book_is_chosen_by_its_number(tune):
    tune.write_text(TUNE.replace("ABcd", "dcBA") + "\n" + TUNE)
    prompt = tune_prompt(MELODY, tune, number=2)
    assert (prompt.remarks, prompt.names) == ((), encode_tune(MELODY, open_end(abc_piece(TUNE))).names)
    with pytest.raises(ConfigError, match=r"^--tune 3: .*tune.abc holds 2 tunes$"):
        tune_prompt(MELODY, tune, number=3)


def test_unseen_notes_are_told_with_their_bar_and_kept(tune):
    tune.write_text(TUNE.replace("gfed", "gf^DE,"))
    prompt = tune_prompt(MELODY, tune)
    assert prompt.remarks == (
        f"the model has never seen Pitch_D#4 (bar 2), Pitch_E3 (bar 2) of {len(prompt.names)} tokens; "
        "read as <unk>",
    )
    assert "Pitch_D#4" in prompt.names
    assert (prompt.ids == 1).sum() == 2


@pytest.mark.parametrize(
    "content",
    [TUNE.encode(), write_midi(abc_piece(TUNE)), write_musicxml(abc_piece(TUNE)).encode()],
    ids=["abc", "midi", "musicxml"],
)
def test_the_kind_of_a_nameless_tune_is_seen_from_its_content(content):
    remi = note_tokenizer([abc_piece(TUNE)], "remi")
    prompt = tune_prompt_from_bytes(remi, content, source="standard input")
    assert sum(name.startswith("Pitch_") for name in names(remi, prompt)) >= 11


def test_a_nameless_file_without_a_tune_is_told_by_its_source():
    with pytest.raises(CorpusError, match=r"^standard input: no tune"):
        tune_prompt_from_bytes(MELODY, b"hello", source="standard input")
