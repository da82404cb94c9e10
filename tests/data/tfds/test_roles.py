"""Which feature serves which role, asked of real TFDS builders: their features are known without their data."""

import pytest

from tfdl.data.tfds.features import feature_keys, only, value_at
from tfdl.data.tfds.roles import role_keys
from tfdl.errors import UserError

IMAGES = ("image", "label")
TEXT = ("text",)
CLASSES = ("text", "label")
PAIR = ("source", "target")


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("nothing_prepared")
    return lambda name: tfds.builder(name, data_dir=str(folder), try_gcs=False)


def _own(features, supervised_keys=None):
    """A builder of these features that was never prepared."""
    import tensorflow_datasets as tfds

    class Own(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=supervised_keys)

        def _split_generators(self, dl_manager):  # noqa: ARG002
            return {}

        def _generate_examples(self):
            return iter(())

    return Own(data_dir="/nowhere")


@pytest.mark.parametrize(
    ("name", "roles", "expected"),
    [
        ("mnist", IMAGES, "image label"),
        ("cifar10", IMAGES, "image label"),
        ("imagenet2012", IMAGES, "image label"),
        ("oxford_iiit_pet", IMAGES, "image label"),  # another class label and a mask beside them
        ("imdb_reviews", CLASSES, "text label"),
        ("ag_news_subset", CLASSES, "description label"),  # and a title
        ("glue/sst2", CLASSES, "sentence label"),
        ("imdb_reviews", TEXT, "text"),
        ("lm1b", TEXT, "text"),
        ("tiny_shakespeare", TEXT, "text"),
        ("wikipedia", TEXT, "text"),  # and a title: the name decides
        ("wiki40b", TEXT, "text"),
        ("pg19", TEXT, "book_text"),  # the others are plain strings
        ("newsroom", TEXT, "text"),  # of a pair of texts, the one with the role's name
        ("wmt14_translate/de-en", PAIR, "de en"),
        ("opus/medical", PAIR, "de en"),
        ("para_crawl/ende", PAIR, "en de"),
        ("ted_hrlr_translate/pt_to_en", PAIR, "pt en"),
        ("cnn_dailymail", PAIR, "article highlights"),
        ("reddit", PAIR, "content summary"),  # plain strings
        ("web_nlg", PAIR, "input_text.context target_text"),
    ],
)
def test_features_that_are_found_without_options(builder, name, roles, expected):
    assert tuple(role_keys(builder(name), roles, {}).values()) == tuple(expected.split())


@pytest.mark.parametrize(
    ("name", "roles", "chosen", "expected"),
    [
        ("wmt14_translate/de-en", PAIR, {"source": "en"}, {"source": "en", "target": "de"}),
        ("wmt14_translate/de-en", PAIR, {"target": "de"}, {"source": "en", "target": "de"}),
        ("wmt14_translate/de-en", TEXT, {"text": "de"}, {"text": "de"}),
        ("ag_news_subset", CLASSES, {"text": "title"}, {"text": "title", "label": "label"}),
        ("trec", CLASSES, {"label": "label-fine"}, {"text": "text", "label": "label-fine"}),
        ("cnn_dailymail", PAIR, {"target": "id"}, {"source": "article", "target": "id"}),
        ("pg19", TEXT, {"text": "book_title"}, {"text": "book_title"}),
        ("cifar10", TEXT, {"text": "id"}, {"text": "id"}),
    ],
)
def test_the_user_s_choice_wins(builder, name, roles, chosen, expected):
    assert role_keys(builder(name), roles, chosen) == expected


@pytest.mark.parametrize(
    ("name", "roles", "chosen", "message"),
    [
        (
            "trec",
            CLASSES,
            {},
            "data set 'trec' has 2 class labels in a sample (label-coarse, label-fine), expected one as the label;"
            " choose with --label-column",
        ),
        (
            "cnn_dailymail",
            TEXT,
            {},
            "data set 'cnn_dailymail' has 4 texts in a sample (article, highlights, publisher, id), expected one as the"
            " text; choose with --text-column",
        ),
        (
            "gsm8k",
            PAIR,
            {},
            "data set 'gsm8k' has 4 texts in a sample (question, answer, annotation, short_answer), expected two,"
            " source and target; choose with --source-column and --target-column",
        ),
        (
            "tiny_shakespeare",
            PAIR,
            {},
            "data set 'tiny_shakespeare' has one text in a sample (text), expected two, source and target; for what it"
            " has, give --task language-modeling",
        ),
        (
            "mnist",
            TEXT,
            {},
            "data set 'mnist' has 0 texts in a sample (image, label), expected one as the text; for what it has, give"
            " --task image-classification",
        ),
        (
            "cifar10",
            TEXT,
            {},
            "data set 'cifar10' is not of texts, and its one text 'id' may be a name; if it is meant, choose it with"
            " --text-column",
        ),
        (
            "mnist",
            TEXT,
            {"text": "label"},
            "--text-column 'label' of data set 'mnist' is a feature of type ClassLabel, expected a text, and it has"
            " none",
        ),
        (
            "trec",
            CLASSES,
            {"label": "label-fin"},
            "data set 'trec' has no feature 'label-fin' (--label-column), expected one of label-coarse, label-fine. Did"
            " you mean 'label-fine'?",
        ),
        (
            "wmt14_translate/de-en",
            PAIR,
            {"source": "en", "target": "en"},
            "--source-column and --target-column are one feature, 'en'; expected two",
        ),
    ],
)
def test_nothing_is_guessed(builder, name, roles, chosen, message):
    with pytest.raises(UserError) as raised:
        role_keys(builder(name), roles, chosen)
    assert str(raised.value) == message


def test_nested_features():
    import tensorflow_datasets as tfds

    pair = {"id": tfds.features.Text(), "translation": tfds.features.Translation(["de", "en"])}
    nested = _own(tfds.features.FeaturesDict(pair))
    with pytest.raises(UserError, match=r"has 3 texts in a sample \(id, translation\.de, translation\.en\)"):
        role_keys(nested, PAIR, {})
    keys = role_keys(nested, PAIR, {"source": "translation.en", "target": "translation.de"})
    assert keys == {"source": "translation.en", "target": "translation.de"}


def test_names_with_dots_and_what_is_in_sequences():
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "a.b": tfds.features.Text(),
            "a": {"c": {"d": tfds.features.Text()}, "rows": tfds.features.Sequence({"e": tfds.features.Text()})},
        }
    )
    assert sorted(feature_keys(features)) == ["a.b", "a.c.d", "a.rows"]
    part = only(features, ["a.b", "a.c.d"])
    assert sorted(feature_keys(part)) == ["a.b", "a.c.d"]
    assert value_at(features, {"a.b": "one", "a": {"c": {"d": "two"}}}, "a.c.d") == "two"
    assert value_at(features, {"a.b": "one", "a": {"c": {"d": "two"}}}, "a.b") == "one"
    with pytest.raises(UserError, match=r"has 2 texts in a sample \(a\.b, a\.c\.d\)"):
        role_keys(_own(features), TEXT, {})


def test_masks_are_no_images_and_a_pair_may_lack_a_label():
    import tensorflow_datasets as tfds

    mask = tfds.features.LabeledImage(labels=3, shape=(None, None, 1))
    features = tfds.features.FeaturesDict({"picture": tfds.features.Image(), "mask": mask})
    segmentation = _own(features, ("picture", "mask"))
    assert role_keys(segmentation, ("image",), {}) == {"image": "picture"}
    with pytest.raises(UserError, match="has 0 class labels in a sample"):
        role_keys(segmentation, IMAGES, {})
