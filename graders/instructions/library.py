"""All constraints. Importing this module fills the table; everything else asks the table."""

from __future__ import annotations

from graders.instructions import ifbench_custom, ifbench_formats, ifbench_sentences, ifbench_words, ifeval
from graders.instructions.constraint import CONSTRAINTS, Check, InvalidInstruction, bind

__all__ = ["CONSTRAINTS", "MODULES", "Check", "InvalidInstruction", "bind"]

MODULES = (ifeval, ifbench_words, ifbench_sentences, ifbench_formats, ifbench_custom)
