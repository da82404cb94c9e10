"""Which feature of a TFDS sample is the text, the label, the source, the target or the image."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config import TASKS
from tfdl.errors import UserError, nearest

# Role -> what a feature that can serve it is called in messages.
_KINDS = {"text": "text", "source": "text", "target": "text", "label": "class label", "image": "image"}


class _MissingError(UserError):
    """A data set has nothing that could serve a role."""


def role_keys(builder: Any, roles: tuple[str, ...], chosen: Mapping[str, str]) -> dict[str, str]:
    """Role -> key of the feature that serves it, dots for nested ones (``translation.de``); needs no data.

    In this order: the user's choice; the set's own pair of input and target (``supervised_keys``); a feature that is
    called as the role; the only feature of the right kind. Nothing is guessed where several are left.

    Args:
        builder: a TFDS builder, prepared or not.
        roles: of ``text``, ``label``, ``source``, ``target`` and ``image``.
        chosen: role -> key, what the user said (``--text-column`` and so on); may be empty.

    Raises:
        UserError: a chosen key that is not there or is of another kind, no feature for a role, or several.
    """
    try:
        return _keys_of(builder, roles, chosen)
    except _MissingError as error:
        raise UserError(f"{error}{_other_task(builder, roles)}") from None


def _keys_of(builder: Any, roles: tuple[str, ...], chosen: Mapping[str, str]) -> dict[str, str]:
    features = feature_keys(builder.info.features)
    for role in roles:
        if role not in _KINDS:
            raise _MissingError(f"data set {builder.name!r} is from TFDS, which has nothing for the role {role!r}")
    able = {role: [key for key, feature in features.items() if _serves(feature, role)] for role in roles}
    keys = {role: chosen[role] for role in roles if chosen.get(role)}
    for role, key in keys.items():
        _check_chosen(builder.name, role, key, features, able[role])
    if len(set(keys.values())) < len(keys):
        options = " and ".join(map(option_of, keys))
        raise UserError(f"{options} are one feature, {next(iter(keys.values()))!r}; expected two")
    for find in (_of_supervised_pair, _of_the_same_name, _only_one):
        for role in [role for role in roles if role not in keys]:
            free = {key: features[key] for key in able[role] if key not in keys.values()}
            found = find(role, free, builder)
            keys.update({role: found} if found else {})
    left = {role: set(able[role]) - set(keys.values()) for role in roles if role not in keys}
    for role in sorted(left, key=lambda role: bool(left[role])):  # what is not there at all is told first
        kind = UserError if left[role] else _MissingError
        raise kind(_undecided(builder.name, role, able[role], features))
    return {role: keys[role] for role in roles}


def _other_task(builder: Any, roles: tuple[str, ...]) -> str:
    """What to say where a set lacks what a task needs, and has what another one needs."""
    # A text to translate is a text to model, too: the task with the most roles is named.
    for task in sorted(TASKS, key=lambda task: -len(TASKS[task].roles)):
        if TASKS[task].roles == roles:
            continue
        try:
            _keys_of(builder, TASKS[task].roles, {})
        except UserError:
            continue
        return f"; for what it has, give --task {task}"
    return ""


def option_of(role: str) -> str:
    """The command-line option that chooses the feature of a role."""
    return f"--{role}-column"


def feature_keys(features: Any) -> dict[str, Any]:
    """Dotted key -> feature, of all that a sample has exactly once (nothing within sequences)."""
    import tensorflow_datasets as tfds

    found: dict[str, Any] = {}
    if isinstance(features, tfds.features.FeaturesDict):  # a Translation is one
        for name, feature in features.items():
            inner = feature_keys(feature)
            found.update({f"{name}.{key}": value for key, value in inner.items()} if inner else {name: feature})
    return found


def only(features: Any, keys: Iterable[str]) -> Any:
    """A feature that decodes these dotted keys of a sample and nothing else.

    ``tfds.decode.PartialDecoding`` does this too, but refuses parts of a ``Translation`` and needs TensorFlow.
    """
    import tensorflow_datasets as tfds

    wanted: dict[str, Any] = {}
    for key in keys:
        *outer, last = path_of(features, key)
        feature, inner = features, wanted
        for name in outer:
            feature, inner = feature[name], inner.setdefault(name, {})
        inner[last] = feature[last]
    return tfds.features.FeaturesDict(wanted)


def path_of(features: Any, key: str) -> tuple[str, ...]:
    """The names that lead to a dotted key; a name may have dots of its own."""
    for name, feature in features.items():
        if key == name:
            return (name,)
        if key.startswith(f"{name}.") and key[len(name) + 1 :] in feature_keys(feature):
            return (name, *path_of(feature, key[len(name) + 1 :]))
    raise KeyError(key)


def value_at(features: Any, example: Any, key: str) -> Any:
    """What a decoded example holds at a dotted key."""
    for name in path_of(features, key):
        example = example[name]
    return example


def _serves(feature: Any, role: str) -> bool:
    import tensorflow_datasets as tfds

    kind = _KINDS[role]
    if kind == "class label":
        return isinstance(feature, tfds.features.ClassLabel)
    if kind == "image":
        mask = isinstance(feature, tfds.features.LabeledImage)
        return isinstance(feature, tfds.features.Image) and not mask
    scalar = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
    return scalar and feature.np_dtype in (object, str, bytes)  # how TFDS writes a string's type


def _of_supervised_pair(role: str, free: Mapping[str, Any], builder: Any) -> str | None:
    pair: tuple[Any, ...] = builder.info.supervised_keys or ()
    if len(pair) < 2 or not all(isinstance(key, str) for key in pair[:2]):
        return None
    mine, other = (pair[1], pair[0]) if role in ("label", "target") else (pair[0], pair[1])
    if role == "text" and other != mine and other in free:
        return None  # a pair of texts does not say which one is meant by a text alone
    return mine if mine in free else None


def _of_the_same_name(role: str, free: Mapping[str, Any], builder: Any) -> str | None:  # noqa: ARG001
    return role if role in free else None


def _only_one(role: str, free: Mapping[str, Any], builder: Any) -> str | None:
    """Plain strings are texts too, but mostly names and addresses: they count where there is no ``Text``.

    A text beside images or sounds is the name of a file, as a rule, so it has to be chosen.
    """
    import tensorflow_datasets as tfds

    if _KINDS[role] == "text" and _has_media(feature_keys(builder.info.features)):
        return None
    texts = [key for key, feature in free.items() if isinstance(feature, tfds.features.Text)]
    found = texts or list(free)
    return found[0] if len(found) == 1 else None


def _has_media(features: Mapping[str, Any]) -> bool:
    import tensorflow_datasets as tfds

    media = tfds.features.Image | tfds.features.Video | tfds.features.Audio
    return any(isinstance(feature, media) for feature in features.values())


def _check_chosen(name: str, role: str, key: str, features: Mapping[str, Any], able: list[str]) -> None:
    if key in able:
        return
    known = f"expected {_one_of(_KINDS[role], able)}"
    if key in features:
        kind = type(features[key]).__name__
        raise UserError(f"{option_of(role)} {key!r} of data set {name!r} is a feature of type {kind}, {known}")
    raise UserError(f"data set {name!r} has no feature {key!r} ({option_of(role)}), {known}.{nearest(key, able)}")


def _one_of(kind: str, able: list[str]) -> str:
    return f"one of {', '.join(able)}" if able else f"a {kind}, and it has none"


def _undecided(name: str, role: str, able: list[str], features: Mapping[str, Any]) -> str:
    kind = _KINDS[role]
    if role == "text" and len(able) == 1 and _has_media(features):
        return (
            f"data set {name!r} is not of texts, and its one text {able[0]!r} may be a name; if it is meant, choose it"
            f" with {option_of(role)}"
        )
    has = f"{len(able)} {kind}s" if len(able) != 1 else f"one {kind}"
    shown = ", ".join(able or list(features)[:20]) or "no named features"
    pair = role in ("source", "target")
    options = "--source-column and --target-column" if pair else option_of(role)
    advice = f"; choose with {options}" if len(able) > 1 and role != "image" else ""
    wanted = "two, source and target" if pair else f"one as the {role}"
    return f"data set {name!r} has {has} in a sample ({shown}), expected {wanted}{advice}"
