import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import blocks
from seqgen.data.blocks import char_count, char_offset, cut_documents, piece_chars, pieces

text = st.text(alphabet="ab é\u0301가\n", max_size=60)


def documents_of(content, kind, *, block_bytes, chunk_bytes):
    """Cut a text in tiny blocks and put its documents together again."""
    data = content.encode()
    chunks = [data[i : i + chunk_bytes] for i in range(0, len(data), chunk_bytes)]
    found, current = [], b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        for block in cut_documents(chunks, kind):
            last = len(block.starts) - 1
            for number, piece in enumerate(pieces(block)):
                current = piece if number or block.begins else current + piece
                if number < last or block.closes:
                    found.append(current.decode())
    return found


sizes = {"block_bytes": st.integers(1, 20), "chunk_bytes": st.integers(1, 9)}


@given(content=text, **sizes)
def test_a_file_is_one_document_however_it_is_cut(content, block_bytes, chunk_bytes):
    found = documents_of(content, "files", block_bytes=block_bytes, chunk_bytes=chunk_bytes)
    assert found == ([content] if content else [])


@given(content=text, **sizes)
def test_every_line_with_content_is_a_document(content, block_bytes, chunk_bytes):
    found = documents_of(content, "lines", block_bytes=block_bytes, chunk_bytes=chunk_bytes)
    assert found == [line for line in content.split("\n") if line]


@given(content=st.text(alphabet="ab \t\n", max_size=40))
def test_paragraphs_are_parted_by_blank_lines(content):
    expected, lines = [], []
    for line in [*content.split("\n"), ""]:
        if line.strip(" \t"):
            lines.append(line)
        elif lines:
            expected.append("\n".join(lines))
            lines = []
    assert documents_of(content, "paragraphs", block_bytes=1000, chunk_bytes=1000) == expected


@given(content=st.text(alphabet="abé\n", max_size=60), **sizes)
def test_paragraphs_do_not_depend_on_how_blocks_are_cut(content, block_bytes, chunk_bytes):
    whole = documents_of(content, "paragraphs", block_bytes=1000, chunk_bytes=1000)
    assert documents_of(content, "paragraphs", block_bytes=block_bytes, chunk_bytes=chunk_bytes) == whole


@given(content=text, **sizes)
def test_blocks_are_cut_where_normalisation_is_not_concerned(content, block_bytes, chunk_bytes):
    from unicodedata import normalize

    data = content.encode()
    chunks = [data[i : i + chunk_bytes] for i in range(0, len(data), chunk_bytes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        stretches = [block.data.decode() for block in cut_documents(chunks, "files")]
    assert "".join(normalize("NFC", stretch) for stretch in stretches) == normalize("NFC", content)


@given(content=text, cut=st.integers(0, 60))
def test_characters_are_counted_and_found_in_bytes(content, cut):
    data = content.encode()
    assert char_count(data) == len(content)
    assert data[: char_offset(data, cut)].decode() == content[:cut]


@given(texts=st.lists(text, min_size=1, max_size=5))
def test_characters_of_pieces_are_counted(texts):
    data = [piece.encode() for piece in texts]
    edges = np.cumsum([0, *map(len, data)])
    assert piece_chars(b"".join(data), edges[:-1], edges[1:]).tolist() == list(map(len, texts))
