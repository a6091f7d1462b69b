"""The environment of `make grader-python`, and graders that use all of it in the sandbox."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders.sandbox.client import SandboxClient
from graders.sandbox.levels import Level

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[2]
IMPORTS = [
    "ast_grep_py", "deepdiff", "jsonschema", "nltk", "numpy", "pandas", "pydantic", "rapidfuzz", "rdkit", "rouge_score", "scipy",
    "skbio", "sklearn", "sqlparse", "sympy", "yaml",
]  # fmt: skip
USES = {
    "ast-grep-py": "import ast_grep_py\nscore = ast_grep_py.SgRoot('x = 1', 'python').root().find(pattern='x = $A') is not None",
    "deepdiff": "import deepdiff\nscore = deepdiff.DeepDiff({'a': 1}, {'a': 1}) == {}",
    "jsonschema": "import jsonschema\njsonschema.validate(1, {'type': 'integer'})\nscore = 1",
    "nltk": "from nltk.translate.bleu_score import sentence_bleu\nscore = sentence_bleu([list('abcde')], list('abcde'))",
    "wordnet": "from nltk.corpus import wordnet\nscore = len(wordnet.synsets('dog')) > 0",
    "numpy": "import numpy\nscore = numpy.linalg.solve([[2.0, 0], [0, 2]], [2.0, 2])[0]",
    "pandas": "import pandas\nscore = pandas.DataFrame({'a': [1, 1]}).a.mean()",
    "pydantic": "import pydantic\nscore = pydantic.TypeAdapter(int).validate_python('1')",
    "rapidfuzz": "import rapidfuzz\nscore = rapidfuzz.fuzz.WRatio('a', 'a') / 100",
    "rdkit": "from rdkit import Chem\nscore = Chem.MolToSmiles(Chem.MolFromSmiles('OCC')) == 'CCO'",
    "rouge-score": (
        "from rouge_score import rouge_scorer\n"
        "score = rouge_scorer.RougeScorer(['rouge1']).score('a b', 'a b')['rouge1'].fmeasure"
    ),
    "scipy": "import scipy.optimize\nscore = round(scipy.optimize.brentq(lambda x: x - 1, 0, 3), 6)",
    "scikit-bio": "import skbio\nscore = skbio.DNA('ACGT').gc_content() * 2",
    "scikit-learn": (
        "from sklearn.linear_model import LinearRegression\n"
        "score = round(LinearRegression().fit([[0], [1]], [0, 1]).predict([[1]])[0], 6)"
    ),
    "sqlparse": "import sqlparse\nscore = len(sqlparse.split('select 1;'))",
    "sympy": "import sympy\nscore = int(sympy.simplify('sin(x)**2 + cos(x)**2'))",
    "yaml": "import yaml\nscore = yaml.safe_load('a: 1')['a']",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    subprocess.run(["make", "grader-python"], cwd=ROOT, check=True)
    client = SandboxClient(str(ROOT / "build" / "grader-python" / "bin" / "python"), level=Level.STRICT)
    yield client
    client.close()


def test_everything_is_imported_at_once(sandbox: SandboxClient) -> None:
    source = f"import {', '.join(IMPORTS)}\ndef grade(sample, item): return 1.0"
    [reply] = sandbox.run(source, [({}, {})])
    assert reply.value == 1.0, reply.error


def test_versions_are_those_of_the_image(sandbox: SandboxClient) -> None:
    pins = [
        line.split("==")
        for line in (ROOT / "graders/sandbox/image-2025-05-08.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    source = (
        "import importlib.metadata as m\ndef grade(sample, item):\n"
        "    return sum(m.version(name).replace('.0', '.') == v.replace('.0', '.') for name, v in item['pins'])"
    )
    [reply] = sandbox.run(source, [({}, {"pins": pins})])
    assert reply.value == len(pins), reply.error


@pytest.mark.parametrize("package", USES)
def test_a_grader_uses_it(sandbox: SandboxClient, package: str) -> None:
    body = USES[package].replace("\n", "\n    ")
    [reply] = sandbox.run(f"def grade(sample, item):\n    {body}\n    return score", [({}, {})])
    assert reply.value == 1, reply.error
