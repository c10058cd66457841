"""Shape bias of embeddings as the released script takes it: scikit-learn, image by image.

For each k and each image, one classifier of shapes and one of textures is fitted on all
other images: 12,000 fits for 1,200 images and k = 1 to 5. From the description of the
script; the other side of `jaxbias.probes.neighbours`.
"""

from collections.abc import Sequence

import numpy as np

KS = (1, 2, 3, 4, 5)


def right(
    embeddings: np.ndarray,
    labels: np.ndarray,
    images: Sequence[int],
    ks: Sequence[int] = KS,
) -> np.ndarray:
    """Which images are given their label by the k nearest others: (k, image), bool.

    Args:
        embeddings: (image, feature), of all images.
        labels: (image,), numbered as ties are to be broken.
        images: Which to classify; a part tells the time of all.
        ks: Numbers of neighbours.

    Raises:
        SystemExit: Without scikit-learn.
    """
    try:
        from sklearn.neighbors import KNeighborsClassifier
    except ImportError:
        raise SystemExit("the released way needs scikit-learn, from pip") from None
    found = np.zeros((len(ks), len(images)), bool)
    for row, k in enumerate(ks):
        for column, image in enumerate(images):
            others = np.arange(len(labels)) != image
            classifier = KNeighborsClassifier(n_neighbors=k, metric="cosine")
            classifier.fit(embeddings[others], labels[others])
            answer = classifier.predict(embeddings[image : image + 1])
            found[row, column] = answer[0] == labels[image]
    return found


def shape_bias(shape: np.ndarray, texture: np.ndarray) -> float:
    """Mean over k of the shape bias, from `right` of shapes and of textures."""
    shapes, textures = shape.sum(axis=1), texture.sum(axis=1)
    return float(np.mean(shapes / (shapes + textures)))
