"""How near translations come to those of people: BLEU (Papineni et al. 2002) and chrF (Popović 2015).

Both are sacreBLEU's (Post 2018), and each is told with its signature, without which it does not compare.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")


@dataclass(frozen=True, kw_only=True)
class TranslationScore:
    """How good translations are.

    Attributes:
        bleu: 0 to 100.
        chrf: 0 to 100.
        signatures: Of both, as sacreBLEU gives them: tokenization, case, smoothing, version.
        sentences: How many were translated.
    """

    bleu: float
    chrf: float
    signatures: dict[str, str]
    sentences: int

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "bleu": round(self.bleu, 2),
            "chrf": round(self.chrf, 2),
            "sentences": self.sentences,
            "signatures": dict(self.signatures),
        }


def score_translations(translations: Sequence[str], references: Sequence[Sequence[str]]) -> TranslationScore:
    """Compare translations with those of people.

    Args:
        translations: One a sentence.
        references: Of each sentence one or more.

    Raises:
        ValueError: If there are not as many references as translations, or none at all.
    """
    from sacrebleu.metrics import BLEU, CHRF

    if not translations or len(translations) != len(references):
        raise ValueError(f"{len(translations)} translations and references of {len(references)} sentences")
    most = max(map(len, references))
    # sacreBLEU wants the first references of all sentences, then the second ones, None where there is none.
    streams = [[own[k] if k < len(own) else None for own in references] for k in range(most)]
    bleu, chrf = BLEU(tokenize=tokenization(references)), CHRF()
    scores = [metric.corpus_score(list(translations), streams).score for metric in (bleu, chrf)]
    return TranslationScore(
        bleu=scores[0],
        chrf=scores[1],
        signatures={"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
        sentences=len(translations),
    )


def tokenization(references: Sequence[Sequence[str]]) -> str:
    """Return how sacreBLEU is to find words: by characters where a script does not space them."""
    text = "".join(reference for own in references for reference in own)
    kana, han = len(_KANA.findall(text)), len(_HAN.findall(text))
    if kana + han <= len(text) // 4:
        return "13a"
    return "char" if kana > han // 10 else "zh"
