"""Contrastive objectives on two views of each picture: SimCLR, MoCo v3 and DINO."""

from copy import deepcopy

import torch
import torch.nn.functional as F

from benchmarks.pretraining.objectives import Objective, embed, mlp

HIDDEN, OUT = 256, 128


class SimCLR(Objective):
    """Identify the other view of the same picture among all views of the batch (Chen et al., ICML 2020, eq. 1)."""

    colour = 0.4
    smallest_crop = 0.2
    temperature = 0.2

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size)
        self.projection = mlp(backbone.num_features, HIDDEN, OUT)  # type: ignore[arg-type]

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the NT-Xent loss of two views per picture."""
        both = torch.cat([self.view(pixels), self.view(pixels)])
        out = F.normalize(self.projection(embed(self.backbone, both)), dim=1)
        similarity = (out @ out.T / self.temperature).fill_diagonal_(-torch.inf)
        return F.cross_entropy(similarity, torch.arange(len(out)).roll(len(pixels)))


class _WithTeacher(Objective):
    """Objective with a teacher: a moving average of the backbone and its head, whose outputs the student predicts."""

    colour = 0.4
    smallest_crop = 0.2
    momentum = 0.99

    def __init__(self, backbone: torch.nn.Module, size: int, projection: torch.nn.Module) -> None:
        super().__init__(backbone, size)
        self.projection = projection
        self.teacher = deepcopy(torch.nn.ModuleList([backbone, projection])).requires_grad_(False)

    def student_output(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the projections of views by the trained model."""
        projected: torch.Tensor = self.projection(embed(self.backbone, seen))
        return projected

    @torch.no_grad()
    def teacher_output(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the projections of views by the teacher."""
        backbone, projection = self.teacher
        projected: torch.Tensor = projection(embed(backbone, seen))
        return projected

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Update the teacher, with increasing momentum."""
        momentum = self.momentum + (1 - self.momentum) * 0.9 * progress
        students = torch.nn.ModuleList([self.backbone, self.projection])
        for slow, fast in zip(self.teacher.parameters(), students.parameters(), strict=True):
            slow.lerp_(fast, 1 - momentum)


class MoCo(_WithTeacher):
    """Identify the other view of the same picture among the outputs of the teacher (Chen et al., ICCV 2021, alg. 1)."""

    temperature = 0.2

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        super().__init__(backbone, size, mlp(backbone.num_features, HIDDEN, OUT))  # type: ignore[arg-type]
        self.predictor = mlp(OUT, HIDDEN, OUT)

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the symmetric InfoNCE loss of two views per picture."""
        both = torch.cat([self.view(pixels), self.view(pixels)])
        queries = F.normalize(self.predictor(self.student_output(both)), dim=1)
        keys = F.normalize(self.teacher_output(both), dim=1).roll(len(pixels), 0)
        own = torch.arange(len(pixels))
        return sum(  # type: ignore[return-value]
            F.cross_entropy(q @ k.T / self.temperature, own) for q, k in zip(queries.chunk(2), keys.chunk(2), strict=True)
        )


class DINO(_WithTeacher):
    """Predict the teacher's soft cluster of the other view (Caron et al., ICCV 2021, alg. 1)."""

    student_temperature, teacher_temperature = 0.1, 0.04
    clusters = 512

    centre: torch.Tensor

    def __init__(self, backbone: torch.nn.Module, size: int) -> None:
        width: int = backbone.num_features  # type: ignore[assignment]
        super().__init__(backbone, size, torch.nn.Sequential(mlp(width, HIDDEN, OUT), _CosineLinear(OUT, self.clusters)))
        self.register_buffer("centre", torch.zeros(1, self.clusters))

    def loss(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the cross-entropy between the teacher's clusters of one view and the student's clusters of the other."""
        both = torch.cat([self.view(pixels), self.view(pixels)])
        student = F.log_softmax(self.student_output(both) / self.student_temperature, dim=1)
        teacher = self.teacher_output(both)
        target = F.softmax((teacher - self.centre) / self.teacher_temperature, dim=1).roll(len(pixels), 0)
        self.centre.lerp_(teacher.mean(0, keepdim=True), 0.1)  # prevents the collapse to a single cluster
        return -(target * student).sum(1).mean()


class _CosineLinear(torch.nn.Module):
    """Linear layer with normalised inputs and weights."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.directions = torch.nn.Parameter(torch.randn(out, width))

    def forward(self, projected: torch.Tensor) -> torch.Tensor:
        """Return cosines [b, out]."""
        return F.normalize(projected, dim=1) @ F.normalize(self.directions, dim=1).T
