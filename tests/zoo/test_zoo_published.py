"""The table of published ImageNet accuracies."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from itm.zoo.imagenet import RESULTS, imagenet_top1


def test_table_is_complete_and_has_its_source() -> None:
    file = pq.ParquetFile(RESULTS)
    table = file.read()
    assert table.column_names == ["model", "top1", "parameters", "input_size"]
    assert table.num_rows > 1000
    assert len(set(table["model"].to_pylist())) == table.num_rows
    assert all(table[name].null_count == 0 for name in table.column_names)
    metadata = {key.decode(): text.decode() for key, text in file.metadata.metadata.items() if key != b"ARROW:schema"}
    assert "huggingface/pytorch-image-models" in metadata["source"]
    assert metadata["licence"] == "Apache-2.0"
    assert len(metadata["commit"]) == 40
    assert RESULTS.stat().st_size < 100_000


def test_known_models_have_published_accuracies() -> None:
    assert imagenet_top1("resnet50.a1_in1k") == pytest.approx(80.4, abs=0.3)  # 81.2 at 288 pixels
    assert imagenet_top1("resnet50.tv_in1k") == pytest.approx(76.1, abs=0.1)
    assert imagenet_top1("vit_base_patch16_224.augreg_in21k_ft_in1k") == pytest.approx(84.5, abs=0.5)


@pytest.mark.parametrize("name", ["", "resnet50", "resnet50.mine", "weights/resnet50.a1_in1k", "hf-hub:timm/resnet50.a1_in1k"])
def test_other_models_have_no_accuracy(name: str) -> None:
    assert imagenet_top1(name) is None


def test_lookup_does_not_import_torch_or_timm() -> None:
    code = (
        "import sys; from itm.zoo.imagenet import imagenet_top1; imagenet_top1('resnet50.a1_in1k'); "
        "print(sorted({'torch', 'timm', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
