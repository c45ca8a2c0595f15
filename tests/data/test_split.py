from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import CorpusConfig
from seqgen.data import blocks, readers, split
from seqgen.data.corpus import open_corpus
from seqgen.data.split import PARTS, assign_parts, cut_edges, plan_split, split_blocks
from seqgen.errors import CorpusError
from tests.data.real import real

SHARES = (90.0, 5.0, 5.0)


def parts_of(path, shares, **config):
    """Return how a corpus is divided, and the stretches of each part: text, opens, closes."""
    corpus = open_corpus([str(path)], CorpusConfig(**config), level="char")
    plan = plan_split(corpus, shares)
    found = {part: [] for part in PARTS}
    for block in split_blocks(corpus, plan):
        rows = zip(*(array.tolist() for array in block[1:]), strict=True)
        for start, end, part, opens, closes in rows:
            stretches = found[PARTS[part]]
            text = block.data[start:end].decode()
            if opens:
                stretches.append([text, closes])
            else:
                stretches[-1] = [stretches[-1][0] + text, closes]
    return plan.how, found


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {number % 700}\n" for number in range(2000)))
    return path


def test_documents_are_divided_by_content_in_about_the_shares_asked_for(lines):
    how, found = parts_of(lines, SHARES, documents="lines")
    assert how == "hash"
    assert {part: len(stretches) for part, stretches in found.items()} == pytest.approx(
        {"train": 1800, "valid": 100, "test": 100}, abs=60
    )


def test_equal_documents_never_lie_on_both_sides(lines):
    _, found = parts_of(lines, SHARES, documents="lines")
    train, valid, test = ({text for text, _ in found[part]} for part in PARTS)
    assert len(train | valid | test) == 700
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_no_document_is_lost_and_order_is_kept(lines):
    _, found = parts_of(lines, SHARES, documents="lines")
    whole = Counter(text for part in PARTS for text, _ in found[part])
    assert whole == Counter(lines.read_text().splitlines())
    order = {text: number for number, text in reversed(list(enumerate(lines.read_text().splitlines())))}
    firsts = [order[text] for text, _ in found["valid"]]
    assert [n for n in firsts[: len(set(firsts))] if n < 700] == sorted(set(firsts))[: len(set(firsts))]


def test_every_whole_document_closes(lines):
    _, found = parts_of(lines, SHARES, documents="lines")
    assert all(closes for part in PARTS for _, closes in found[part])


def test_a_single_text_is_cut_at_the_characters_of_its_shares(tmp_path):
    text = "".join(chr(0x3B1 + i % 24) for i in range(1000))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    how, found = parts_of(tmp_path / "a.txt", SHARES)
    assert how == "position"
    assert found == {
        "train": [[text[:900], False]],
        "valid": [[text[900:950], False]],
        "test": [[text[950:], True]],
    }


def test_tinyshakespeare_is_cut_where_the_literature_cuts_it():
    path = real("tinyshakespeare/input.txt")
    _, found = parts_of(path, (90.0, 10.0, 0.0))
    text = path.read_text()
    assert found == {"train": [[text[:1003854], False]], "valid": [[text[1003854:], True]], "test": []}


def test_too_few_documents_are_each_cut(tmp_path):
    for name, size in (("a", 100), ("b", 40)):
        (tmp_path / f"{name}.txt").write_text(name * size)
    how, found = parts_of(tmp_path, (50.0, 25.0, 25.0))
    assert how == "position"
    assert found == {
        "train": [["a" * 50, False], ["b" * 20, False]],
        "valid": [["a" * 25, False], ["b" * 10, False]],
        "test": [["a" * 25, True], ["b" * 10, True]],
    }


text = st.text(alphabet="ab é가\n", min_size=1, max_size=80)


@given(
    content=text,
    shares=st.tuples(*[st.integers(0, 9)] * 3).filter(any),
    block=st.integers(1, 30),
    kind=st.sampled_from(["files", "lines"]),
)
def test_cutting_depends_on_no_block_size(tmp_path_factory, content, shares, block, kind):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text(content, encoding="utf-8")
    documents = [content] if kind == "files" else [line for line in content.split("\n") if line]
    with pytest.MonkeyPatch.context() as patch:
        for module in (blocks, split):
            patch.setattr(module, "BLOCK_BYTES", block)
        patch.setattr(readers, "_CHUNK_BYTES", 3)
        if not documents:
            with pytest.raises(CorpusError, match="nothing to read is left"):
                parts_of(path, shares, documents=kind)
            return
        how, found = parts_of(path, shares, documents=kind)
    if how == "position":
        expected = {part: [] for part in PARTS}
        for document in documents:
            edges = cut_edges(len(document), shares)
            for part, start, end in zip(PARTS, edges, edges[1:], strict=False):
                if start < end:
                    expected[part].append([document[start:end], end == len(document)])
        assert found == expected
    else:
        assert Counter(text for part in PARTS for text, _ in found[part]) == Counter(documents)


def test_shares_need_not_add_up_to_100():
    assert cut_edges(1000, (8, 1, 1)) == [0, 800, 900, 1000]
    digests = list(range(0, 2**32, 2**24))
    assert assign_parts(digests, (8, 1, 1)) == assign_parts(digests, (80, 10, 10))


def test_a_share_of_nothing_gets_no_document():
    assert set(assign_parts(range(10_000), (0.7, 0.3, 0.0))) == {0, 1}
    assert set(assign_parts(range(10_000), (1, 0, 1))) == {0, 2}


def test_a_file_that_breaks_midway_leaves_no_trace(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"good {n}\n" for n in range(300)))
    (tmp_path / "b.txt").write_bytes(b"bad line\n" * 200_000 + b"\xff\n")
    (tmp_path / "c.txt").write_text("".join(f"fine {n}\n" for n in range(300)))
    corpus = open_corpus([str(tmp_path)], CorpusConfig(documents="lines", on_error="skip"), level="char")
    plan = plan_split(corpus, SHARES)
    assert (plan.how, plan.documents) == ("hash", 600)
    assert [str(item) for item in corpus.skipped] == [
        f"{tmp_path}/b.txt: byte 1800000: not UTF-8; give its --encoding (such as latin-1 or cp1252), "
        "or --on-error skip"
    ]
    assert sum(len(block.starts) for block in split_blocks(corpus, plan)) == 600


def test_a_corpus_that_grows_while_it_is_read_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"good {n}\n" for n in range(300)))
    corpus = open_corpus([str(tmp_path)], CorpusConfig(documents="lines"), level="char")
    plan = plan_split(corpus, SHARES)
    with (tmp_path / "a.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(CorpusError, match="changed while it was read"):
        list(split_blocks(corpus, plan))
