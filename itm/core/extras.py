"""Optional dependencies: which extra installs which packages, and the error if one of them is missing."""

from importlib.util import find_spec

from itm.core.errors import ItmError

# The packages that the library, the tasks and the flows import, by the extra of pyproject.toml that installs them.
EXTRAS = {
    "pipeline": ("prefect", "mlflow", "dvc"),
    "dask": ("distributed", "prefect_dask"),
    "postgres": ("psycopg2",),
    "s3": ("s3fs",),
    "hf": ("datasets",),
    "transformers": ("transformers",),
    "open-clip": ("open_clip",),
    "onnx": ("onnx", "onnxscript"),
}


class MissingExtraError(ItmError):
    """An optional dependency is not installed."""


def missing_packages(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed, without importing the others."""
    return [package for package in EXTRAS[extra] if find_spec(package) is None]


def install_command(extra: str) -> str:
    """Return the command that installs an extra.

    >>> install_command("dask")
    "pip install 'itm-rank[dask]'"
    """
    return f"pip install 'itm-rank[{extra}]'"


def require(extra: str, purpose: str) -> None:
    """Check that an extra is installed; `purpose` begins the message.

    Raises
    ------
    MissingExtraError
        If one of its packages is missing.
    """
    if missing := missing_packages(extra):
        raise MissingExtraError(f"{purpose} needs {', '.join(missing)}; run {install_command(extra)}.")
