"""The commands `itm ingest`, `itm extract` and `itm score`."""

from typing import TYPE_CHECKING

import typer

from itm.cli import options

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.core.types import Outcome
    from itm.store.layout import Store


def ingest(
    data: options.Data = None,
    max_images: options.MaxImages = None,
    allow_failures: options.AllowFailures = False,
    params: options.ParamsFile = None,
) -> None:
    """Read and check data sets, split them, and write their indexes."""
    with options.report_errors():
        chosen, store = options.read_params(data, params, data={"max_images": max_images})
        from itm.core.text import pluralize
        from itm.data.index import read_index
        from itm.data.ingest import ingest_all
        from itm.kinds import get_kind
        from itm.run.check import check_data

        check_data(chosen.data, store.root)
        store.make_folders()
        store.remove_abandoned()
        found, failures = ingest_all(chosen.data, store)
        for ref in found:
            rejected = ", ".join(f"{count} {reason}" for reason, count in ref.rejected.items()) or "none"
            targets = get_kind(ref.target.kind).describe(ref.target)
            typer.echo(f"{ref.name}: {pluralize(ref.images, 'image')}, {targets}, rejected: {rejected} -> {ref.index}")
            for row in read_index(ref).filter(status="rejected").iter_rows(named=True) if ref.rejected else ():
                typer.echo(f"  {row['path'] or 'no path'}: {row['reason']}")
    if failures and not allow_failures:
        raise typer.Exit(1)


def extract(
    data: options.Data = None,
    zoo: options.Zoo = None,
    model: options.Models = None,
    code: options.Code = None,
    max_images: options.MaxImages = None,
    device: options.Device = None,
    precision: options.Precision = None,
    batch_size: options.BatchSize = None,
    resume: options.Resume = None,
    params: options.ParamsFile = None,
) -> None:
    """Compute the embeddings of every model on every data set, with one pass each.

    Exits with status 1 if a model or a data set failed.
    """
    with options.report_errors():
        chosen, store = options.read_params(
            data,
            params,
            zoo,
            model,
            code,
            data={"max_images": max_images},
            extract={"device": device, "precision": precision, "batch_size": batch_size, "resume": resume},
        )
        from itm.core.text import pluralize

        outcomes, failed = _run_pairs(chosen, store, stages=1)
        for features in (outcome.features for outcome in outcomes):
            if features:
                how = "cached" if features.cached else f"{features.images_per_second:.0f} images/s"
                typer.echo(f"{features.model} on {features.data}: {pluralize(features.rows, 'row')} ({how}) -> {features.path}")
    if failed:
        raise typer.Exit(1)


def score(
    data: options.Data = None,
    zoo: options.Zoo = None,
    model: options.Models = None,
    code: options.Code = None,
    score: options.Scores = None,
    resume: options.Resume = None,
    params: options.ParamsFile = None,
) -> None:
    """Compute and print the scores of every model on every data set. Missing embeddings are extracted.

    Exits with status 1 if a model or a data set failed.
    """
    with options.report_errors():
        by = {"rank_by": score[0]} if score else {}
        chosen, store = options.read_params(
            data, params, zoo, model, code, extract={"resume": resume}, score={"names": tuple(score) if score else None} | by
        )
        outcomes, failed = _run_pairs(chosen, store, stages=2)
        for value in (value for outcome in outcomes for value in outcome.scores):
            how = "cached" if value.cached else f"{value.seconds:.2f} s"
            typer.echo(f"{value.model} on {value.data}: {value.score} {value.value:.4f} ({how})")
    if failed:
        raise typer.Exit(1)


def _run_pairs(params: "Params", store: "Store", stages: int) -> "tuple[list[Outcome], bool]":
    """Take all pairs through the first stages of a ranking. Return their outcomes, and whether anything failed."""
    from itm.run.check import check_request

    check_request(params)
    from itm.run.engine import execute
    from itm.run.executors import executor
    from itm.run.plan import plan

    planned = plan(params, store)
    outcomes = execute(planned.through(*planned.stages[:stages]), executor(params.runner), store, params)
    failed = planned.failed_data or planned.failed_models or any(outcome.failures for outcome in outcomes)
    return outcomes, bool(failed)
