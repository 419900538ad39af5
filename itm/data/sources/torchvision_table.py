"""The data sets of torchvision that are for classification: how each part is asked for, and which split it becomes."""

from collections.abc import Mapping

Part = Mapping[str, object]  # arguments of the class

_FLAG: Mapping[str, Part] = {"train": {"train": True}, "test": {"train": False}}


def _named(*parts: str) -> Mapping[str, Part]:
    return {part: {"split": part} for part in parts}


# By name, the arguments of each part. The name of a part is that of its split, or empty if there is only one.
CLASSIFICATION: Mapping[str, Mapping[str, Part]] = {
    "Caltech101": {"": {}},
    "Caltech256": {"": {}},
    "CIFAR10": _FLAG,
    "CIFAR100": _FLAG,
    "Country211": _named("train", "valid", "test"),
    "DTD": _named("train", "val", "test"),
    "EMNIST": {name: {"split": "balanced", **arguments} for name, arguments in _FLAG.items()},
    "EuroSAT": {"": {}},
    "FashionMNIST": _FLAG,
    "FER2013": _named("train", "test"),
    "FGVCAircraft": _named("train", "val", "test"),
    "Flowers102": _named("train", "val", "test"),
    "Food101": _named("train", "test"),
    "GTSRB": _named("train", "test"),
    "Imagenette": _named("train", "val"),
    "KMNIST": _FLAG,
    "LFWPeople": _named("train", "test"),
    "MNIST": _FLAG,
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    "PCAM": _named("train", "val", "test"),
    "Places365": {"train": {"split": "train-standard"}, "val": {"split": "val"}},
    "RenderedSST2": _named("train", "val", "test"),
    "SEMEION": {"": {}},
    "StanfordCars": _named("train", "test"),
    "STL10": _named("train", "test"),
    "SUN397": {"": {}},
    "SVHN": _named("train", "test"),
    "USPS": _FLAG,
}
# Data sets that are better named in another way, and how.
ELSEWHERE = {
    "CLEVRClassification": "write csv:PATH with the number of objects of each image",
    "DatasetFolder": "write folder:PATH",
    "ImageFolder": "write folder:PATH",
    "ImageNet": "unpack it and write folder:PATH",
    "INaturalist": "write folder:PATH for the unpacked version",
    "Omniglot": "write folder:PATH for the unpacked images",
    "QMNIST": "write torchvision:MNIST for its images",
    "FakeData": "write synthetic:shapes for drawn images",
}
OTHERS = (
    *("CarlaStereo", "CelebA", "Cityscapes", "CocoCaptions", "CocoDetection", "CREStereo"),
    *("ETH3DStereo", "FallingThingsStereo", "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51"),
    *("InStereo2k", "Kinetics", "Kitti", "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs", "LSUN", "LSUNClass"),
    *("Middlebury2014Stereo", "MovingMNIST", "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel", "SintelStereo"),
    *("UCF101", "VisionDataset", "VOCDetection", "VOCSegmentation", "WIDERFace"),
)
