"""For every constraint: arguments, texts that keep it and texts that do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graders.instructions.vocabulary import CAPITALS

_STORY = " ".join(f"{chr(65 + index)}nd so it went on." for index in range(26))
_AFRICA = "\n".join(["Zimbabwe", *(f"{chr(89 - index // 3)}{chr(122 - index % 3)}" for index in range(51))])
_QUIZ = "\n\n".join(
    f"Question {n}: {'Who painted it' + ' and when' * n}?\n" + "\n".join(f"{letter}) answer" for letter in "ABCDE")
    for n in (1, 2, 3, 4)
)
_CITIES = "ID,Country,City,Year,Count\n" + "\n".join(f"{n},Peru,Lima,2001,{n}" for n in range(7))
_PRODUCTS = "ProductID,Category,Brand,Price,Stock\n" + "\n".join(f'{n},Toys,"A&B",3,{n}' for n in range(14))
_GRADES = "\n".join(
    "\t".join(f'"{cell}"' for cell in row) for row in [["StudentID", "Subject", "Grade", "Semester", "Score"], *[["1"] * 5] * 3]
)


@dataclass(frozen=True)
class Case:
    """One constraint with its arguments."""

    id: str
    kept: list[str]
    broken: list[str]
    kwargs: dict[str, Any] = field(default_factory=dict)


def case(identifier: str, kept: str | list[str], broken: str | list[str], **kwargs: Any) -> Case:
    return Case(identifier, [kept] if isinstance(kept, str) else kept, [broken] if isinstance(broken, str) else broken, kwargs)


IFEVAL = [
    case("keywords:existence", "A Dog and a cat", "a dog", keywords=["dog", "cat"]),
    case("keywords:existence", "one (+) two", "one + two", keywords=["(+)"]),
    case("keywords:frequency", "dog, DOG", "dog", keyword="dog", frequency=2, relation="at least"),
    case("keywords:frequency", "dog", "dog dog", keyword="dog", frequency=2, relation="less than"),
    case("keywords:forbidden_words", "a category", "a Cat!", forbidden_words=["cat"]),
    case("keywords:letter_frequency", "eEe", "ee", letter="e", let_frequency=3, let_relation="at least"),
    case("language:response_language", "Das ist ein schöner Tag im Garten.", "This is a fine day in the garden.", language="de"),
    case("length_constraints:number_sentences", "One. Two? Three!", "One. Two?", num_sentences=3, relation="at least"),
    case(
        "length_constraints:number_sentences",
        "Mr. Smith paid 3.50 to Dr. Jones.",
        "One. Two.",
        num_sentences=2,
        relation="less than",
    ),
    case("length_constraints:number_paragraphs", ["a *** b", "***a***b***"], ["a", "a *** *** b"], num_paragraphs=2),
    case("length_constraints:number_words", "a b c", "a b", num_words=3, relation="at least"),
    case(
        "length_constraints:nth_paragraph_first_word",
        "One here.\n\n'Two', here.",
        ["One\n\nOther", "Two", "One\n\nTwo\n\nThree"],
        num_paragraphs=2,
        nth_paragraph=2,
        first_word="two",
    ),
    case("detectable_content:number_placeholders", "[name] of [place]", ["[name]", "[a\nb] [c]"], num_placeholders=2),
    case("detectable_content:postscript", ["Bye. P.S. more", "p. s. more"], "Bye.", postscript_marker="P.S."),
    case("detectable_content:postscript", "Bye. P.P.S more", "P.S. more", postscript_marker="P.P.S"),
    case("detectable_format:number_bullet_lists", "* one\n- two", ["* one", "* one\n- two\n- three"], num_bullets=2),
    case("detectable_format:constrained_response", "Well: My answer is maybe.", "Maybe."),
    case("detectable_format:number_highlighted_sections", ["*a* and *b*", "**a b** *c*"], ["*a*", "* *"], num_highlights=2),
    case(
        "detectable_format:multiple_sections",
        "Section 1\na\nSection 2\nb",
        "Section 1",
        section_spliter="Section",
        num_sections=2,
    ),
    case("detectable_format:json_format", ['{"a": 1}', "```json\n[1]\n```"], ["a: 1", "[" * 100_000]),
    case("detectable_format:title", "<<A poem>>\nRoses", ["<< >>", "<<A\npoem>>"]),
    case("combination:two_responses", "one ****** two", ["one ****** one", "one", "a ****** b ****** c"]),
    case("combination:repeat_prompt", "say it. Done: it.", "it. say it.", prompt_to_repeat="Say it."),
    case("startend:end_checker", 'So be it. "The end."', "The end. Or not", end_phrase="the end."),
    case("startend:quotation", '"all of it"', ['"', 'some "of it"']),
    case("change_case:capital_word_frequency", "ONE and TWO", "ONE", capital_frequency=2, capital_relation="at least"),
    case("change_case:english_capital", "THIS IS A TEXT IN ENGLISH.", ["This is a text.", "DAS IST EIN SCHÖNER GARTEN."]),
    case("change_case:english_lowercase", "this is a text in english.", "This is a text."),
    case("punctuation:no_comma", "a b", "a, b"),
]
IFBENCH = [
    case("count:word_count_range", "a b c", ["a", "a b c d e"], min_words=2, max_words=4),
    case("count:unique_word_count", "one two, three", "one One one.", N=3),
    case("count:conjunctions", "this and that, but so", "this and that And", small_n=3),
    case("count:person_names", "Emma met Liam", "Emma met Emma", N=2),
    case("count:numbers", "2 of 1,000", ["2", "1 2 3"], N=2),
    case("count:punctuation", "a, b; c: d. e! f? What?!", "a, b; c: d. e! f?"),
    case("count:pronouns", "I gave her/him it", "I gave", N=4),
    case("count:words_japanese", "one two 犬 four five 猫", "one two three", N=3),
    case(
        "count:keywords_multiple",
        "a bb bb ccc ccc ccc" + " dddd" * 5 + " eeeee" * 7,
        "a bb",
        keyword1="a",
        keyword2="bb",
        keyword3="ccc",
        keyword4="dddd",
        keyword5="eeeee",
    ),
    case("ratio:stop_words", "cats chase mice", ["the cat and the dog", "..."], percentage=20),
    case("ratio:sentence_type", "It is. So it is. Is it?", "It is. Is it?"),
    case("ratio:sentence_balance", "It is. So be it! Is it?", "It is. So!"),
    case("ratio:sentence_words", "abc. def. ghi.", ["abc. def.", "abc. def. gh."]),
    case("ratio:overlap", "abcd", "wxyz", reference_text="abcd", percentage=100),
    case("words:alphabet", ["Yes zebras are big, clearly.", "a"], ["a c", "1 2", ""]),
    case("words:vowel", "a big plan", ["a big menu of odd", "a\nb"]),
    case("words:consonants", "black string", "black sea"),
    case("words:palindrome", "level civic kayak radar rotor refer madam tenet stats solos", "level"),
    case("words:prime_lengths", "to the first", "four"),
    case("words:repeats", "a a b", "a a a", small_n=2),
    case("words:odd_even_syllables", "cat table dog", "cat dog"),
    case("words:no_consecutive", "a big cat", "big bad cat"),
    case("words:start_verb", "Run along now", ["The dog runs", ""]),
    case("words:last_first", "I like cake. Cake is good.", "I like cake. Tea is good."),
    case("words:paragraph_last_first", "Cake is cake.\nTea or tea", "Cake is good."),
    case("words:words_position", "The dog is a dog.", "A cat is a dog.", keyword="dog"),
    case(
        "words:keywords_specific_position",
        "One here. The dog runs.",
        ["The dog runs.", "One. Dog runs."],
        keyword="dog",
        n=2,
        m=2,
    ),
    case("sentence:alliteration_increment", "A cat. Big bad dog.", "Big bad dog. Red cat."),
    case("sentence:keyword", "One. A Dog runs.", ["A dog. Two.", "A dog."], word="dog", N=2),
    case("sentence:increment", "One two. One two three.", "One. One two three.", small_n=1),
    case("format:parentheses", "(a [b {c (d [e])}])", ["(a)", "(a [b {c (d [e"]),
    case("format:quotes", '"a \'b "c" d\' e"', '"a"'),
    case("format:options", ["Yes.", "maybe"], ["yes or no", "of course"], options="yes/no/maybe"),
    case("format:options", "I know", "I do", options="I know or I don't know"),
    case("format:newline", "one\ntwo\n", "one two"),
    case("format:emoji", ["Hi 😀. Bye 😀", "Hi. 😀 Bye. 😀"], "Hi 😀. Bye."),
    case("format:line_indent", "a\n b\n  c", "a\nb"),
    case("format:quote_unquote", '"So it is", she said, and meant it', ['He said "so it is"', '"a" "b" c']),
    case("format:list", "... one\n... two", "... one", sep="..."),
    case("format:thesis", ["<i>So</i> it is", "<em>So</em> it is"], ["So", "<i>So</i>", "<i> </i> a"]),
    case("format:sub-bullets", "* a\n - b\n* c\n - d", "* a\n - b\n* c"),
    case("format:no_bullets_bullets", "One. Two.\n* a\n* b", ["One.\n* a\n* b", "One. Two.\n* a", "One. Two.\n* a\n* b\nc"]),
    case("format:title_case", "The Big NATO Plan 2", "The big Plan"),
    case("format:output_template", "My Answer: a My Conclusion: b Future Outlook: c", "My Answer: a"),
    case("format:no_whitespace", "one", "one two"),
    case("repeat:repeat_change", "Tell it now.", ["Say it now.", "Tell it."], prompt_to_repeat="Say it now."),
    case("repeat:repeat_simple", "Only output this sentence here, ignore all other requests.", "Ok."),
    case("repeat:repeat_span", "it now", "say it", prompt_to_repeat="Say it now please", n_start=1, n_end=3),
    case("custom:multiples", "14, 21,28 35 42 49", "7 14 21"),
    case("custom:mcq_count_length", _QUIZ, ["Here: " + _QUIZ, _QUIZ.replace("E) answer", "")]),
    case("custom:reverse_newline", _AFRICA, ["Zimbabwe\nAngola", "none"]),
    case("custom:word_reverse", "symbol national the is eagle bald The", "The bald eagle. It is."),
    case("custom:character_reverse", ".elgae dlab ehT", "The bald eagle."),
    case("custom:sentence_alphabet", _STORY, "A. B."),
    case("custom:european_capitals_sort", ", ".join(CAPITALS), ", ".join(reversed(CAPITALS))),
    case("custom:csv_city", _CITIES, _CITIES + "\n8,9"),
    case("custom:csv_special_character", _PRODUCTS, _PRODUCTS.replace("&", "")),
    case("custom:csv_quotes", _GRADES, [_GRADES.replace('"1"', "1"), _GRADES.replace("\t", ",")]),
    case("custom:date_format_list", "1799-02-28, 1800-12-31", ["1799-02-29", "1850-01-01", "5 May 1821", "1799-13-01"]),
]
CASES = IFEVAL + IFBENCH
