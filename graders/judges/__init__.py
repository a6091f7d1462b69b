"""Judges: models that grade, behind any endpoint of OpenAI's shape or served by this service itself."""
