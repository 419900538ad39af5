"""News of a refresh in Prefect: one artifact per refresh, one event per data set whose recommended model changed."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from itm.core.keys import slug
from itm.refresh.records import DataChange, Refresh
from itm.refresh.text import markdown, verdict

EVENT = "itm.recommendation.changed"  # automations can wait for it
ARTIFACT = "ranking-changes"


@task(name="announce", cache_policy=NO_CACHE, persist_result=False)
def announce(refresh: Refresh, changes: Sequence[DataChange]) -> None:
    """Publish what changed. Only a new recommendation is an event."""
    create_markdown_artifact(
        markdown(refresh, changes), key=ARTIFACT, description="What the last refresh of the ranking changed."
    )
    for change in changes:
        if change.is_news:
            emit_event(
                EVENT,
                resource={"prefect.resource.id": f"itm.data.{slug(change.data)}", "prefect.resource.name": change.data},
                payload={
                    "data": change.data,
                    "recommended": change.recommended,
                    "recommended_before": change.recommended_before,
                    "verdict": verdict(change),
                    "refresh": refresh.number,
                },
            )
