"""`import itm` is cheap, and its names lead to the functions."""

import subprocess
import sys

import itm

HEAVY = ("torch", "timm", "polars", "pydantic", "numpy", "matplotlib", "sklearn", "rich")
ASK = f"import sys, itm; dir(itm); print([name for name in {HEAVY} if name in sys.modules])"


def test_importing_the_package_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_public_name_is_found_and_another_is_an_attribute_error():
    assert set(itm.__all__) <= set(dir(itm))
    for name in itm.__all__:
        assert getattr(itm, name).__doc__, name
    assert not hasattr(itm, "rnk")
