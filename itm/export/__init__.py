"""A recommended model to load: as a folder of plain files that timm reads, as ONNX, or in this process."""

from itm.export.loaded import LoadedModel, load_recommended

__all__ = ["LoadedModel", "load_recommended"]
