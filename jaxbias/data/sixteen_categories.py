"""The sixteen everyday categories of cue-conflict trials, and which classes are in each.

Which classes of ImageNet belong to a category is a fact of model-vs-human's decision
mapping (Geirhos et al., 2021), numbered as the 1,000 classes of ILSVRC 2012 are, sorted by
WordNet id. 207 of them are used, each once.
"""

from collections.abc import Mapping

CATEGORIES = (
    *("airplane", "bear", "bicycle", "bird", "boat", "bottle", "car", "cat"),
    *("chair", "clock", "dog", "elephant", "keyboard", "knife", "oven", "truck"),
)
"""Sorted; decisions are numbered in this order."""


def _classes(ranges: str) -> tuple[int, ...]:
    """Numbers such as "3 5-7"; both ends of a range are in it."""
    ends = [part.split("-") for part in ranges.split()]
    return tuple(n for end in ends for n in range(int(end[0]), int(end[-1]) + 1))


_DOGS = "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268"

IMAGENET: Mapping[str, tuple[int, ...]] = {
    "airplane": _classes("404"),
    "bear": _classes("294-297"),
    "bicycle": _classes("444 671"),
    "bird": _classes("8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145"),
    "boat": _classes("472 554 625 814 914"),
    "bottle": _classes("440 720 737 898-899 901 907"),
    "car": _classes("436 511 817"),
    "cat": _classes("281-286"),
    "chair": _classes("423 559 765 857"),
    "clock": _classes("409 530 892"),
    "dog": _classes(_DOGS),
    "elephant": _classes("385-386"),
    "keyboard": _classes("508 878"),
    "knife": _classes("499"),
    "oven": _classes("766"),
    "truck": _classes("555 569 656 675 717 734 864 867"),
}
"""Classes of each category among ImageNet's 1,000."""

CIFAR10: Mapping[str, tuple[int, ...]] = {name: () for name in CATEGORIES} | {
    "airplane": (0,),
    "car": (1,),
    "bird": (2,),
    "cat": (3,),
    "dog": (5,),
    "boat": (8,),
    "truck": (9,),
}
"""Classes among CIFAR-10's ten; nine categories have none. Ours, not published."""

ITSELF: Mapping[str, tuple[int, ...]] = {
    name: (number,) for number, name in enumerate(CATEGORIES)
}
"""For networks whose classes are the sixteen categories, sorted."""
