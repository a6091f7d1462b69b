"""Word lists of the constraints: closed classes of English, and the lists that the benchmarks name."""

from __future__ import annotations


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


ABBREVIATIONS = frozenset(
    _listed(
        """
    mr mrs ms dr st prof capt cpt lt col gen rev hon inc ltd jr sr co corp vs etc e.g i.e ph.d fig no vol approx dept est
    """
    )
)
"""Written with a full stop that ends no sentence."""

STOP_WORDS = frozenset(
    _listed(
        """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
    itself they them their theirs themselves what which who whom this that these those am is are was were be been being have
    has had having do does did doing a an the and but if or because as until while of at by for with about against between
    into through during before after above below to from up down in out on off over under again further then once here there
    when where why how all any both each few more most other some such no nor not only own same so than too very s t can will
    just don should now d ll m o re ve y ain aren couldn didn doesn hadn hasn haven isn ma mightn mustn needn shan shouldn
    wasn weren won wouldn
    """
    )
)
"""Of English."""

CONJUNCTIONS = frozenset(
    _listed(
        """
    and but for nor or so yet
    """
    )
)
"""Those that coordinate."""

PRONOUNS = frozenset(
    _listed(
        """
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it
    its itself they them their theirs themselves
    """
    )
)
"""Personal, possessive and reflexive."""

PERSON_NAMES = _listed(
    """
    Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia Benjamin Harper Leo Zoe
    Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob Scarlett Nathan Victoria Elijah Layla Nicholas
    Audrey David Hannah Christopher Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan
    """
)
"""The names that IFBench's request lists."""

CAPITALS = _listed(
    """
    Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin Amsterdam Warsaw London
    Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau Bern Ljubljana Zagreb
    """
)
"""The capitals beyond 45 degrees north, from north to south, as IFBench has them."""
