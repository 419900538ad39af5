"""Masks travel in the pack of their images."""

from itm.core.sections import DataParams
from itm.data.index import read_usable
from itm.data.ingest import ingest
from itm.data.masks import open_verified_mask
from itm.data.pack import with_images_here
from itm.data.pixels import open_verified
from itm.kinds.mask_target import MaskTarget
from itm.store.layout import Store


def test_another_machine_reads_images_and_masks_from_the_pack(one: Store, other: Store) -> None:
    data = ingest("synthetic:shapes-mask?images=12", DataParams(), one)
    rows = read_usable(data, one)
    (one.root / "raw").rename(one.root / "elsewhere")
    here, open_image = with_images_here(rows, data, other)
    assert here["path"].str.starts_with(str(other.root)).all()
    for path, id_, target, mask in here.select("path", "id", "target", "mask").iter_rows():
        own = MaskTarget.read(target)
        assert open_verified_mask(mask, own, open_image).shape == (48, 48)
        assert open_verified(path, id_, open_image).size == (48, 48)
