"""The networks of a grid."""

from jaxbias.studies.synthetic_shape_bias.cases import Case
from jaxbias.studies.synthetic_shape_bias.grid.config import Config
from jaxbias.studies.synthetic_shape_bias.many_trainings import training


def cases(config: Config) -> list[Case]:
    """Every set with every model and supervision; those of one set stand together."""
    return [
        Case(
            labels={
                "data": data,
                "programs": programs,
                "model": model,
                "supervision": supervision,
            },
            config=training(
                config,
                data=data,
                programs=programs,
                model=model,
                supervision=supervision,
            ),
        )
        for data in config.data
        for programs in config.programs
        for model in config.models
        for supervision in config.supervisions
    ]
