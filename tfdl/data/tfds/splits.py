"""Which splits serve as train, validation and test."""

from collections.abc import Mapping

from tfdl.config import DatasetConfig
from tfdl.errors import UserError

_VALIDATION_NAMES = ("validation", "valid", "val", "dev")


def choose_splits(config: DatasetConfig, available: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs of role and TFDS split.

    A set's own splits are taken where it has them. Without a validation split, the last tenth of the training split is
    held out; without a test split, the set's validation split is the test and the held-out tenth validates; a set of
    one split is cut 80, 10 and 10. A split named in the configuration always wins.

    Raises:
        UserError: no training split, or a training split was chosen and what is held out of it was not.
    """
    if not available:
        raise UserError(f"data set {config.name!r} has no splits")
    own_validation = next((name for name in _VALIDATION_NAMES if name in available), None)
    own_test = "test" if "test" in available else None
    train = config.train_split or ("train" if "train" in available else None)
    if train is None:
        raise UserError(
            f"data set {config.name!r} has no split 'train' (it has {', '.join(available)}); choose with"
            " --set dataset.train_split=SPLIT"
        )
    test = config.test_split or own_test or own_validation
    validation = config.validation_split or (own_validation if test != own_validation else None)
    if validation is None or test is None:
        if config.train_split is not None:
            raise UserError(
                f"dataset.train_split={config.train_split!r} leaves open which samples validate and test; name"
                " dataset.validation_split and dataset.test_split too"
            )
        cuts = ("[:90%]", "[90%:]", "") if test else ("[:80%]", "[80%:90%]", "[90%:]")
        validation = validation or train + cuts[1]
        test = test or train + cuts[2]
        train = train + cuts[0]
    return [("train", train), ("validation", validation), ("test", test)]
