"""What the page holds, that it escapes what it is given, and that it is written whole."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from itm.core.keys import content_key
from itm.report.page import render, write_page
from tests.report.example import BROKEN, HOSTILE, MEMORY, NO_HEAD, POOL, example_ranking, ranked_by


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
    """The same ranking gives the same bytes."""
    assert render(example_ranking()) == html


def test_every_data_set_is_answered(page: _Reader) -> None:
    """Each data set's sentence is on the page, the cheaper model of a tie with it."""
    assert (
        "For flowers5, fine-tune vit_base_patch16_224.augreg_in21k_ft_in1k; convnext_tiny.fb_in22k and "
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k cannot be told apart from it." in page.text
    )
    assert "The cheapest of these is vit_tiny_patch16_224.augreg_in21k_ft_in1k: 1.08 GMACs per image, and 16.9 for" in page.text
    assert "For made_textures, fine-tune convnext_tiny.fb_in22k; it is told apart from every other model." in page.text
    assert "No model could be ranked on broken_csv: column 'label' is missing" in page.text


def test_reasons_are_given_in_full(page: _Reader) -> None:
    """Every failure's reason is there word for word, a whole data set's in its answer and among the failures alone."""
    assert page.text.count(MEMORY) == page.text.count(NO_HEAD) == 2
    assert page.text.count(BROKEN) == 2


def test_facts_scores_and_provenance_are_shown(page: _Reader) -> None:
    """Images set aside, what scores mean, the whole hashes and every leaf of the provenance are on the page."""
    assert "8 set aside (1 one colour, 4 same image in two classes, 3 unreadable)" in page.text
    assert "Logarithm of the maximum evidence an image; only its order means anything." in page.text
    for hashed in ("flowers5", POOL[0][0]):
        assert content_key(hashed) in page.text
    for leaf in ("2.13.0", "fp32", "2 cores", "deterministic"):
        assert leaf in page.text


def test_what_the_score_is_made_of_is_shown(page: _Reader) -> None:
    """Each data set has its remarks, and each model its interval, standard error, other accuracy, control and difference."""
    assert page.text.count("What the number is made of") == 2  # the third data set has no scores
    assert "Always naming the commonest class would reach an accuracy of 0.305, which all but 1 of the 8 models" in page.text
    assert "Without the movement (eta = 0) the same training reaches 0.821 for convnext_tiny.fb_in22k;" in page.text
    assert "convnext_tiny.fb_in22k 0.871 0.821 +0.050 0.0023 [0.865, 0.876] 0.870" in page.text


def test_a_score_without_details_has_no_table_of_them() -> None:
    """Ranked by a score that says no more than its value, the page has neither heading nor table for what it is made of."""
    html = render(ranked_by(example_ranking(), "logme"))
    assert "What the number is made of" not in html
    assert html.count('<table class="sortable"') == 3


def test_page_says_what_was_judged_and_how(page: _Reader) -> None:
    """The splits that were scored stand beside the number of images, and how images were held out with the intervals."""
    assert "3,665 images, 5 classes, scored on the splits train and val" in page.text
    assert "Images3,665; scored are those of train and val" in page.text.replace("Images 3", "Images3")
    assert "dealt over five parts, class by class. Each part in turn is judged by what learnt from the others" in page.text


def test_hostile_names_are_escaped(page: _Reader) -> None:
    """Markup in a name becomes text, in the table and in the figures: the page's own script is the only one."""
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
    """No attribute or rule makes a browser fetch anything; only links that a reader clicks lead away."""
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in ("src", "srcset", "data", "poster")]
    references = [value for name, value in page.attributes if name in ("href", "xlink:href")]
    assert {value for value in references if not value.startswith("#")} == {"https://arxiv.org/abs/2102.11005"}
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_identifiers_are_unique_and_found(page: _Reader, html: str) -> None:
    """No identifier occurs twice, though every figure brings some, and every reference within the page has its target."""
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    targets = {value[1:] for name, value in page.attributes if name in ("href", "xlink:href") and value.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert targets <= set(identifiers)


def test_figures_take_the_colours_of_the_page(html: str) -> None:
    """No colour of the figures' own is left, so that the dark page has dark figures."""
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(pictures) == 4
    assert {colour for picture in pictures for colour in re.findall(r"(?:fill|stroke): (#\w+)", picture)} <= {"#000000"}


def test_one_data_set_needs_no_tabs() -> None:
    """With one data set there is nothing to choose and no navigation."""
    ranking = example_ranking()
    assert "<nav" not in render(replace(ranking, data_sets=ranking.data_sets[:1]))


def test_page_is_written_whole(tmp_path: Path, html: str) -> None:
    """The page makes its folder, replaces an older page and leaves nothing beside it."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("an older page")
    path = write_page(example_ranking(), folder)
    assert path == folder / "index.html"
    assert path.read_text(encoding="utf-8") == html
    assert list(folder.iterdir()) == [path]
    assert write_page(example_ranking(), tmp_path / "new" / "folder").exists()
