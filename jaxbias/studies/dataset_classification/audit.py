"""The leak audit: what tells sources apart before a network has looked at any content.

Metadata (sizes, codecs, JPEG's tables) and trivial features of the pixels (mean colour,
borders, noise, spectra) are classified by the simplest means. Where metadata alone suffice,
the game is to be played on images that were all encoded again in one way; what hand-made
features reach together is the baseline beside which a network's accuracy is to be read.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from jaxbias.data.headers import Header
from jaxbias.numerics import low_level
from jaxbias.numerics.statistics import evenly, wilson
from jaxbias.probes import linear

MARGIN = 0.02
"""How far above chance the lower end of an interval must be for a warning."""

ENLARGED = 0.01
"""Share of a source's images below the working size from which there is a warning."""

MOST = 20_000
"""Training images that the classifiers are fitted to, at most."""

SIZES = 28
"""Commonest exact sizes that the classifier of native sizes knows by themselves."""

LOW_LEVEL = "all low-level"
"""Name of the classifier of all hand-made features: the baseline beside networks."""

CONTROL = "labels permuted"
"""Name of the same with permuted labels, which is to be at chance."""

FROM_FILES = ("native size", "bytes per pixel", "JPEG tables")
"""Names of the classifiers of metadata; the second sees content too."""

Table: TypeAlias = dict[str, np.ndarray]
Headers: TypeAlias = Sequence[Header]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a classifier tells the sources of images that it was not fitted to.

    Attributes:
        classifier: Its name.
        correct: Images whose source is told.
        images: Out of how many.
        chance: Share of the commonest source among them.
        features: How many numbers of each image it sees.
        penalty: Of the linear probe; NaN where there is none.
    """

    classifier: str
    correct: int
    images: int
    chance: float
    features: int
    penalty: float = float("nan")

    @property
    def accuracy(self) -> float:
        """Share of images whose source is told."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(float(self.correct), self.images)

    @property
    def clear(self) -> bool:
        """Whether it is above chance by more than a margin, beyond doubt."""
        return self.interval[0] > self.chance + MARGIN


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found.

    Attributes:
        sources: A row for each source: images, files, quantiles of native sizes, the
            commonest codec, mode, tables and subsampling with their shares. Without files,
            NaN and empty texts.
        files: A row for each source, property ("codec", "mode", "table", "subsampling")
            and value that occurs: how often, and in what share of the source's files.
        scores: Of each classifier.
        warnings: What is wrong, in sentences.
    """

    sources: Table
    files: Table
    scores: tuple[Score, ...]
    warnings: tuple[str, ...]

    @property
    def classifiers(self) -> Table:
        """A row for each classifier: its score, with the interval's ends low and high."""
        names = ("classifier", "accuracy", "chance", "images", "features", "penalty")
        columns = {n: np.asarray([getattr(s, n) for s in self.scores]) for n in names}
        low, high = np.asarray([s.interval for s in self.scores]).T
        return columns | {"low": low, "high": high}

    def score(self, classifier: str) -> Score:
        """The score of a classifier; KeyError if there is none of that name."""
        return {score.classifier: score for score in self.scores}[classifier]


def audit(
    names: Sequence[str],
    headers: Sequence[Headers],
    train_pixels: np.ndarray,
    train_labels: np.ndarray,
    validation_pixels: np.ndarray,
    validation_labels: np.ndarray,
    *,
    most: int = MOST,
    seed: int = 0,
) -> Audit:
    """Look for what tells sources apart.

    Classifiers of pixels are fitted to the training images and scored on the validation
    images. Headers are a sample of each source's files, in any order: classifiers of
    metadata take as many of each source, are fitted to every second one and scored on the
    others, if at least two sources have as many as four. Images are taken as they are: a
    source with most of them raises chance, and hides leaks.

    Args:
        names: Of the sources.
        headers: Of some files of each source; none where it keeps no files.
        train_pixels: uint8, NHWC, at the working size.
        train_labels: The source of each image.
        validation_pixels: As the training images.
        validation_labels: The source of each.
        most: Training images that are looked at, evenly spaced in their order.
        seed: Of the control's permutation.

    Raises:
        ValueError: If there is not a list of headers for each name, fewer than two training
            images of a source, or images that `low_level.features` refuses.
    """
    if len(headers) != len(names) or not len(validation_labels):
        raise ValueError(
            f"{len(names)} sources, headers of {len(headers)}, "
            f"{len(validation_labels)} validation images"
        )
    side = max(train_pixels.shape[1:3])
    from_files = _of_files(headers)
    chosen = evenly(len(train_labels), most)
    from_pixels = _of_pixels(
        train_pixels[chosen],
        train_labels[chosen],
        validation_pixels,
        validation_labels,
        len(names),
        np.random.default_rng(seed),
    )
    *scores, control = from_pixels
    counts = [
        np.bincount(labels, minlength=len(names))
        for labels in (train_labels, validation_labels)
    ]
    return Audit(
        sources=_sources(names, headers, side, *counts),
        files=_files(names, headers),
        scores=(*scores, *from_files, control),
        warnings=(
            *_about_files(names, headers, from_files),
            *_about_sizes(names, headers, side),
            *_about_control(control),
        ),
    )


# Classifiers


def _chance(labels: np.ndarray) -> float:
    return float(np.bincount(labels).max() / len(labels))


def _probed(
    name: str,
    train: np.ndarray,
    train_labels: np.ndarray,
    held: np.ndarray,
    labels: np.ndarray,
    classes: int,
    penalties: Sequence[float] = linear.PENALTIES,
) -> Score:
    fitted = linear.fit(train, train_labels, classes, penalties=penalties)
    return Score(
        classifier=name,
        correct=int(np.sum(fitted.predict(held) == labels)),
        images=len(labels),
        chance=_chance(labels),
        features=train.shape[1],
        penalty=fitted.penalty,
    )


def _of_pixels(
    train_pixels: np.ndarray,
    train_labels: np.ndarray,
    held_pixels: np.ndarray,
    labels: np.ndarray,
    classes: int,
    generator: np.random.Generator,
) -> tuple[Score, ...]:
    """Scores of mean colour, each group, all of them, and the control."""
    train, held = map(low_level.features, (train_pixels, held_pixels))
    channels = train_pixels.shape[-1]
    parts: dict[str, Callable[[Mapping[str, np.ndarray]], np.ndarray]] = {
        "mean colour": lambda found: found["colour"][:, :channels],
        **{group: partial(_group, group) for group in low_level.GROUPS},
        LOW_LEVEL: together,
    }
    scores = [
        _probed(name, part(train), train_labels, part(held), labels, classes)
        for name, part in parts.items()
    ]
    # Both are permuted: what is told is then right by accident alone, as the interval has
    # it. Against the true labels, whole sources would be right or wrong at once.
    shuffle = generator.permutation
    permuted = shuffle(train_labels), together(held), shuffle(labels)
    penalties = [scores[-1].penalty]
    control = _probed(CONTROL, together(train), *permuted, classes, penalties)
    return (*scores, control)


def _group(group: str, found: Mapping[str, np.ndarray]) -> np.ndarray:
    return found[group]


def together(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """All groups of low-level features side by side."""
    return np.concatenate([found[group] for group in low_level.GROUPS], axis=1)


def _of_files(headers: Sequence[Headers]) -> tuple[Score, ...]:
    """Scores of metadata, over the sources that have any; none if fewer than two."""
    known = [source for source in headers if len(source) >= 4]
    if len(known) < 2:
        return ()
    # As many of each: otherwise always to name the largest would be hard to beat.
    least = min(map(len, known))
    known = [[source[i] for i in evenly(len(source), least)] for source in known]
    train = [header for source in known for header in source[::2]]
    held = [header for source in known for header in source[1::2]]
    train_labels = np.repeat(np.arange(len(known)), [len(s[::2]) for s in known])
    labels = np.repeat(np.arange(len(known)), [len(s[1::2]) for s in known])
    exact = Counter((h.width, h.height) for h in train).most_common(SIZES)
    sizes = [size for size, _ in exact]
    size, density, tables = FROM_FILES
    return (
        _probed(
            size,
            *(_sizes(train, sizes), train_labels, _sizes(held, sizes), labels),
            len(known),
        ),
        _probed(
            density,
            *(_density(train), train_labels, _density(held), labels),
            len(known),
        ),
        _looked_up(tables, train, train_labels, held, labels),
    )


def _sizes(headers: Headers, known: Sequence[tuple[int, int]]) -> np.ndarray:
    """Logarithms of width, height and aspect, and which of the known sizes it is."""
    sides = np.asarray([(h.width, h.height) for h in headers], np.float64)
    width, height = np.log(sides).T
    exact = (sides[:, None] == np.asarray(known)[None]).all(axis=2)
    return np.column_stack([width, height, width - height, exact]).astype(np.float32)


def _density(headers: Headers) -> np.ndarray:
    """Logarithm of the bytes per pixel, and its square."""
    found = np.log([h.bytes / (h.width * h.height) for h in headers])
    return np.column_stack([found, found**2]).astype(np.float32)


def _encoder(header: Header) -> tuple:
    return header.codec, header.mode, header.digest, header.subsampling


def _looked_up(
    name: str,
    train: Headers,
    train_labels: np.ndarray,
    held: Headers,
    labels: np.ndarray,
) -> Score:
    """Of each combination of codec, mode, tables and subsampling the commonest source."""
    votes: dict[tuple, Counter] = {}
    for header, label in zip(train, train_labels, strict=True):
        votes.setdefault(_encoder(header), Counter())[int(label)] += 1
    # Equal votes go to the first source, and what was never seen to the commonest.
    best = {key: min(c, key=lambda s, c=c: (-c[s], s)) for key, c in votes.items()}
    other = int(np.bincount(train_labels).argmax())
    told = np.asarray([best.get(_encoder(header), other) for header in held])
    return Score(
        classifier=name,
        correct=int(np.sum(told == labels)),
        images=len(labels),
        chance=_chance(labels),
        features=4,
    )


# Warnings


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _about_files(
    names: Sequence[str], headers: Sequence[Headers], scores: Sequence[Score]
) -> list[str]:
    found = []
    bare = [name for name, source in zip(names, headers, strict=True) if not source]
    if bare and len(bare) < len(names):
        found.append(
            f"{', '.join(bare)}: no files are kept, so what their encoding tells is unknown"
        )
    remedies = {
        "native size": "native sizes alone tell {}: bring all sources to one size, "
        "smaller than the smallest, before they are encoded again",
        "JPEG tables": "codec, mode, JPEG tables and subsampling alone tell {}: "
        "re-encode all sources alike",
    }
    for score in filter(lambda score: score.clear, scores):
        if score.classifier not in remedies:
            continue
        told = (
            f"the source of {_percent(score.accuracy)} of the images (chance "
            f"{_percent(score.chance)})"
        )
        found.append(remedies[score.classifier].format(told))
        if score.classifier == "JPEG tables":
            found += _about_tables(names, headers)
    return found


def _about_tables(names: Sequence[str], headers: Sequence[Headers]) -> list[str]:
    """Sources that one table, had or not had, tells from the others."""
    found = []
    shares = {
        name: {key: count / len(source) for key, count in _digests(source).items()}
        for name, source in zip(names, headers, strict=True)
        if source
    }
    for name, own in shares.items():
        others = [share for other, share in shares.items() if other != name]
        for digest, share in own.items():
            elsewhere = sum(other.get(digest, 0) for other in others) / len(others)
            # Had by the source and by no other: the mean of both shares is right.
            right = (share + 1 - elsewhere) / 2
            if digest and right >= 0.75:
                found.append(
                    f"one JPEG quantisation table ({digest}) tells {name} from the others "
                    f"in {_percent(right)} of the images: re-encode all sources alike"
                )
    return found


def _digests(headers: Headers) -> Counter:
    return Counter(header.digest for header in headers)


def _small(headers: Headers, side: int) -> float:
    return float(np.mean([min(h.width, h.height) < side for h in headers]))


def _about_sizes(
    names: Sequence[str], headers: Sequence[Headers], side: int
) -> list[str]:
    found = []
    for name, source in zip(names, headers, strict=True):
        if source and (share := _small(source, side)) >= ENLARGED:
            found.append(
                f"{_percent(share)} of the images of {name} have a side below {side} "
                "pixels and are enlarged, which shows: work at a smaller size"
            )
    return found


def _about_control(control: Score) -> list[str]:
    if not control.clear:
        return []
    return [
        f"with permuted labels {_percent(control.accuracy)} of the images are told "
        f"(chance {_percent(control.chance)}): something is wrong with this audit"
    ]


# Tables


def _sources(
    names: Sequence[str],
    headers: Sequence[Headers],
    side: int,
    training: np.ndarray,
    validation: np.ndarray,
) -> Table:
    rows = [
        {
            "source": name,
            "training": int(training[i]),
            "validation": int(validation[i]),
            "files": len(headers[i]),
            **_quantiles(headers[i]),
            "enlarged": _small(headers[i], side) if headers[i] else np.nan,
            **_commonest(headers[i]),
        }
        for i, name in enumerate(names)
    ]
    return {key: np.asarray([row[key] for row in rows]) for key in rows[0]}


def _quantiles(headers: Headers) -> dict[str, float]:
    """5, 50 and 95 % of sides, aspect (width over height) and bytes per pixel."""
    measures: dict[str, Callable[[Header], float]] = {
        "width": lambda h: h.width,
        "height": lambda h: h.height,
        "aspect": lambda h: h.width / h.height,
        "bytes_per_pixel": lambda h: h.bytes / (h.width * h.height),
    }
    found = {}
    for name, measure in measures.items():
        values = [measure(h) for h in headers] or [np.nan]
        for percent, value in zip(
            (5, 50, 95), np.percentile(values, (5, 50, 95)), strict=True
        ):
            found[f"{name}_{percent:02d}"] = float(value)
    return found


PROPERTIES: dict[str, Callable[[Header], str]] = {
    "codec": lambda h: h.codec,
    "mode": lambda h: h.mode,
    "table": lambda h: h.digest,
    "subsampling": lambda h: h.subsampling or "",
}
"""What is counted in files, by name."""


def _commonest(headers: Headers) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for name, value in PROPERTIES.items():
        counts = Counter(map(value, headers))
        key, count = counts.most_common(1)[0] if counts else ("", 0)
        found[name] = key
        found[f"{name}_share"] = count / len(headers) if headers else np.nan
        found[f"{name}_distinct"] = len(set(counts) - {""})
    progressive = [h.progressive for h in headers] or [np.nan]
    return found | {"progressive_share": float(np.mean(progressive))}


def _files(names: Sequence[str], headers: Sequence[Headers]) -> Table:
    rows = [
        (name, key, value, count, count / len(source))
        for name, source in zip(names, headers, strict=True)
        for key, read in PROPERTIES.items()
        for value, count in Counter(map(read, source)).most_common()
    ]
    columns = ("source", "property", "value", "count", "share")
    kinds = (str, str, str, np.int64, np.float64)
    return {
        column: np.asarray([row[i] for row in rows], kind)
        for i, (column, kind) in enumerate(zip(columns, kinds, strict=True))
    }
