from __future__ import annotations

import pytest

from graders.code.extract import extract


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        ("print(1)", "print(1)"),
        ("Here:\n```python\nprint(1)\n```\nDone.", "print(1)"),
        ("```py\nx = 1\n```\nand\n```python\nx = 2\n```", "x = 2"),
        ("```\nprint(1)\n```", "print(1)"),
        ("```bash\nls\n```\n```\nprint(1)\n```\n", "print(1)"),
        ("```bash\nls\n```", ""),
        ("```python\nprint(1)", "print(1)"),
        ("~~~python\nprint('```')\n~~~", "print('```')"),
        ("````python\n```\nx\n````", "```\nx"),
        ("<think>```python\nwrong\n```</think>\n```python\nright\n```", "right"),
        ("  ```Python\nprint(1)\n  ```", "print(1)"),
    ],
)
def test_the_program_in_a_completion(completion: str, code: str) -> None:
    assert extract(completion) == code
