"""What `score_model` and `label_model` share: rendering, asking, and making grades of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders.base import Grade, GradeError, Sample
from graders.judges.base import Answer, Json, NoAnswer, Question
from graders.judges.judge import Judge
from graders.judges.messages import Messages
from graders.judges.reply import no_verdict, verdict, verdict_schema
from graders.specs.judge import JudgeSpec
from graders.template import RenderError


@dataclass(frozen=True)
class Verdict:
    """What kind of result is asked for. `score` makes a finite number of one, and None of what is none."""

    name: str
    """Of the JSON schema."""
    schema: Json
    wanted: str
    """In words, for the failure's details."""
    score: Callable[[Any], float | None]


class JudgeGrader:
    """Asks a judge about every sample. `allow_private` lets images lie at private addresses."""

    def __init__(
        self, spec: JudgeSpec, judge: Judge, kind: Verdict, *, sampling: Mapping[str, Any] | None = None, allow_private: bool
    ) -> None:
        self.name = spec.name
        self.type = spec.type
        self._model = spec.model
        self._judge = judge
        self._kind = kind
        self._schema = verdict_schema(kind.schema)
        self._sampling = dict(sampling or {})
        self._messages = Messages(spec.messages(), allow_private=allow_private)

    def grade(self, samples: Sequence[Sample]) -> list[Grade | GradeError]:
        """One result a sample, in order."""
        asked = [self._question(sample) for sample in samples]
        answers = iter(self._judge.ask([question for question in asked if isinstance(question, Question)]))
        return [self._result(next(answers)) if isinstance(question, Question) else question for question in asked]

    def close(self) -> None:
        """Nothing is held: the judge is shared."""

    def _question(self, sample: Sample) -> Question | GradeError:
        try:
            messages = self._messages.render(sample)
        except RenderError as error:
            return GradeError(error.kind, str(error))
        return Question(messages, self._kind.name, self._schema, self._sampling)

    def _result(self, answer: Answer | NoAnswer) -> Grade | GradeError:
        usage = {self._model: answer.usage}
        if isinstance(answer, NoAnswer):
            return GradeError(answer.kind, answer.details, answer.seconds, usage=usage)
        score = self._kind.score(verdict(answer))
        if score is None:
            return no_verdict(answer, self._kind.wanted, usage)
        return Grade(score, answer.seconds, usage=usage)
