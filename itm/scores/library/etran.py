"""ETran: how familiar the images are to the model, and how well a linear discriminant tells their classes apart.

Source: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023.
"""

from dataclasses import dataclass

from itm.scores.evaluate import Definition, register


@dataclass(frozen=True)
class EtranOptions:
    """ETran has none of its own; those of its terms are set there."""


ETRAN = register(
    Definition(
        name="etran",
        function=None,
        options=EtranOptions(),
        sampling="pooled",
        summary="0.15 of the energy of the model's own outputs and 0.85 of LDA, each from 0 to 1 over the models ranked.",
        meaning="How a model stands among those ranked with it, for the most part by how well a linear discriminant tells the "
        "classes apart. It changes when models are added.",
        lowest=0.0,
        highest=1.0,
        paper="Gholami et al., ICCV 2023",
        cost="that of its terms",
        terms={"energy": 0.15, "lda": 0.85},
    )
)
