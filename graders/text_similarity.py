"""`text_similarity`: how alike two rendered strings are, from 0.0 to 1.0."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nltk.tokenize import wordpunct_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from nltk.translate.meteor_score import single_meteor_score
from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from graders import wordnet
from graders.pair import PairGrader, Ungradable
from graders.specs.text_similarity import TextSimilarity

MAX_CHARACTERS = 100_000
"""Of each side: enough for 20,000 words, and every metric answers within about a second."""

Metric = Callable[[str, str], float]


def text_similarity(spec: TextSimilarity) -> PairGrader:
    """Measures `input` against `reference`."""
    return PairGrader(spec, metric(spec.evaluation_metric))


def metric(name: str) -> Metric:
    """The function `(text, reference) -> 0..1` behind an `evaluation_metric`.

    It raises `Ungradable` where a side is longer than `MAX_CHARACTERS`.
    """
    return partial(_bounded, _MEASURES[name] if name in _MEASURES else _rouge_n(name.removeprefix("rouge_")))


def _bounded(measure: Metric, text: str, reference: str) -> float:
    longest = max(len(text), len(reference))
    if longest > MAX_CHARACTERS:
        raise Ungradable(f"a text of {longest} characters is too long to compare: the limit is {MAX_CHARACTERS}")
    return measure(text, reference)


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


def _meteor(text: str, reference: str) -> float:
    """METEOR (Banerjee and Lavie, 2005) with NLTK's constants: exact words, then Porter stems, then WordNet's synonyms."""
    words, reference_words = wordpunct_tokenize(text), wordpunct_tokenize(reference)
    if not words or not reference_words:
        return 0.0
    return float(single_meteor_score(reference_words, words, wordnet=wordnet.load()))


def _rouge_n(order: str) -> Metric:
    """The F-measure of ROUGE-N, without stemming."""
    name = f"rouge{order}"
    scorer = RougeScorer([name], use_stemmer=False)
    return lambda text, reference: float(scorer.score(reference, text)[name].fmeasure)


def _rouge_l(text: str, reference: str) -> float:
    """The F-measure of ROUGE-L (Lin, 2004), without stemming, on rouge-score's words.

    rouge-score fills a table of words times words; rapidfuzz finds the same longest common subsequence 64 cells at a time.
    """
    words, reference_words = _WORDS.tokenize(text), _WORDS.tokenize(reference)
    if not words or not reference_words:
        return 0.0
    common = LCSseq.similarity(words, reference_words)
    precision, recall = common / len(words), common / len(reference_words)
    return 2 * precision * recall / (precision + recall) if common else 0.0


_WORDS = DefaultTokenizer(use_stemmer=False)
_MEASURES: dict[str, Metric] = {
    "fuzzy_match": _fuzzy_match,
    "bleu": _bleu,
    "gleu": _gleu,
    "meteor": _meteor,
    "rouge_l": _rouge_l,
}
