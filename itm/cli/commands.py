"""All commands, as one Typer application. `itm.cli.app` runs it."""

import typer

from itm.cli.ablate import ablate
from itm.cli.benchmark import benchmark
from itm.cli.compare import compare
from itm.cli.evaluate import evaluate
from itm.cli.export import export
from itm.cli.finetune import finetune
from itm.cli.models import models
from itm.cli.rank import rank
from itm.cli.rankings import rankings
from itm.cli.refresh import refresh, serve
from itm.cli.report import report, show
from itm.cli.select import select
from itm.cli.show import doctor, scores
from itm.cli.status import status
from itm.cli.steps import extract, ingest, score
from itm.cli.zoo import app as zoo

app = typer.Typer(
    help="Which pre-trained vision model should I fine-tune for my data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RANKING = (rank, ingest, extract, score, finetune, select, export, report, show, compare, rankings)
REFRESH = (refresh, serve, status)
STUDIES = (evaluate, benchmark, ablate)
DESCRIPTIONS = (models, scores, doctor)

for command in (*RANKING, *REFRESH, *STUDIES, *DESCRIPTIONS):
    app.command()(command)
app.add_typer(zoo, name="zoo")
