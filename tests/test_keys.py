"""Names become safe file names and come back, and content keys are keys of content alone."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itm.core.keys import content_key, file_hash, from_slug, metric_name, registered_name, slug

NAMES = st.one_of(st.text(), st.text(alphabet="./~-2ef%\\ aA\0é"))


@given(NAMES)
@example("")
@example(".")
@example("../..")
@example("~2f~")
@example("vit_base_patch16_224.augreg_in21k@384/ft 1:2")
def test_a_slug_is_a_plain_file_name_and_turns_back(name):
    """Any name becomes letters that every file system takes, hides nothing, leaves no folder, and is recovered exactly."""
    written = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*", written)
    assert from_slug(written) == name


@given(NAMES, NAMES)
def test_two_names_never_share_a_slug(one, other):
    """Different names have different slugs, so no file of one is taken for a file of the other."""
    assert (slug(one) == slug(other)) == (one == other)


def test_usual_names_stay_readable():
    """timm's names and names of folders are their own slugs."""
    for name in ("vit_base_patch16_224.augreg_in21k", "flowers-5", "made_shapes"):
        assert slug(name) == name


@given(
    st.dictionaries(
        st.text(), st.integers() | st.text() | st.booleans() | st.lists(st.floats(allow_nan=False, allow_infinity=False))
    )
)
def test_a_content_key_depends_on_the_content_alone(facts):
    """The order in which facts were put in does not matter, and one fact more gives another key."""
    backwards = dict(reversed(facts.items()))
    assert content_key(facts) == content_key(backwards)
    assert content_key(facts) != content_key(facts | {"one more" + "".join(facts): 1})


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", float("nan"), float("inf")])
def test_a_content_key_refuses_what_json_does_not_know(value):
    """Nothing enters a key as text that could differ in the next run."""
    with pytest.raises((TypeError, ValueError)):
        content_key({"fact": value})


def test_the_hash_of_a_file_is_of_its_bytes(tmp_path):
    """Names and times do not matter, bytes do."""
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"a")
    same.write_bytes(b"a")
    other.write_bytes(b"b")
    assert file_hash(one) == file_hash(same) != file_hash(other)


def test_tracking_names_hold_only_signs_that_mlflow_takes():
    """Metrics keep dots and slashes, registered models do not, and neither keeps brackets."""
    assert metric_name("itm@0.5/low (draw)") == "itm-0.5/low -draw-"
    assert registered_name("itm-petals") == "itm-petals"
    assert re.fullmatch("itm-folder-a-b-c-[0-9a-f]{8}", registered_name("itm-folder:a/b.c"))
    assert len({registered_name(name) for name in ("a.b", "a-b", "a b")}) == 3
