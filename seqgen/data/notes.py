"""Notes: pieces of music as the tokens of a note encoding."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seqgen.data.merges import Merges
from seqgen.data.tokenizers import EOS_ID, UNK_ID, Ids, StreamDecoder, VocabTokenizer
from seqgen.errors import TokenError

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Content
    from seqgen.music.encodings import NoteEncoding
    from seqgen.music.pieces import Piece


class NoteTokenizer(VocabTokenizer):
    """One id a token of a note encoding, or several that are merged; one not in the vocabulary is `<unk>`."""

    @cached_property
    def encoding(self) -> "NoteEncoding":
        """The encoding between pieces and token strings."""
        from seqgen.music.encodings import note_encoding

        options = self.vocab.options
        return note_encoding(options["notes"], options.get("parameters"))

    @cached_property
    def merges(self) -> Merges | None:
        """The tokens that stand for several of the encoding; None if there are none."""
        found = self.vocab.options.get("merges")
        return Merges([(a, b, c) for a, b, c in found], len(self.tokens)) if found else None

    @cached_property
    def _names(self) -> list[tuple[str, ...]]:
        """The tokens of the encoding that every id stands for."""
        parts = self.merges.parts if self.merges else [(number,) for number in range(len(self.tokens))]
        names = [tuple(self.tokens[number] for number in part) for part in parts]
        names[EOS_ID] = names[UNK_ID] = ()
        return names

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, content: "Content") -> Ids:
        """Return the ids of a piece.

        Raises:
            TokenError: If the piece does not suit the encoding, or is text.
        """
        if isinstance(content, str):
            raise TokenError("a vocabulary of level note cannot encode text; give a piece of music")
        return self.encode_tokens(self.encoding.encode(content))

    def encode_tokens(self, tokens: Iterable[str]) -> Ids:
        """Return the ids of tokens of the encoding, merged."""
        return self.merge(self.single_ids(tokens))

    def single_ids(self, tokens: Iterable[str]) -> Ids:
        """Return the id of every token of the encoding by itself."""
        return np.array([self._ids.get(token, UNK_ID) for token in tokens], dtype=np.uint32)

    def merge(self, ids: Ids) -> Ids:
        """Return the ids of a stretch of single tokens with those that belong together merged."""
        return self.merges.apply(ids) if self.merges else ids

    def decode(self, ids: Iterable[int]) -> "Piece":
        """Return the piece; what makes no sense where it stands is passed over."""
        return self.encoding.decode(self.decode_tokens(ids))

    def decode_tokens(self, ids: Iterable[int]) -> Sequence[str]:
        """Return the tokens of the encoding."""
        return [name for i in ids for name in self._names[i]]

    def stream(self) -> StreamDecoder:
        """Refuse: notes only make a piece together.

        Raises:
            TokenError: Always.
        """
        raise TokenError("music cannot be streamed; decode it whole")
