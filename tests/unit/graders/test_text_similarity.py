from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tokenize import wordpunct_tokenize
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from core.errors import InvalidRequest
from graders import wordnet
from graders.base import FailureKind, Grade, GradeError, Sample
from graders.pair import Ungradable
from graders.spec import parse
from graders.specs.text_similarity import TextSimilarity
from graders.text_similarity import MAX_CHARACTERS, metric, text_similarity

METRICS = ["fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"]
SENTENCE = "the quick brown fox jumps over the lazy dog"


def test_fuzzy_match_of_the_documented_pair() -> None:
    assert metric("fuzzy_match")("fuzzy wuzzy was a bear", "fuzzy wuzzy had no hair") == 0.7555555555555555


@pytest.mark.parametrize("name", METRICS)
def test_equal_texts_score_one(name: str) -> None:
    # METEOR charges half a chunk's cube for the one chunk that equal texts share.
    assert metric(name)(SENTENCE, SENTENCE) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("name", ["bleu", "gleu", "rouge_1", "rouge_l"])
def test_a_short_answer_that_is_right_scores_one(name: str) -> None:
    assert metric(name)("blue whale", "blue whale") == pytest.approx(1.0)


@pytest.mark.parametrize("name", METRICS)
def test_texts_with_nothing_in_common_score_zero(name: str) -> None:
    assert metric(name)("aaaa bbbb cccc", "xxxx yyyy zzzz") == pytest.approx(0.0, abs=0.2 if name == "fuzzy_match" else 1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_completion_scores_zero(name: str) -> None:
    assert metric(name)("", SENTENCE) == 0.0


@pytest.mark.parametrize(("name", "score"), [("rouge_1", 6 / 9), ("rouge_2", 4 / 7), ("rouge_3", 2 / 5), ("rouge_l", 6 / 9)])
def test_rouge_is_the_f_measure(name: str, score: float) -> None:
    assert metric(name)("the cat sat", "the cat sat on the mat") == pytest.approx(score)


@pytest.mark.parametrize("name", METRICS)
@given(text=st.text(max_size=60), reference=st.text(max_size=60))
def test_scores_lie_between_zero_and_one(name: str, text: str, reference: str) -> None:
    assert 0.0 <= metric(name)(text, reference) <= 1.0 + 1e-12


@given(
    text=st.lists(st.sampled_from(SENTENCE.split()), max_size=30).map(" ".join),
    reference=st.lists(st.sampled_from(SENTENCE.split()), max_size=30).map(" ".join),
)
def test_rouge_l_is_what_rouge_score_says(text: str, reference: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=False).score(reference, text)["rougeL"].fmeasure
    assert metric("rouge_l")(text, reference) == pytest.approx(expected)


@pytest.fixture(scope="module")
def nltk_wordnet() -> WordNetCorpusReader:
    directory = wordnet.find()
    assert directory is not None
    return WordNetCorpusReader(str(directory), object())


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("the feline rapidly sat upon the large sofa", "the cat quickly sat on a big couch"),
        ("It is a guide to action that ensures the military obeys", "It is a guide to action which ensures that the army heeds"),
        ("Walking dogs ran, happily!", "the dog walked and was running happily"),
        ("children purchased automobiles", "kids bought cars"),
    ],
)
def test_meteor_is_what_nltk_says(nltk_wordnet: WordNetCorpusReader, text: str, reference: str) -> None:
    words, reference_words = wordpunct_tokenize(text), wordpunct_tokenize(reference)
    expected = single_meteor_score(reference_words, words, wordnet=nltk_wordnet)
    assert metric("meteor")(text, reference) == expected > 0


def test_meteor_counts_synonyms() -> None:
    assert metric("meteor")("a sofa", "a couch") > metric("meteor")("a horse", "a couch")


def test_threads_share_the_corpus() -> None:
    words = ["dog", "run", "house", "quick", "set", "light", "paper", "stone"] * 8
    corpus = wordnet.load()
    expected = [corpus.synsets(word) for word in words]
    corpus.synsets.cache_clear()
    found: dict[int, list[object]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.__setitem__(n, [corpus.synsets(word) for word in words])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(8)] == [expected] * 8


def test_meteor_without_its_corpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "_HOME", Path("/nonexistent"))
    monkeypatch.setattr(wordnet, "_DEBIAN", Path("/nonexistent"))
    monkeypatch.setattr("nltk.data.path", [])
    with pytest.raises(InvalidRequest, match="needs WordNet"):
        parse({"type": "text_similarity", "input": "a", "reference": "b", "evaluation_metric": "meteor"})


@pytest.mark.parametrize("name", METRICS)
def test_a_text_beyond_the_limit_is_not_measured(name: str) -> None:
    with pytest.raises(Ungradable, match="too long"):
        metric(name)("a" * (MAX_CHARACTERS + 1), SENTENCE)


def test_a_text_beyond_the_limit_has_no_grade() -> None:
    spec = parse({"type": "text_similarity", "input": "{{sample.output_text}}", "reference": "b", "evaluation_metric": "rouge_l"})
    assert isinstance(spec, TextSimilarity)
    [result] = text_similarity(spec).grade([Sample(item={}, output_text="a" * (MAX_CHARACTERS + 1))])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.OTHER


def test_renders_both_sides() -> None:
    spec = TextSimilarity(
        type="text_similarity", name="n", input="{{sample.output_text}}", reference="{{item.a}}", evaluation_metric="rouge_l"
    )
    [result] = text_similarity(spec).grade([Sample(item={"a": SENTENCE}, output_text=SENTENCE)])
    assert isinstance(result, Grade)
    assert result.score == pytest.approx(1.0)


def test_a_row_without_the_reference_is_an_error() -> None:
    spec = TextSimilarity(
        type="text_similarity", name="n", input="{{sample.output_text}}", reference="{{item.a}}", evaluation_metric="bleu"
    )
    [result] = text_similarity(spec).grade([Sample(item={}, output_text=SENTENCE)])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE
