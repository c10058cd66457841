"""Biases of ImageNet models: shape, spectrum, critical band, and what they explain.

    python -m experiments.imagenet_biases correlations --table FILE --categories FILE
    python -m experiments.imagenet_biases shape-bias-from-trials --trials DIR
    python -m experiments.imagenet_biases probe --weights FILE --imagenet DIR
    python -m experiments.imagenet_biases --help

The first reads benchmark.csv and r50_categories.json of the published repository
(github.com/paulgavrikov/biases_vs_generalization), the second a folder of model-vs-human's
files of trials. Expected time on two CPU cores: half a minute, and a few seconds. Expected
result: tables and figures in runs/imagenet_biases/, and the table "published | here |
verdict".

The third takes PyTorch weights of a network of the catalogue (--model, resnet50) and your
own images, and gives its row of that table. It shows each changed image some 320 times:
for 2,000 images and a ResNet-50 that is meant for a GPU; --images says how many. Given
torchvision's first ResNet-50, all of ImageNet and --published tv_resnet50, it judges what
is published of it.
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("imagenet_biases")
