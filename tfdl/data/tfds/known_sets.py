"""Well-known data sets for each task: tfdl's own, and some of TFDS's several hundred."""

from dataclasses import dataclass

from tfdl.config import DATASETS

IMAGES = "image-classification"
TEXTS = "text-classification"
LANGUAGE = "language-modeling"
PAIRS = "translation"


@dataclass(frozen=True)
class KnownSet:
    """A line of ``tfdl datasets``."""

    name: str
    task: str
    about: str
    download_bytes: int | None = None
    """What TFDS downloads; ``None`` if nothing is downloaded, or several configurations share one record."""
    by_hand: bool = False
    """Whether users must download the files themselves, as its owners require."""
    beam: bool = False
    """Whether its preparation needs the package apache-beam."""


def declared_sets() -> tuple[KnownSet, ...]:
    """tfdl's own data sets, and those of loaded plugins."""
    return tuple(KnownSet(name, DATASETS[name].task, DATASETS[name].about) for name in DATASETS)


TFDS_SETS = (
    KnownSet("mnist", IMAGES, "70,000 handwritten digits, 28x28", 11_594_722),
    KnownSet("fashion_mnist", IMAGES, "70,000 pieces of clothing, 28x28, 10 classes", 30_878_645),
    KnownSet("kmnist", IMAGES, "70,000 cursive Japanese characters, 28x28, 10 classes", 21_240_888),
    KnownSet("emnist/balanced", IMAGES, "handwritten digits and letters, 28x28, 47 classes", 561_753_746),
    KnownSet("cifar10", IMAGES, "60,000 photographs, 32x32, 10 classes", 170_052_171),
    KnownSet("cifar100", IMAGES, "60,000 photographs, 32x32, 100 classes", 168_513_733),
    KnownSet("svhn_cropped", IMAGES, "house numbers, 32x32, 10 digits", 1_575_594_780),
    KnownSet("imagenette", IMAGES, "ten classes of ImageNet, of many sizes"),
    KnownSet("tf_flowers", IMAGES, "flowers of many sizes, 5 classes", 228_813_984),
    KnownSet("oxford_iiit_pet", IMAGES, "cats and dogs of many sizes, 37 breeds", 811_092_049),
    KnownSet("food101", IMAGES, "101,000 dishes of many sizes, 101 classes", 4_996_278_331),
    KnownSet(
        "imagenet2012", IMAGES, "1.28 million photographs of many sizes, 1,000 classes", 154_642_401_280, by_hand=True
    ),
    KnownSet("imdb_reviews", TEXTS, "50,000 film reviews, good or bad", 84_125_825),
    KnownSet("ag_news_subset", TEXTS, "127,600 news items, 4 topics", 11_784_327),
    KnownSet("yelp_polarity_reviews", TEXTS, "598,000 reviews of businesses, good or bad", 166_373_201),
    KnownSet("glue/sst2", TEXTS, "sentences of film reviews, good or bad"),
    KnownSet("tiny_shakespeare", LANGUAGE, "1,115,394 characters of Shakespeare's plays", 1_115_394),
    KnownSet("lm1b", LANGUAGE, "the One Billion Word Benchmark: shuffled sentences of news", 1_792_209_805),
    KnownSet("pg19", LANGUAGE, "28,000 books of before 1919"),
    KnownSet("wiki40b/en", LANGUAGE, "English Wikipedia, cleaned", beam=True),
    KnownSet("wikipedia", LANGUAGE, "Wikipedia's dumps, in many languages", beam=True),
    KnownSet("ted_hrlr_translate/pt_to_en", PAIRS, "talks, Portuguese to English", 131_005_909),
    KnownSet("opus/medical", PAIRS, "medical texts, German to English"),
    KnownSet("wmt14_translate/de-en", PAIRS, "news and parliament, German to English"),
    KnownSet("para_crawl/ende", PAIRS, "web pages, English to German"),
    KnownSet("cnn_dailymail", PAIRS, "news articles and their highlights", 585_608_124),
    KnownSet("gigaword", PAIRS, "first sentences of news and their headlines", 578_402_958),
    KnownSet("multi_news", PAIRS, "several articles on one event, and a summary", 756_785_627),
    KnownSet("xsum", PAIRS, "BBC articles, and each in one sentence", by_hand=True),
)
