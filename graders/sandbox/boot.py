"""Starts the zygote under an interpreter that knows nothing of this service, by the path of this file.

The directory above the package cannot be listed in the sandbox, so that Python's own search would not find the package.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def main() -> None:
    """Make `graders` known, and nothing else of the service."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location("graders", f"{package}/__init__.py", submodule_search_locations=[package])
    assert spec is not None
    sys.modules["graders"] = importlib.util.module_from_spec(spec)
    from graders.sandbox import zygote

    zygote.main()


if __name__ == "__main__":
    main()
