"""What the page holds, that it escapes what it is given, and that it is written whole."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from itm.core.keys import content_key
from itm.report.page import render, write_page
from tests.report.example import BROKEN, HOSTILE, MEMORY, NO_HEAD, POOL, example_ranking, ranked_by

pytestmark = pytest.mark.slow


class _Reader(HTMLParser):
    """Gathers the words, elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def html() -> str:
    return render(example_ranking())


@pytest.fixture(scope="module")
def page(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    return reader


def test_page_is_the_same_every_time(html: str) -> None:
    assert render(example_ranking()) == html


def test_every_data_set_is_answered(page: _Reader) -> None:
    assert (
        "For flowers5, fine-tune vit_base_patch16_224.augreg_in21k_ft_in1k. It is tied with convnext_tiny.fb_in22k and "
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k." in page.text
    )
    cheapest = "vit_tiny_patch16_224.augreg_in21k_ft_in1k, with 1.08 GMACs per image instead of 16.9."
    assert f"The cheapest of these models is {cheapest}" in page.text
    assert "For textures, fine-tune convnext_tiny.fb_in22k. It is clearly better than every other model." in page.text
    assert "No model could be ranked on broken_csv: there is no column 'label'" in page.text


def test_reasons_are_given_in_full(page: _Reader) -> None:
    assert page.text.count(MEMORY) == page.text.count(NO_HEAD) == 2
    assert page.text.count(BROKEN) == 2


def test_facts_scores_and_provenance_are_shown(page: _Reader) -> None:
    assert "8 rejected (4 conflicting labels, 1 too large, 3 unreadable)" in page.text
    assert "Logarithm of the maximum evidence per image; only the order of the models means something." in page.text
    for hashed in ("flowers5", POOL[0][0]):
        assert content_key(hashed) in page.text
    for leaf in ("2.13.0", "fp32", "2 cores", "deterministic"):
        assert leaf in page.text


def test_what_the_score_is_made_of_is_shown(page: _Reader) -> None:
    assert page.text.count("Details of the score") == 2  # the third data set has no scores
    assert "most frequent class reaches an accuracy of 0.305; 7 of 8 models clearly exceed it." in page.text
    assert "without moving the embeddings, eta = 0) reaches 0.821 for convnext_tiny.fb_in22k." in page.text
    assert "convnext_tiny.fb_in22k 0.871 0.821 +0.050 0.0023 [0.865, 0.876] 0.870" in page.text


def test_a_score_without_details_has_no_table_of_them() -> None:
    html = render(ranked_by(example_ranking(), "logme"))
    assert "Details of the score" not in html
    assert html.count('<table class="sortable"') == 3


def test_page_says_what_was_judged_and_how(page: _Reader) -> None:
    assert "3,665 images, 5 classes, scored on the splits train and val" in page.text
    assert "Images3,665; those in train and val are scored" in page.text.replace("Images 3", "Images3")
    assert "trained on the embeddings of the other images. The images are divided into 5 stratified folds." in page.text


def test_page_shows_groups(page: _Reader) -> None:
    ranking = example_ranking()
    grouped = replace(ranking, data_sets=(replace(ranking.data_sets[0], groups=1200),))
    reader = _Reader()
    reader.feed(render(grouped))
    assert "5 classes, 1,200 groups, scored on" in reader.text
    assert "Groups1,200; a group is never divided between splits or folds" in reader.text.replace("Groups 1", "Groups1")
    assert "tested exactly once. A group is never divided." in reader.text
    assert "group is never divided" not in page.text


def test_hostile_names_are_escaped(page: _Reader) -> None:
    assert page.tags.count("script") == 1
    assert HOSTILE in page.text
    ranking = example_ranking()
    wicked = '"><img src=x onerror=alert(1)> id="a" fill: #ffffff --> ]]> $x$'
    rows = tuple(replace(row, model=wicked + row.model) for row in ranking.data_sets[0].rows)
    reader = _Reader()
    reader.feed(render(replace(ranking, data_sets=(replace(ranking.data_sets[0], data=wicked, rows=rows),))))
    assert "img" not in reader.tags
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert wicked in reader.text


def test_nothing_is_loaded_from_elsewhere(page: _Reader, html: str) -> None:
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in ("src", "srcset", "data", "poster")]
    references = [value for name, value in page.attributes if name in ("href", "xlink:href")]
    assert {value for value in references if not value.startswith("#")} == {"https://arxiv.org/abs/2102.11005"}
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_identifiers_are_unique_and_found(page: _Reader, html: str) -> None:
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    targets = {value[1:] for name, value in page.attributes if name in ("href", "xlink:href") and value.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert targets <= set(identifiers)


def test_figures_take_the_colours_of_the_page(html: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(pictures) == 4
    assert {colour for picture in pictures for colour in re.findall(r"(?:fill|stroke): (#\w+)", picture)} <= {"#000000"}


def test_one_data_set_needs_no_tabs() -> None:
    ranking = example_ranking()
    assert "<nav" not in render(replace(ranking, data_sets=ranking.data_sets[:1]))


def test_page_is_written_whole(tmp_path: Path, html: str) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("an older page")
    path = write_page(example_ranking(), folder)
    assert path == folder / "index.html"
    assert path.read_text(encoding="utf-8") == html
    assert list(folder.iterdir()) == [path]
    assert write_page(example_ranking(), tmp_path / "new" / "folder").exists()
