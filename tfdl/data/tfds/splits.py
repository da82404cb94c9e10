"""Which splits serve as train, validation and test."""

from collections.abc import Mapping

from tfdl.config import DatasetConfig
from tfdl.errors import UserError

_VALIDATION_NAMES = ("validation", "valid", "val", "dev")


def choose_splits(config: DatasetConfig, available: Mapping[str, int]) -> list[tuple[str, str]]:
    """Which TFDS splits serve as train, validation and test.

    A split that the configuration names is taken, or else the data set's own split. Without a validation split, the
    last tenth of the training split is held out. Without a test split, the data set's validation split is the test
    split, and the held-out tenth is the validation split. A data set with one split is cut into 80%, 10% and 10%.

    Args:
        config: the data set, and the splits that the user chose.
        available: split -> number of samples.

    Returns:
        Pairs of a role (``train``, ``validation`` or ``test``) and a TFDS split such as ``train[:90%]``.

    Raises:
        UserError: no training split; or a training split is configured, and the validation or test split is missing.
    """
    if not available:
        raise UserError(f"data set {config.name!r} has no splits")
    own_train = "train" if "train" in available else None
    own_validation = next((name for name in _VALIDATION_NAMES if name in available), None)
    own_test = "test" if "test" in available else None
    train = config.train_split or own_train
    if train is None:
        raise UserError(
            f"data set {config.name!r} has no split 'train' (it has {', '.join(available)}); choose with"
            " --set dataset.train_split=SPLIT"
        )
    test = config.test_split or own_test or own_validation
    # The data set's own validation split validates only if it does not serve as the test split.
    unused_validation = own_validation if test != own_validation else None
    validation = config.validation_split or unused_validation
    if validation is None or test is None:
        if config.train_split is not None:
            raise UserError(
                f"dataset.train_split={config.train_split!r} leaves open which samples validate and test; name"
                " dataset.validation_split and dataset.test_split too"
            )
        if test is None:
            validation = validation or f"{train}[80%:90%]"
            test = f"{train}[90%:]"
            train = f"{train}[:80%]"
        else:
            validation = f"{train}[90%:]"
            train = f"{train}[:90%]"
    return [("train", train), ("validation", validation), ("test", test)]
