"""`text_similarity`: how alike two rendered strings are, from 0.0 to 1.0."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from nltk.tokenize import wordpunct_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from rapidfuzz import fuzz
from rouge_score.rouge_scorer import RougeScorer

from graders.base import Grade, GradeError, Sample
from graders.spec import TextSimilarity
from graders.template import RenderError, Template

Metric = Callable[[str, str], float]


class TextSimilarityGrader:
    """Measures `input` against `reference`, both rendered for each sample."""

    type = "text_similarity"

    def __init__(self, spec: TextSimilarity) -> None:
        self.name = spec.name
        self._input = Template.parse(spec.input)
        self._reference = Template.parse(spec.reference)
        self._metric = metric(spec.evaluation_metric)

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        return [self._grade_one(sample) for sample in samples]

    def close(self) -> None:
        """Nothing is held."""

    def _grade_one(self, sample: Sample) -> Grade | GradeError:
        started = time.perf_counter()
        try:
            score = self._metric(self._input.render(sample), self._reference.render(sample))
        except RenderError as error:
            return GradeError(error.kind, str(error), time.perf_counter() - started)
        return Grade(score, time.perf_counter() - started)


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
