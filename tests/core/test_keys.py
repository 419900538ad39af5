"""Slugs, content keys, file hashes and MLflow names."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itm.core.keys import BLOCK, content_key, file_hash, list_key, metric_name, registered_name, slug

NAMES = st.one_of(st.text(), st.text(alphabet="./~-2ef%\\ aA\0é"))


@given(NAMES)
@example("")
@example(".")
@example("../..")
@example("~2f~")
@example("vit_base_patch16_224.augreg_in21k@384/ft 1:2")
def test_slug_is_a_valid_file_name_and_can_be_decoded(name):
    written = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*", written)
    decoded = re.sub(r"~([0-9a-f]*)~", lambda match: chr(int(match[1], 16)) if match[1] else "", written)
    assert decoded == name


@given(NAMES, NAMES)
def test_different_names_have_different_slugs(one, other):
    assert (slug(one) == slug(other)) == (one == other)


def test_plain_names_are_their_own_slugs():
    for name in ("vit_base_patch16_224.augreg_in21k", "flowers-5", "made_shapes"):
        assert slug(name) == name


@given(
    st.dictionaries(
        st.text(), st.integers() | st.text() | st.booleans() | st.lists(st.floats(allow_nan=False, allow_infinity=False))
    )
)
def test_content_key_depends_only_on_content(facts):
    backwards = dict(reversed(facts.items()))
    assert content_key(facts) == content_key(backwards)
    assert content_key(facts) != content_key(facts | {"one more" + "".join(facts): 1})


@pytest.mark.parametrize("count", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_list_key_is_the_content_key_of_the_list(count):
    items = [["é\ud800", number, None, {"b": 1, "a": [0.5]}] for number in range(count)]
    assert list_key(iter(items)) == content_key(items)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", float("nan"), float("inf")])
def test_content_key_rejects_types_without_json(value):
    with pytest.raises((TypeError, ValueError)):
        content_key({"fact": value})


def test_file_hash_depends_only_on_bytes(tmp_path):
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"a")
    same.write_bytes(b"a")
    other.write_bytes(b"b")
    assert file_hash(one) == file_hash(same) != file_hash(other)


def test_mlflow_names_are_valid():
    assert metric_name("itm@0.5/low (draw)") == "itm-0.5/low -draw-"
    assert registered_name("itm-petals") == "itm-petals"
    assert re.fullmatch("itm-folder-a-b-c-[0-9a-f]{8}", registered_name("itm-folder:a/b.c"))
    assert len({registered_name(name) for name in ("a.b", "a-b", "a b")}) == 3
