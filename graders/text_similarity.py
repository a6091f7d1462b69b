"""`text_similarity`: how alike two rendered strings are, from 0.0 to 1.0."""

from __future__ import annotations

from collections.abc import Callable

from nltk.tokenize import wordpunct_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from rapidfuzz import fuzz
from rouge_score.rouge_scorer import RougeScorer

from graders.pair import PairGrader
from graders.specs.text_similarity import TextSimilarity

Metric = Callable[[str, str], float]


def text_similarity(spec: TextSimilarity) -> PairGrader:
    """Measures `input` against `reference`."""
    return PairGrader(spec, metric(spec.evaluation_metric))


def metric(name: str) -> Metric:
    """The function `(text, reference) -> 0..1` behind an `evaluation_metric`."""
    if name.startswith("rouge_"):
        return _rouge(name.removeprefix("rouge_"))
    return {"fuzzy_match": _fuzzy_match, "bleu": _bleu, "gleu": _gleu}[name]


def _fuzzy_match(text: str, reference: str) -> float:
    """Rapidfuzz's plain ratio. Its weighted kin would reward a completion for containing a fragment of the reference."""
    return fuzz.ratio(text, reference) / 100


def _bleu(text: str, reference: str) -> float:
    """Sentence BLEU of up to four words, smoothed by an epsilon; texts shorter than four words use shorter n-grams."""
    smoothing = SmoothingFunction().method1
    words, reference_words = wordpunct_tokenize(text), wordpunct_tokenize(reference)
    return float(sentence_bleu([reference_words], words, smoothing_function=smoothing, auto_reweigh=True))


def _gleu(text: str, reference: str) -> float:
    """Sentence GLEU: the smaller of n-gram precision and recall, one to four words."""
    return float(sentence_gleu([wordpunct_tokenize(reference)], wordpunct_tokenize(text)))


def _rouge(variant: str) -> Metric:
    """The F-measure of ROUGE-N or ROUGE-L, without stemming."""
    name = f"rouge{variant.upper()}"
    scorer = RougeScorer([name], use_stemmer=False)
    return lambda text, reference: float(scorer.score(reference, text)[name].fmeasure)
