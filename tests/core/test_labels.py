"""Names have one form, missing values are known in every spelling, and look-alikes are found."""

import unicodedata

import pytest

from itm.core.labels import as_whole_numbers, clean, find_look_alikes, is_missing

CAFE = "caf\u00e9"


@pytest.mark.parametrize("text", ["cat ", " cat", "\tcat\n", "\u00a0cat\u3000", "\ufeffcat", "cat\u200b", "cat"])
def test_blanks_and_invisible_characters_at_the_ends_are_removed(text):
    assert clean(text) == "cat"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
def test_unicode_forms_of_a_name_are_one_name(form):
    assert clean(unicodedata.normalize(form, CAFE)) == CAFE


def test_a_blank_inside_a_name_stays():
    assert clean("sea  lion") == "sea  lion"


@pytest.mark.parametrize(
    "text", ["", "  ", "NaN", "nan", "NAN", "None", "NONE", "null", "NULL", "Null", "NA", "N/A", "<NA>", "NaT", "#N/A"]
)
def test_spellings_of_a_missing_value(text):
    assert is_missing(text)


@pytest.mark.parametrize("text", ["none", "na", "nano", "no", "0", "null hypothesis", "Nana", "-"])
def test_words_are_not_missing(text):
    assert not is_missing(text)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.0", "1.0", "NaN"], ["0", "1", "NaN"]),
        (["1", "2.", "-3.00", ""], ["1", "2", "-3", ""]),
        (["1.0", "1.5"], ["1.0", "1.5"]),
        (["1.0", "cat"], ["1.0", "cat"]),
        (["007", "7"], ["007", "7"]),
        ([], []),
    ],
)
def test_whole_numbers_stay_whole(texts, expected):
    assert as_whole_numbers(texts) == expected


@pytest.mark.parametrize(
    "names",
    [
        ("Cat", "cat"),
        ("sea lion", "sea-lion"),
        ("sea  lion", "sea_lion"),
        ("SeaLion", "sea lion"),
        ("cat", "c\u0430t"),  # a Cyrillic letter
        ("\u0391pple", "apple"),  # a Greek letter
        ("cat", "ca\u200bt"),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_names_that_look_alike_are_found(names):
    assert find_look_alikes([*names, "dog"]) == [tuple(sorted(names))]


@pytest.mark.parametrize(
    "names", [("1.5", "15"), ("-1", "1"), ("1-2", "12"), ("cat", "cats"), ("C", "C++"), ("caf\u00e9", "cafe")]
)
def test_names_that_mean_different_things_do_not_look_alike(names):
    assert find_look_alikes(names) == []
