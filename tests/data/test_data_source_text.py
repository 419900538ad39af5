"""The text of a source: schemes, names, options, and messages that name what is wrong."""

from typing import get_args

import pytest

from itm.cli import options
from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.sources import parse
from itm.data.sources.parse import known_sources, parse_source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("foldr:petals", "unknown kind of source 'foldr'; did you mean 'folder'"),
        ("digit", "unknown kind of source 'digit'; did you mean 'digits'"),
        ("no/such/place", "no such folder"),
        (
            "https://example.org/a.zip",
            "unknown kind of source 'https'. Known: csv:PATH, digits, embeddings:FOLDER, fiftyone:FOLDER",
        ),
        ("csv:", "nothing follows the colon"),
        ("csv", "'csv': the place is missing; write csv:PATH."),
        ("folder", "'folder': the place is missing; write folder:PATH."),
        ("synthetic", "'synthetic': the place is missing; write synthetic:FAMILY."),
        ("csv:?target=x", "nothing follows the colon"),
        ("csv:no.csv", "no such file"),
        ("digits:all", "digits has no path"),
        ("=digits", "there is no name before"),
        ("name=", "there is no source after"),
        ("", "unknown kind of source ''"),
        ("synthetic:shape", "there is no family 'shape'; did you mean 'shapes'"),
        ("synthetic:shapes?seed=-1", "seed is -1"),
        ("synthetic:shapes?difficulty=nan", "difficulty is nan"),
        ("synthetic:shapes?size=4", "size is 4"),
        ("synthetic:shapes?images=5", "needs at least two images for each of its 10 classes"),
        ("csv:a.csv?task=clasification", "csv:a.csv: there is no task 'clasification'; did you mean 'classification'?"),
        ("parquet:a?task=ranking", "parquet:a: there is no task 'ranking'. Known: classification"),
    ],
)
def test_a_text_that_is_no_source_is_refused(take, source, words):
    with pytest.raises(DataError) as caught:
        take(source)
    assert words in str(caught.value)


SOURCES = ("folder:petals", "csv:petals.csv", "parquet:petals.parquet", "digits:", "synthetic:shapes")
COLUMNS = "task, path, target, split, group, root, ignore, classes, patches"
KNOWN = {
    "csv": COLUMNS,
    "parquet": COLUMNS,
    "folder": "task, ignore, classes, patches",
    "digits": "target",
    "synthetic": "difficulty, images, size, seed",
}


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_option_is_refused_with_the_known_ones(source):
    known = KNOWN.get(source.partition(":")[0], "none")
    with pytest.raises(DataError) as caught:
        parse_source(f"{source}?colour=red")
    assert str(caught.value) == f"{source}?colour=red: unknown option 'colour'. Known: {known}."


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("csv:a.csv?taget=x", "unknown option 'taget'; did you mean 'target'?"),
        ("synthetic:shapes?dificulty=1", "unknown option 'dificulty'; did you mean 'difficulty'?"),
        ("parquet:a?group=x&group=y", "group is given twice"),
        ("synthetic:shapes?seed=1&seed=2", "seed is given twice"),
        ("csv:a.csv?target", "'target' is not an option"),
        ("synthetic:shapes?seed", "'seed' is not an option"),
        ("synthetic:shapes?seed=1&&size=48", "'' is not an option"),
        ("synthetic:shapes?images=many", "images is 'many'; it must be a whole number"),
        ("synthetic:shapes?images=1e3", "images is '1e3'; it must be a whole number"),
        ("synthetic:shapes?size=big", "size is 'big'; it must be a whole number"),
        ("synthetic:shapes?seed=0.5", "seed is '0.5'; it must be a whole number"),
        ("synthetic:shapes?difficulty=hard", "difficulty is 'hard'; it must be a number"),
    ],
)
def test_a_wrong_option_is_named(source, words):
    with pytest.raises(DataError) as caught:
        parse_source(source)
    assert str(caught.value).startswith(f"{source}: {words}")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_option_names_the_column_of_the_target(petals, write_table, take, kind):
    source = write_table(petals, kind, species=lambda path: path.parent.name)
    advice = r"there is no column 'label'.* Write \?target=species if that is the column\."
    with pytest.raises(DataError, match=advice):
        take(source)
    data = take(f"{source}?task=classification&target=species")
    assert data.target.names == ("daisy", "rose")
    assert data.source == f"{source}?task=classification&target=species"
    assert set(read_index(data)["target"]) == {"daisy", "rose"}


def test_an_option_may_be_percent_encoded(petals, write_table, take):
    source = write_table(petals, "csv", **{"a & b": lambda path: path.parent.name})
    assert take(f"{source}?target=a%20%26%20b").target.names == ("daisy", "rose")


def test_a_path_may_hold_a_question_mark(petals, write_table, take):
    folder = petals.rename(petals.with_name("which?petals=these"))
    assert take(f"folder:{folder}").images == take(folder).images == 20
    source = write_table(folder, "csv", label=lambda path: path.parent.name, species=lambda path: path.stem[-1])
    assert take(source).target.names == ("daisy", "rose")
    assert len(take(f"{source}?target=species").target.names) == 10
    with pytest.raises(DataError, match="no such file"):
        take(f"csv:{folder}/other.csv?target=species")


@pytest.mark.parametrize("place", ["made:shapes?images=20&seed=3", "mine=made:shapes?images=20&seed=3"])
def test_the_old_name_of_synthetic_is_read_the_same_and_warns_once(take, caplog, place):
    parse._warn_once.cache_clear()
    data = take(place)
    assert data == take(place)
    assert data == take(place.replace("made", "synthetic"))
    assert [message for message in caplog.messages if "made:" in message] == ["made: is deprecated; write synthetic: instead"]


def test_the_old_name_alone_is_no_source():
    with pytest.raises(DataError, match="unknown kind of source 'made'"):
        parse_source("made")


def test_names_leave_out_options_with_the_default_value():
    assert parse_source("synthetic:shapes").name == parse_source("synthetic:shapes?difficulty=0.5&seed=0").name == "shapes"
    assert parse_source("hard=synthetic:shapes?difficulty=0.9").name == "hard"


def test_the_usage_of_every_source_is_known():
    table = "PATH?task=TASK&path=COLUMN&target=COLUMN&split=COLUMN&group=COLUMN&root=FOLDER&"
    table += "ignore=VALUES&classes=NAMES&patches=64"
    folder = "folder:PATH?task=TASK&ignore=VALUES&classes=NAMES&patches=64"
    assert {folder, "digits", f"csv:{table}", f"parquet:{table}"} <= {source.usage for source in known_sources().values()}


@pytest.mark.parametrize("name", ["n" * 101, "n" * 300, "two\nlines", "\udcff"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(DataError, match="cannot be the name of a data set; put a name of at most 100 letters in front"):
        parse_source(f"{name}=digits")


def test_a_folder_with_a_long_name_needs_another(tmp_path):
    folder = tmp_path / ("n" * 200)
    folder.mkdir()
    with pytest.raises(DataError, match="cannot be the name of a data set"):
        parse_source(str(folder))
    assert parse_source(f"short={folder}").name == "short"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a?b"])
def test_a_name_with_a_mark_is_refused(name):
    with pytest.raises(DataError, match=r"the name '.*' has one of the characters / : \?; write another name"):
        parse_source(f"{name}=digits")


@pytest.mark.parametrize("text", ["n" * 5000, f"folder:{'n' * 300}", "~nobody/nothing/x", "a\0b/c", f"csv:{'n' * 300}.csv"])
def test_a_path_that_no_system_accepts_is_an_error_in_one_line(take, text):
    with pytest.raises(DataError) as caught:
        take(text)
    assert "\n" not in str(caught.value)


def test_a_folder_named_like_a_source_is_not_used_without_a_word(take, petals, monkeypatch, caplog):
    petals.rename(petals.with_name("digits"))
    monkeypatch.chdir(petals.parent)
    assert take("digits").images == 1797
    assert "digits: reading the built-in data set; write ./digits for the folder of this name" in caplog.text
    assert take("./digits").images == 20


@pytest.mark.parametrize("name", ["petals.rar", "petals.7z", "PETALS.RAR"])
def test_an_archive_of_another_kind_is_told_to_be_unpacked(take, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match="is an archive of a kind that is not read; unpack it"):
        take(tmp_path / name)


@pytest.mark.parametrize("name", ["csv", "folder", "synthetic"])
def test_a_folder_named_like_a_source_with_a_place_is_a_folder(petals, take, monkeypatch, name):
    petals.rename(petals.with_name(name))
    monkeypatch.chdir(petals.parent)
    assert take(name).images == 20


def test_the_help_of_commands_names_every_source():
    words = get_args(options.Data)[1].help
    own = [name for name, source in known_sources().items() if source.__module__.startswith("itm.")]
    assert [name for name in own if name not in words] == []
